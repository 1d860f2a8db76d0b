"""The default network: each function is one blocking call of `Connection.call`, one at a time per network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import libvirt

from hypernova_agent.host import Reservation
from hypernova_agent.libvirt.errors import says
from hypernova_agent.xml.network import NatNetwork, network_xml, parse_reservations, reservation_xml

_NOW_AND_LATER = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE | libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG


class Command(Enum):
    """What virNetworkUpdate does with an entry."""

    ADD = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
    MODIFY = libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY
    DELETE = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE


@dataclass(frozen=True, slots=True)
class Update:
    """One virNetworkUpdate of a reservation."""

    command: Command
    reservation: Reservation


def ensure(virt: libvirt.virConnect, wanted: NatNetwork) -> None:
    """Make the network exist and run, now and after every start of the host; one that exists is taken as it is."""
    try:
        network = virt.networkLookupByName(wanted.name)
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_NETWORK):
            raise
        network = virt.networkDefineXML(network_xml(wanted))
    if not network.isActive():
        network.create()
    network.setAutostart(1)


def reservations(virt: libvirt.virConnect, network: str) -> list[Reservation]:
    """The reservations in force."""
    return parse_reservations(virt.networkLookupByName(network).XMLDesc())


def reserve(virt: libvirt.virConnect, network: str, wanted: Reservation) -> None:
    """Make the reservation; others of the same MAC or address are outdated and go."""
    _update(virt, network, updates(reservations(virt, network), wanted))


def release(virt: libvirt.virConnect, network: str, mac: str) -> None:
    """Take the MAC's reservation away."""
    outdated = [found for found in reservations(virt, network) if found.mac == mac]
    _update(virt, network, [Update(Command.DELETE, found) for found in outdated])


def updates(current: Sequence[Reservation], wanted: Reservation) -> list[Update]:
    """The fewest updates that make the reservation, each costs 0.4 s: libvirt rebuilds the firewall at every one. Pure.

    libvirt refuses an entry that shares MAC, address or host name with another, and modifies the first that shares
    any of them. MAC and address are the Instance's own, so who else has them is gone; but instances of two namespaces
    may well share a host name: the later one does without, and learns its name from its config drive.
    """
    rivals = [found for found in current if found.mac == wanted.mac or found.ip == wanted.ip]
    if any(found.hostname == wanted.hostname for found in current if found not in rivals):
        wanted = replace(wanted, hostname="")
    if rivals == [wanted]:
        return []
    if not rivals:
        return [Update(Command.ADD, wanted)]
    return [*(Update(Command.DELETE, rival) for rival in rivals[1:]), Update(Command.MODIFY, wanted)]


def _update(virt: libvirt.virConnect, network: str, changes: Sequence[Update]) -> None:
    found = virt.networkLookupByName(network)
    for change in changes:
        found.update(
            change.command.value,
            libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            reservation_xml(change.reservation),
            _NOW_AND_LATER,
        )
