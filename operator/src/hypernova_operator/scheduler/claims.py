"""What Instances take of hosts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypernova_operator.scheduler.resources import Resources


@dataclass(frozen=True, slots=True)
class AllocatedCell:
    """What a NUMA cell of a guest got of a cell of the host; fields as in hypernova_api.instance.GuestCell."""

    cell: int
    vcpus: tuple[int, ...]
    cpus: tuple[int, ...]
    """Pinned CPUs, one for each of `vcpus`; empty where they float."""

    memory: int
    """Bytes."""

    page_size: int = 0
    """Bytes; 0: ordinary memory."""

    idle_cpus: tuple[int, ...] = ()
    """Threads that nobody else may have: left idle beside isolated ones."""

    def __or__(self, other: AllocatedCell) -> AllocatedCell:
        """What must be kept for either of two, of the same cell and size of page."""
        cpus = {*self.cpus, *other.cpus}
        idle = {*self.idle_cpus, *other.idle_cpus} - cpus
        memory = max(self.memory, other.memory)
        return AllocatedCell(self.cell, (), tuple(sorted(cpus)), memory, self.page_size, tuple(sorted(idle)))


@dataclass(frozen=True, slots=True)
class Allocation:
    """What an Instance got beside amounts. Devices as (alias, address)."""

    cells: tuple[AllocatedCell, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cells or self.devices)

    def __or__(self, other: Allocation) -> Allocation:
        """What must be kept for a guest that has either of two, or parts of both: to be counted, not to be handed out.

        CPUs and devices of both; of memory, the more in each cell.
        """
        if not other or self == other:
            return self
        if not self:
            return other
        cells: dict[tuple[int, int], AllocatedCell] = {}
        for cell in (*self.cells, *other.cells):
            place = cell.cell, cell.page_size
            cells[place] = cells[place] | cell if place in cells else cell
        # In an order of their own: a resize that is called off swaps the two, and takes what it took.
        return Allocation(
            tuple(cells[place] for place in sorted(cells)), tuple(sorted({*self.devices, *other.devices}))
        )


NO_ALLOCATION = Allocation()


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Instance takes of a host: assumed, bound or being deleted alike."""

    host: str
    resources: Resources
    group: str = ""
    """`namespace/name` of its InstanceGroup."""

    image: str = ""
    """SHA-256 of its Image."""

    allocation: Allocation = NO_ALLOCATION
    building: bool = False
    """Whether it is under construction."""


@dataclass(slots=True)
class Taken:
    """What allocations hold of one host's cells and devices. Memory in bytes."""

    cpus: set[int] = field(default_factory=set)
    memory: Counter[int] = field(default_factory=Counter)
    """Ordinary memory by cell."""

    huge_pages: Counter[tuple[int, int]] = field(default_factory=Counter)
    """By cell and size of page."""

    devices: set[str] = field(default_factory=set)
    """Addresses."""


def taken(allocations: Iterable[Allocation]) -> Taken:
    """The sum of allocations on one host."""
    total = Taken()
    for allocation in allocations:
        for cell in allocation.cells:
            total.cpus.update(cell.cpus, cell.idle_cpus)
            if cell.page_size:
                total.huge_pages[cell.cell, cell.page_size] += cell.memory
            else:
                total.memory[cell.cell] += cell.memory
        total.devices.update(address for _, address in allocation.devices)
    return total
