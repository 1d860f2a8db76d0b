"""The default network and its reservations."""

from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from hypernova_agent.host import Reservation
from hypernova_agent.xml.network import NatNetwork, network_xml, parse_gateway, parse_reservations, reservation_xml
from hypernova_agent.xml.reservations import Command, Update, to_release, to_reserve
from support.golden import assert_golden

GOLDEN = Path(__file__).parents[1] / "golden"

DEFAULT = NatNetwork("hypernova-default", "hn-default", IPv4Network("10.60.0.0/16"))

WEB = Reservation("52:54:00:00:00:01", "10.60.0.11", "web")
DB = Reservation("52:54:00:00:00:02", "10.60.0.12", "db")
WEB_ELSEWHERE = Reservation(WEB.mac, "10.60.0.99", "web")
WEB_RENAMED = Reservation(WEB.mac, WEB.ip, "www")
OTHER_WITH_ITS_IP = Reservation("52:54:00:00:00:03", WEB.ip, "gone")
OTHER_WITH_ITS_NAME = Reservation("52:54:00:00:00:04", "10.60.0.14", "web")


def test_the_network_is_nat_and_answers_nobody_it_does_not_know() -> None:
    assert_golden(network_xml(DEFAULT), GOLDEN / "network.xml")


def test_a_reservation_is_read_as_it_was_written() -> None:
    network = f"<network><ip><dhcp>{reservation_xml(WEB)}</dhcp></ip></network>"
    assert parse_reservations(network) == [WEB]


def test_a_network_without_dhcp_has_no_reservations() -> None:
    assert parse_reservations("<network><ip address='10.60.0.1'/></network>") == []


@pytest.mark.parametrize(
    ("xml", "gateway"),
    [
        (network_xml(DEFAULT), DEFAULT.gateway),
        ("<network><ip address='192.168.122.1' netmask='255.255.255.0'/></network>", IPv4Interface("192.168.122.1/24")),
        ("<network><ip family='ipv6' address='fd00::1' prefix='64'/></network>", None),
        ("<network><forward mode='bridge'/></network>", None),
    ],
)
def test_the_host_s_own_address_on_a_network_is_found(xml: str, gateway: IPv4Interface | None) -> None:
    assert parse_gateway(xml) == gateway


ADD, MODIFY, DELETE = Command.ADD, Command.MODIFY, Command.DELETE


@pytest.mark.parametrize(
    ("current", "wanted", "updates"),
    [
        pytest.param([], WEB, [Update(ADD, WEB)], id="first"),
        pytest.param([DB], WEB, [Update(ADD, WEB)], id="beside-others"),
        pytest.param([DB, WEB], WEB, [], id="there-already"),
        pytest.param([WEB_ELSEWHERE, DB], WEB, [Update(MODIFY, WEB)], id="another-address-is-replaced"),
        pytest.param([WEB_RENAMED], WEB, [Update(MODIFY, WEB)], id="another-name-is-replaced"),
        pytest.param([OTHER_WITH_ITS_IP], WEB, [Update(MODIFY, WEB)], id="an-address-is-taken-over-from-who-is-gone"),
        pytest.param(
            [WEB_ELSEWHERE, DB, OTHER_WITH_ITS_IP],
            WEB,
            [Update(DELETE, OTHER_WITH_ITS_IP), Update(MODIFY, WEB)],
            id="all-outdated-ones-go",
        ),
        pytest.param([OTHER_WITH_ITS_NAME], WEB, [Update(MODIFY, WEB)], id="a-name-is-taken-over-from-who-is-gone"),
    ],
)
def test_a_reservation_is_made_with_the_fewest_updates(
    current: list[Reservation], wanted: Reservation, updates: list[Update]
) -> None:
    assert to_reserve(wanted, current) == updates


def test_only_the_mac_s_own_reservation_is_released() -> None:
    assert to_release(WEB.mac, [DB, WEB, OTHER_WITH_ITS_NAME]) == [Update(DELETE, WEB)]
    assert to_release(WEB.mac, [DB]) == []
