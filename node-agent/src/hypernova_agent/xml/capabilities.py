"""What a host's libvirt says of the host itself: https://libvirt.org/formatcaps.html"""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.host import HostCell
from hypernova_agent.xml.element import Element, parse
from hypernova_api.cpuset import parse_cpuset

KIB = 1 << 10
_HUGE = (2 << 20, 1 << 30)
"""Bytes of the huge pages that guests can ask for."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor as libvirt names it; empty where it doesn't know."""

    model: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The host itself."""

    architecture: str
    cpu: Cpu
    domain_types: frozenset[str]
    """For guests of the host's own architecture."""

    cells: tuple[HostCell, ...]
    """By number."""


def parse_capabilities(xml: str) -> Capabilities:
    """The host, from virConnectGetCapabilities."""
    root = parse(xml)
    architecture = root.findtext("./host/cpu/arch", "")
    types = root.iterfind(f"./guest/arch[@name='{architecture}']/domain[@type]")
    cells = [_cell(cell) for cell in root.iterfind("./host/topology/cells/cell")]
    return Capabilities(
        architecture=architecture,
        cpu=Cpu(model=root.findtext("./host/cpu/model", ""), vendor=root.findtext("./host/cpu/vendor", "")),
        domain_types=frozenset(found.attrib["type"] for found in types),
        cells=tuple(sorted(cells, key=lambda cell: cell.id)),
    )


def _cell(cell: Element) -> HostCell:
    # A CPU that is offline has no siblings: it is nobody's until it is back.
    threads = {parse_cpuset(cpu.attrib["siblings"]) for cpu in cell.iterfind("./cpus/cpu[@siblings]")}
    pages = {int(page.attrib["size"]) * KIB: int(page.text or 0) for page in cell.iterfind("./pages[@unit='KiB']")}
    return HostCell(
        id=int(cell.attrib["id"]),
        cores=tuple(sorted(threads, key=min)),
        memory=int(cell.findtext("./memory[@unit='KiB']", "0")) * KIB,
        # The counts are of all pages, used or not. Those of ordinary size are left out: their number is no news.
        huge_pages={size: pages[size] for size in _HUGE if pages.get(size)},
    )
