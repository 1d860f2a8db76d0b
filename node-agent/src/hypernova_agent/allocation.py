"""What the scheduler gave a guest of its host beside amounts: cells, CPUs, huge pages, devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypernova_agent.errors import BindingIncomplete
from hypernova_api import instance as api
from hypernova_api.flavor import FlavorSpec
from hypernova_api.quantity import Quantity


@dataclass(frozen=True, slots=True)
class GuestCell:
    """A NUMA cell of the guest. Memory and pages in bytes."""

    host_cell: int
    vcpus: tuple[int, ...]
    memory: int
    cpus: tuple[int, ...] = ()
    """Pinned CPUs of the host, one for each of `vcpus`; empty where they float over the host cell's shared ones."""

    idle_cpus: tuple[int, ...] = ()
    """CPUs that nobody gets, beside isolated ones."""

    page_size: int = 0
    """Of huge pages; 0: ordinary memory."""

    def __or__(self, other: GuestCell) -> GuestCell:
        """What is kept for either of two, of the same cell of the host and size of page."""
        cpus = {*self.cpus, *other.cpus}
        return GuestCell(
            host_cell=self.host_cell,
            vcpus=(),
            memory=max(self.memory, other.memory),
            cpus=tuple(sorted(cpus)),
            idle_cpus=tuple(sorted({*self.idle_cpus, *other.idle_cpus} - cpus)),
            page_size=self.page_size,
        )


@dataclass(frozen=True, slots=True)
class Allocation:
    """All of it; nothing, for a guest that the host's kernel places."""

    cells: tuple[GuestCell, ...] = ()
    devices: tuple[str, ...] = ()
    """Addresses of PCI devices."""

    def __or__(self, other: Allocation) -> Allocation:
        """What is kept for a guest that has either of two, or parts of both: to be counted, not to be built from."""
        if self == other:
            return self
        cells: dict[tuple[int, int], GuestCell] = {}
        for cell in (*self.cells, *other.cells):
            place = cell.host_cell, cell.page_size
            cells[place] = cells[place] | cell if place in cells else cell
        return Allocation(tuple(cells.values()), tuple(sorted({*self.devices, *other.devices})))


NO_ALLOCATION = Allocation()


def allocation_of(flavor: FlavorSpec, bound: api.Allocation | None) -> Allocation:
    """What a binding gives, as its flavor asks for.

    Raises:
        BindingIncomplete: they do not agree: no domain can be made of that.
    """
    bound = bound or api.Allocation()
    cells = tuple(_cell(cell) for cell in bound.cells)
    if lack := _lack(flavor, cells, len(bound.devices)):
        raise BindingIncomplete(
            f"the Instance is bound to this node, but its status.allocation {lack}: delete it and create it anew"
        )
    return Allocation(cells, tuple(device.address for device in bound.devices))


def _cell(cell: api.GuestCell) -> GuestCell:
    return GuestCell(
        host_cell=cell.cell,
        vcpus=tuple(cell.vcpus),
        memory=cell.memory.value,
        cpus=tuple(cell.cpus),
        idle_cpus=tuple(cell.idle_cpus),
        page_size=Quantity(cell.huge_page_size).value if cell.huge_page_size is not None else 0,
    )


def _lack(flavor: FlavorSpec, cells: Sequence[GuestCell], devices: int) -> str | None:
    """What an allocation lacks or has amiss, as a predicate."""
    dedicated = flavor.cpu is not None and flavor.cpu.policy == "Dedicated"
    wanted = flavor.numa.cells if flavor.numa is not None else int(dedicated or flavor.huge_page_size is not None)
    if wanted and len(cells) != wanted:
        return f"has {len(cells)} NUMA cells where the flavor asks for {wanted}"
    if cells and sorted(vcpu for cell in cells for vcpu in cell.vcpus) != list(range(flavor.vcpus)):
        return f"does not put each of the flavor's {flavor.vcpus} vCPUs into one NUMA cell"
    if cells and sum(cell.memory for cell in cells) != flavor.memory.value:
        return f"splits another amount of memory than the flavor's {flavor.memory}"
    if any(len(cell.cpus) != (len(cell.vcpus) if dedicated else 0) for cell in cells):
        return "has no CPU of the host for each vCPU" if dedicated else "pins vCPUs that the flavor says are shared"
    cpus = [cpu for cell in cells for cpu in (*cell.cpus, *cell.idle_cpus)]
    if len(cpus) != len(set(cpus)):
        return "gives a CPU of the host away twice"
    size = Quantity(flavor.huge_page_size).value if flavor.huge_page_size is not None else 0
    if any(cell.page_size != size for cell in cells):
        return f"has other pages than the flavor's, {flavor.huge_page_size or 'ordinary ones'}"
    asked = sum(request.count for request in flavor.devices)
    if devices != asked:
        return f"has {devices} PCI devices where the flavor asks for {asked}"
    return None
