"""What can be changed of guests while they run: each function is one blocking call of `Connection.call`."""

from __future__ import annotations

import libvirt

from hypernova_agent.host import GuestUnreachable, HostError, Link
from hypernova_agent.libvirt.errors import says, shortened
from hypernova_agent.xml.definition import KIB, parse_definition, parse_link
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
    found, xml = _running(virt, uid)
    most = parse_definition(xml).max_memory
    if size > most:
        raise HostError(f"the guest can have no more than {most} bytes of memory while it runs")
    devices = pluggable_memory(xml, size)
    for device in devices:
        found.updateDeviceFlags(device, _LIVE)
    if not devices:
        found.setMemoryFlags(size // KIB, _LIVE)


def attach_interface(virt: libvirt.virConnect, uid: str, xml: str) -> None:
    """Plug the card in, unless one of its MAC is."""
    found, now = _running(virt, uid)
    if interface_alias(now, parse_link(parse(xml)).mac) is None:
        found.attachDeviceFlags(xml, _LIVE)


def detach_interface(virt: libvirt.virConnect, uid: str, mac: str) -> None:
    """Ask the guest to let the card go, if it is there."""
    found, now = _running(virt, uid)
    alias = interface_alias(now, mac)
    try:
        if alias is not None:
            found.detachDeviceAlias(alias, _LIVE)
    except libvirt.libvirtError as error:
        # It went meanwhile, or has been asked already.
        if not says(error, libvirt.VIR_ERR_DEVICE_MISSING) and "in the process of unplug" not in str(error):
            raise


def set_link(virt: libvirt.virConnect, uid: str, link: Link) -> None:
    """Plug the card's cable in or pull it."""
    found, now = _running(virt, uid)
    interface = interface_with_link(now, link.mac, up=link.up)
    if interface is None:
        raise HostError(f"the guest has no network card {link.mac}")
    found.updateDeviceFlags(interface, _LIVE)


def inject_nmi(virt: libvirt.virConnect, uid: str) -> None:
    """Interrupt the guest."""
    virt.lookupByUUIDString(uid).injectNMI()


def _running(virt: libvirt.virConnect, uid: str) -> tuple[libvirt.virDomain, str]:
    """A domain that runs, and its XML as it is now: that of one that is off shows what it will be."""
    found = virt.lookupByUUIDString(uid)
    if not found.isActive():
        raise HostError("the guest does not run")
    return found, found.XMLDesc()
