"""Addresses: unique, lowest first, given back."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_operator.addresses import Addresses, Assignment, Assignments, NoAddressFree

TINY = IPv4Network("10.0.0.0/29")  # .1 is the gateway: .2 to .6 are free


def tiny() -> Addresses:
    return Addresses(TINY, IPv4Address("10.0.0.1"))


def last_bytes(assignments: Assignments) -> list[int]:
    return [int(each.ip) & 0xFF for each in assignments]


def last_byte(assignments: Assignments) -> int:
    (byte,) = last_bytes(assignments)
    return byte


def test_the_lowest_free_address_is_given_never_network_gateway_or_broadcast() -> None:
    addresses = tiny()
    assert [last_byte(addresses.assign(uid)) for uid in "abcde"] == [2, 3, 4, 5, 6]
    with pytest.raises(NoAddressFree):
        addresses.assign("f")


def test_an_instance_keeps_its_address() -> None:
    addresses = tiny()
    assert addresses.assign("a") == addresses.assign("a")


def test_a_released_address_is_given_again() -> None:
    addresses = tiny()
    for uid in "abcde":
        addresses.assign(uid)
    assert addresses.release("c")
    assert not addresses.release("c")
    assert last_byte(addresses.assign("f")) == 4


def test_an_address_somebody_holds_is_not_given() -> None:
    addresses = tiny()
    addresses.hold("x", (Assignment(IPv4Address("10.0.0.2"), "52:54:00:00:00:01"),))
    assert last_byte(addresses.assign("a")) == 3


def test_an_address_held_twice_is_free_when_both_let_go() -> None:
    addresses = tiny()
    shared = (Assignment(IPv4Address("10.0.0.2"), "52:54:00:00:00:01"),)
    addresses.hold("x", shared)
    addresses.hold("y", shared)
    addresses.release("x")
    assert last_byte(addresses.assign("a")) == 3
    addresses.release("y")
    assert last_byte(addresses.assign("b")) == 2


def test_whoever_is_given_an_address_next_has_the_mac_too_that_a_dhcp_server_may_still_keep_it_for() -> None:
    addresses = tiny()
    first = addresses.assign("a")
    assert [each.mac for each in first] == ["52:54:00:00:00:02"]
    addresses.release("a")
    assert addresses.assign("b") == first


def test_a_whole_network_gets_addresses() -> None:
    addresses = Addresses(IPv4Network("10.60.0.0/20"), IPv4Address("10.60.0.1"))
    given = [addresses.assign(f"uid-{number}")[0] for number in range(4093)]
    assert len({assignment.ip for assignment in given}) == len({assignment.mac for assignment in given}) == 4093
    with pytest.raises(NoAddressFree):
        addresses.assign("one more")


def test_a_card_more_keeps_the_others_as_they_are() -> None:
    addresses = tiny()
    first = addresses.assign("a")
    addresses.assign("b")
    both = addresses.assign("a", 2)
    assert both[:1] == first
    assert last_bytes(both) == [2, 4]
    assert both[0].mac != both[1].mac


def test_of_too_few_addresses_none_is_taken() -> None:
    addresses = tiny()
    first = addresses.assign("a")
    addresses.assign("b", 2)
    with pytest.raises(NoAddressFree):
        addresses.assign("a", 4)
    assert addresses.assign("a") == first
    assert last_bytes(addresses.assign("c", 2)) == [5, 6]


def test_a_card_less_gives_its_address_back() -> None:
    addresses = tiny()
    both = addresses.assign("a", 2)
    assert not addresses.hold("a", both)
    assert addresses.hold("a", both[1:])
    assert last_byte(addresses.assign("b")) == 2
    assert addresses.release("a")
    assert last_byte(addresses.assign("c")) == 3


def test_an_address_is_taken_by_whoever_has_it_but_for_oneself() -> None:
    addresses = tiny()
    mine = addresses.assign("a", 2)
    assert addresses.taken(mine, but_by="a") == []
    addresses.hold("b", mine[:1])
    assert addresses.taken(mine, but_by="a") == [mine[0].ip]
    assert addresses.taken(mine, but_by="nobody") == [each.ip for each in mine]


def test_what_has_been_let_go_twice_is_not_given_to_two_cards_of_one_instance() -> None:
    addresses = tiny()
    addresses.assign("a")
    addresses.assign("a", 2)
    addresses.release("a")
    first, second = addresses.assign("b", 2)
    assert first.ip != second.ip


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.booleans()), max_size=60))
def test_whatever_comes_and_goes_everybody_has_an_own_address_and_the_lowest(steps: list[tuple[str, bool]]) -> None:
    addresses, held = tiny(), {}
    for uid, comes in steps:
        if not comes:
            assert addresses.release(uid) == (held.pop(uid, None) is not None)
        elif uid in held or len(held) < 5:
            before = held.get(uid)
            held[uid] = last_byte(addresses.assign(uid))
            others = {byte for other, byte in held.items() if other != uid}
            assert held[uid] == before or held[uid] == min({2, 3, 4, 5, 6} - others)
        else:
            with pytest.raises(NoAddressFree):
                addresses.assign(uid)
        assert len(set(held.values())) == len(held)
