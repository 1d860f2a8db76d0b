"""Where a guest's CPUs and memory are: its NUMA cells, each on a cell of the host."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element
from hypernova_api.cpuset import format_cpuset

KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class NumaCell:
    """A cell of the guest. Memory and pages in bytes."""

    vcpus: tuple[int, ...]
    memory: int
    host_cell: int
    cpus: tuple[frozenset[int], ...]
    """CPUs of the host that each of `vcpus` may run on: one where it is pinned."""

    page_size: int = 0
    """Of huge pages; 0: ordinary memory."""


def cpus_of(cells: Collection[NumaCell]) -> frozenset[int]:
    """All CPUs that a guest may run on."""
    return frozenset().union(*(cpus for cell in cells for cpus in cell.cpus))


@dataclass(frozen=True, slots=True)
class NumaTune:
    """<numatune>: https://libvirt.org/formatdomain.html#numa-node-tuning

    Strict: a guest that does not fit its cell does not start, instead of being slow.
    """

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        return E.numatune(
            *(E.memnode(cellid=id_, mode="strict", nodeset=cell.host_cell) for id_, cell in enumerate(self.cells))
        )


@dataclass(frozen=True, slots=True)
class Numa:
    """<numa> of <cpu>: https://libvirt.org/formatdomain.html#guest-numa-topology"""

    cells: Sequence[tuple[Collection[int], int]]
    """Virtual CPUs and bytes of memory of each cell that the guest sees."""

    def xml(self) -> Element:
        return E.numa(
            *(
                E.cell(id=id_, cpus=format_cpuset(vcpus), memory=memory // KIB, unit="KiB")
                for id_, (vcpus, memory) in enumerate(self.cells)
            )
        )
