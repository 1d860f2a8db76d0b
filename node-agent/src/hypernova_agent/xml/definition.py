"""What a domain is made of, from its XML: libvirt's or our own. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from hypernova_agent.host import Definition, Link
from hypernova_agent.xml.element import Element, parse
from hypernova_agent.xml.metadata import parse_metadata

_UNITS = {"b": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
"""Those that libvirt and we write."""


def parse_definition(xml: str) -> Definition:
    """What the XML of a domain says, running or not. What it lacks, as one made by other hands may, is empty or 0."""
    root = parse(xml)
    metadata = parse_metadata(xml)
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


def _memory(root: Element) -> tuple[int, int]:
    """Bytes that the guest has and can have: its own, and those of devices that it takes as much of as it is asked to.

    Its own are what its cells have: the sum that <memory> gives counts those devices whole.
    """
    devices = root.findall("./devices/memory/target")
    sizes = sum(_bytes(device.find("./size")) for device in devices)
    cells = sum(_bytes(cell, cell.get("memory")) for cell in root.iterfind("./cpu/numa/cell"))
    own = cells or _bytes(root.find("./memory")) - sizes
    if devices:
        return own + sum(_taken(device) for device in devices), own + sizes
    current = root.find("./currentMemory")
    return (_bytes(current) if current is not None else own), own


def _taken(device: Element) -> int:
    """Of a running guest what it has taken, else what it will be asked to; a device that has neither is there whole."""
    for tag in ("current", "requested", "size"):
        found = device.find(f"./{tag}")
        if found is not None:
            return _bytes(found)
    return 0


def _bytes(element: Element | None, number: str | None = None) -> int:
    """The element's text, or the number given, in the element's unit."""
    if element is None:
        return 0
    return int(number or element.text or 0) * _UNITS[element.get("unit", "KiB")]
