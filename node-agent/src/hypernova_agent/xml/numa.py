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
class CpuTune:
    """<cputune>: https://libvirt.org/formatdomain.html#cpu-tuning

    QEMU's own threads stay on the guest's CPUs: they disturb nobody but this guest. (Nova does so, too, unless a flavor
    says otherwise.) All of it holds under emulation as well: each virtual CPU has a thread of its own there.
    """

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        pins = {
            vcpu: format_cpuset(cpus) for cell in self.cells for vcpu, cpus in zip(cell.vcpus, cell.cpus, strict=True)
        }
        return E.cputune(
            *(E.vcpupin(vcpu=vcpu, cpuset=cpuset) for vcpu, cpuset in sorted(pins.items())),
            E.emulatorpin(cpuset=format_cpuset(cpus_of(self.cells))),
        )


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
class MemoryBacking:
    """<memoryBacking>: https://libvirt.org/formatdomain.html#memory-backing"""

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        sizes = sorted({cell.page_size for cell in self.cells if cell.page_size})
        return E.memoryBacking(E.hugepages(*(self._page(size) for size in sizes)))

    def _page(self, size: int) -> Element:
        cells = [id_ for id_, cell in enumerate(self.cells) if cell.page_size == size]
        return E.page(size=size // KIB, unit="KiB", nodeset=format_cpuset(cells))


@dataclass(frozen=True, slots=True)
class Numa:
    """<numa> of <cpu>: https://libvirt.org/formatdomain.html#guest-numa-topology"""

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        return E.numa(
            *(
                E.cell(id=id_, cpus=format_cpuset(cell.vcpus), memory=cell.memory // KIB, unit="KiB")
                for id_, cell in enumerate(self.cells)
            )
        )
