"""The default network and its DHCP reservations: https://libvirt.org/formatnetwork.html"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

from hypernova_agent.host import Reservation
from hypernova_agent.xml.element import E, Element, parse, serialize


@dataclass(frozen=True, slots=True)
class NatNetwork:
    """<network>: guests reach the world through their host's address, the world doesn't reach them."""

    name: str
    bridge: str
    """At most 15 characters, Linux's limit."""

    cidr: IPv4Network

    @property
    def gateway(self) -> IPv4Interface:
        """The host's own address, the first: gateway, DHCP and DNS server of the guests."""
        return IPv4Interface((next(self.cidr.hosts()), self.cidr.prefixlen))

    def xml(self) -> Element:
        return E.network(
            E.name(self.name),
            E.forward(mode="nat"),
            E.bridge(name=self.bridge, stp="off", delay=0),
            # No range: DHCP answers only those who have a reservation.
            E.ip(address=self.gateway.ip, prefix=self.cidr.prefixlen),
        )


def network_xml(network: NatNetwork) -> str:
    """The XML to define the network with."""
    return serialize(network.xml())


def reservation_xml(reservation: Reservation) -> str:
    """The <host> of <dhcp>."""
    return serialize(E.host(mac=reservation.mac, ip=reservation.ip, name=reservation.hostname))


def parse_reservations(xml: str) -> list[Reservation]:
    """All reservations of a network."""
    hosts = [host.attrib for host in parse(xml).iterfind("./ip/dhcp/host[@mac][@ip][@name]")]
    return [Reservation(mac=host["mac"], ip=host["ip"], hostname=host["name"]) for host in hosts]


def parse_gateway(xml: str) -> IPv4Interface | None:
    """The host's own IPv4 address on a network."""
    for ip in parse(xml).iterfind("./ip[@address]"):
        if ip.get("family", "ipv4") == "ipv4":
            return IPv4Interface((ip.attrib["address"], ip.get("prefix") or ip.get("netmask") or 32))
    return None
