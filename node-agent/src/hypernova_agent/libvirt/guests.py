"""What can be changed of guests while they run: each function is one blocking call of `Connection.call`."""

from __future__ import annotations

import libvirt

from hypernova_agent.host import GuestUnreachable, HostError, Link
from hypernova_agent.libvirt.errors import says, shortened
from hypernova_agent.xml.definition import KIB, parse_link
from hypernova_agent.xml.element import parse
from hypernova_agent.xml.live import interface_alias, interface_with_link, pluggable_memory

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


def set_vcpus(virt: libvirt.virConnect, uid: str, count: int) -> None:
    """Plug CPUs in or ask the guest to let some go, for which libvirt waits 5 s."""
    try:
        virt.lookupByUUIDString(uid).setVcpusFlags(count, _LIVE)
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_OPERATION_TIMEOUT):
            raise GuestUnreachable(shortened(str(error))) from error
        raise


def set_memory(virt: libvirt.virConnect, uid: str, size: int) -> None:
    """Ask the guest to take so many bytes: of its memory devices, or of its balloon if it has none."""
    found = virt.lookupByUUIDString(uid)
    devices = pluggable_memory(found.XMLDesc(), size)
    for device in devices:
        found.updateDeviceFlags(device, _LIVE)
    if not devices:
        found.setMemoryFlags(size // KIB, _LIVE)


def attach_interface(virt: libvirt.virConnect, uid: str, xml: str) -> None:
    """Plug the card in, unless one of its MAC is."""
    found = virt.lookupByUUIDString(uid)
    if interface_alias(found.XMLDesc(), parse_link(parse(xml)).mac) is None:
        found.attachDeviceFlags(xml, _LIVE)


def detach_interface(virt: libvirt.virConnect, uid: str, mac: str) -> None:
    """Ask the guest to let the card go, if it is there."""
    found = virt.lookupByUUIDString(uid)
    alias = interface_alias(found.XMLDesc(), mac)
    try:
        if alias is not None:
            found.detachDeviceAlias(alias, _LIVE)
    except libvirt.libvirtError as error:
        # It went meanwhile, or has been asked already.
        if not says(error, libvirt.VIR_ERR_DEVICE_MISSING) and "in the process of unplug" not in str(error):
            raise


def set_link(virt: libvirt.virConnect, uid: str, link: Link) -> None:
    """Plug the card's cable in or pull it."""
    found = virt.lookupByUUIDString(uid)
    interface = interface_with_link(found.XMLDesc(), link.mac, up=link.up)
    if interface is None:
        raise HostError(f"the guest has no network card {link.mac}")
    found.updateDeviceFlags(interface, _LIVE)


def inject_nmi(virt: libvirt.virConnect, uid: str) -> None:
    """Interrupt the guest."""
    virt.lookupByUUIDString(uid).injectNMI()
