"""The default network: each function is one blocking call of `Connection.call`, one at a time per network."""

from __future__ import annotations

from collections.abc import Sequence

import libvirt

from hypernova_agent.host import HostError, Reservation
from hypernova_agent.libvirt.errors import says
from hypernova_agent.xml.network import NatNetwork, network_xml, parse_gateway, parse_reservations, reservation_xml
from hypernova_agent.xml.reservations import Command, Update, to_release, to_reserve

_NOW_AND_LATER = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE | libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG


_COMMANDS = {
    Command.ADD: libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
    Command.MODIFY: libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY,
    Command.DELETE: libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE,
}


def ensure(virt: libvirt.virConnect, wanted: NatNetwork) -> None:
    """Make the network exist and run, now and after every start of the host; one that exists is taken as it is.

    Raises:
        HostError: it exists with other addresses, which the guests' would not fit.
    """
    try:
        network = virt.networkLookupByName(wanted.name)
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_NETWORK):
            raise
        network = virt.networkDefineXML(network_xml(wanted))
    found = parse_gateway(network.XMLDesc())
    if found != wanted.gateway:
        raise HostError(
            f"libvirt's network {wanted.name} has address {found}, guests' need {wanted.gateway}: "
            "delete it (virsh net-destroy, net-undefine) to have it made anew"
        )
    if not network.isActive():
        network.create()
    network.setAutostart(1)


def reservations(virt: libvirt.virConnect, network: str) -> list[Reservation]:
    """The reservations in force."""
    return parse_reservations(virt.networkLookupByName(network).XMLDesc())


def reserve(virt: libvirt.virConnect, network: str, wanted: Reservation) -> None:
    """Make the reservation; others that share MAC, address or host name are outdated and go."""
    _update(virt, network, to_reserve(wanted, reservations(virt, network)))


def release(virt: libvirt.virConnect, network: str, mac: str) -> None:
    """Take the MAC's reservation away."""
    _update(virt, network, to_release(mac, reservations(virt, network)))


def _update(virt: libvirt.virConnect, network: str, changes: Sequence[Update]) -> None:
    found = virt.networkLookupByName(network)
    for change in changes:
        found.update(
            _COMMANDS[change.command],
            libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
            -1,
            reservation_xml(change.reservation),
            _NOW_AND_LATER,
        )
