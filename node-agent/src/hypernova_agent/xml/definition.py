"""What a domain is made of, from its XML: libvirt's or our own. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from hypernova_agent.host import Definition, Link
from hypernova_agent.xml.element import Element, parse
from hypernova_agent.xml.metadata import metadata_of

KIB = 1 << 10
_UNITS = {"b": 1, "bytes": 1, "KiB": KIB, "MiB": 1 << 20, "GiB": 1 << 30}
"""Those that libvirt and we write."""


def parse_definition(xml: str) -> Definition:
    """What the XML of a domain says, running or not. What it lacks, as one made by other hands may, is empty or 0."""
    return definition_of(parse(xml))


def definition_of(root: Element) -> Definition:
    """As `parse_definition`, of XML that has been parsed."""
    metadata = metadata_of(root)
    vcpu = root.find("./vcpu")
    max_vcpus = int(vcpu.text or 1) if vcpu is not None else 1
    memory, max_memory = _memory(root)
    return Definition(
        vcpus=int(vcpu.get("current", max_vcpus)) if vcpu is not None else max_vcpus,
        max_vcpus=max_vcpus,
        memory=memory,
        max_memory=max_memory,
        volumes=tuple(source.attrib["volume"] for source in root.iterfind("./devices/disk/source[@volume]")),
        links=tuple(parse_link(interface) for interface in root.iterfind("./devices/interface")),
        digest=metadata.digest if metadata else "",
        boot=metadata.boot if metadata else "",
    )


def parse_link(interface: Element) -> Link:
    """The card and cable of an <interface>."""
    mac, link = interface.find("./mac"), interface.find("./link")
    return Link(mac.get("address", "") if mac is not None else "", up=link is None or link.get("state") != "down")


def own_memory(root: Element) -> int:
    """Bytes of a domain that are in no device: those of its cells, as the sum in <memory> counts each device whole."""
    cells = sum(size_in(cell, cell.get("memory")) for cell in root.iterfind("./cpu/numa/cell"))
    devices = sum(size_in(size) for size in root.iterfind("./devices/memory/target/size"))
    return cells or size_in(root.find("./memory")) - devices


def size_in(element: Element | None, number: str | None = None) -> int:
    """Bytes: the element's text, or the number given, in the element's unit; 0 without an element."""
    if element is None:
        return 0
    return int(number or element.text or 0) * _UNITS[element.get("unit", "KiB")]


def _memory(root: Element) -> tuple[int, int]:
    """Bytes that the guest has and can have: its own, and those of devices that can be filled while it runs."""
    own, devices = own_memory(root), root.findall("./devices/memory/target")
    if devices:
        return own + sum(_taken(device) for device in devices), own + sum(
            size_in(device.find("./size")) for device in devices
        )
    current = root.find("./currentMemory")
    return (size_in(current) if current is not None else own), own


def _taken(device: Element) -> int:
    """Of a running guest what it has taken, else what it will be asked to; a device that has neither is there whole."""
    for tag in ("current", "requested", "size"):
        found = device.find(f"./{tag}")
        if found is not None:
            return size_in(found)
    return 0
