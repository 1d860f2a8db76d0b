"""Devices of a host: https://libvirt.org/formatnode.html"""

from __future__ import annotations

from hypernova_agent.host import PciDevice
from hypernova_agent.xml.element import Element, parse

_BRIDGES = 0x06
"""The class of PCI's host, ISA, PCI and other bridges: parts of the host that no guest can have."""


def parse_pci_device(xml: str) -> PciDevice | None:
    """The PCI device, from virNodeDeviceGetXMLDesc; None for bridges."""
    pci = parse(xml).find("./capability[@type='pci']")
    if pci is None or int(pci.findtext("./class", "0"), 16) >> 16 == _BRIDGES:
        return None
    place = [int(pci.findtext(f"./{part}", "0")) for part in ("domain", "bus", "slot", "function")]
    numa = pci.find("./numa[@node]")
    return PciDevice(
        address="{:04x}:{:02x}:{:02x}.{:x}".format(*place),
        vendor=_id(pci, "vendor"),
        product=_id(pci, "product"),
        cell=None if numa is None else int(numa.attrib["node"]),
    )


def _id(pci: Element, part: str) -> str:
    """`<vendor id='0x10de'>` is 10de."""
    found = pci.find(f"./{part}")
    return f"{int(found.get('id', '0'), 16) if found is not None else 0:04x}"
