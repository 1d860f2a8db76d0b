"""Devices of a running guest, from its XML, as libvirt wants them back to change them."""

from __future__ import annotations

from hypernova_agent.xml.definition import KIB, own_memory, size_in
from hypernova_agent.xml.element import E, Element, parse, serialize


def pluggable_memory(xml: str, size: int) -> list[str]:
    """Its memory devices, asked for what of `size` bytes the guest does not have as its own.

    The first ones first, each in whole blocks; none for a guest that has no such device.
    """
    root = parse(xml)
    left = max(size - own_memory(root), 0)
    asked = []
    for device in root.iterfind("./devices/memory[@model='virtio-mem']"):
        requested = device.find("./target/requested")
        if requested is None:
            continue
        block = size_in(device.find("./target/block")) or 1
        part = min(left, size_in(device.find("./target/size"))) // block * block
        requested.set("unit", "KiB")
        requested.text = str(part // KIB)
        left -= part
        asked.append(serialize(device))
    return asked


def interface_alias(xml: str, mac: str) -> str | None:
    """What libvirt calls the network card; None if the guest has none of this MAC."""
    interface = _interface(xml, mac)
    alias = None if interface is None else interface.find("./alias")
    return None if alias is None else alias.get("name")


def interface_with_link(xml: str, mac: str, *, up: bool) -> str | None:
    """The network card with its cable plugged in or pulled; None if the guest has none of this MAC."""
    interface = _interface(xml, mac)
    if interface is None:
        return None
    for link in interface.findall("./link"):
        interface.remove(link)
    interface.append(E.link(state="up" if up else "down"))
    return serialize(interface)


def disk_target(xml: str, volume: str) -> str | None:
    """What the guest's disk with this volume is called, e.g. `vda`; None if it has no such disk."""
    for disk in parse(xml).iterfind("./devices/disk"):
        source, target = disk.find("./source"), disk.find("./target")
        if source is not None and target is not None and source.get("volume") == volume:
            return target.get("dev")
    return None


def agent_connected(xml: str) -> bool:
    """Whether an agent in the guest listens."""
    target = parse(xml).find("./devices/channel/target[@name='org.qemu.guest_agent.0']")
    return target is not None and target.get("state") == "connected"


def _interface(xml: str, mac: str) -> Element | None:
    for interface in parse(xml).iterfind("./devices/interface"):
        address = interface.find("./mac")
        if address is not None and address.get("address") == mac:
            return interface
    return None
