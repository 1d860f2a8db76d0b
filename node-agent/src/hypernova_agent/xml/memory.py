"""The guest's memory: https://libvirt.org/formatdomain.html#memory-allocation"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element
from hypernova_agent.xml.numa import KIB, NumaCell
from hypernova_api.cpuset import format_cpuset


@dataclass(frozen=True, slots=True)
class Memory:
    """<memory>: https://libvirt.org/formatdomain.html#memory-allocation"""

    size: int
    """Bytes at power-on; libvirt keeps whole KiB."""

    def xml(self) -> Element:
        return E.memory(str(self.size // KIB), unit="KiB")


@dataclass(frozen=True, slots=True)
class MaxMemory:
    """<maxMemory>: https://libvirt.org/formatdomain.html#memory-allocation"""

    size: int
    """Bytes that the guest can have without being started anew."""

    def xml(self) -> Element:
        return E.maxMemory(str(self.size // KIB), unit="KiB", slots=1)


@dataclass(frozen=True, slots=True)
class MemoryBacking:
    """<memoryBacking>: https://libvirt.org/formatdomain.html#memory-backing"""

    locked: bool
    """Whether the host may not swap it out."""

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        sizes = sorted({cell.page_size for cell in self.cells if cell.page_size})
        return E.memoryBacking(
            E.hugepages(*(self._page(size) for size in sizes)) if sizes else None,
            E.locked() if self.locked else None,
        )

    def _page(self, size: int) -> Element:
        cells = [id_ for id_, cell in enumerate(self.cells) if cell.page_size == size]
        return E.page(size=size // KIB, unit="KiB", nodeset=format_cpuset(cells))
