"""What a host has to give to Instances, joined of what it is and what its administrator says of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from hypernova_agent.allocation import Allocation
from hypernova_agent.host import HostCell, HostFacts, PciDevice
from hypernova_agent.xml.numa import NumaCell
from hypernova_api.cpuset import format_cpuset, parse_cpuset
from hypernova_api.hypervisor import HypervisorSpec, Passthrough
from hypernova_api.overcommit import Overcommit


@dataclass(frozen=True, slots=True)
class Room:
    """What there is, before overcommit. Memory and disk in bytes."""

    vcpus: int
    """CPUs that guests share."""

    memory: int
    """Ordinary memory: the host's own reserve and huge pages left out."""

    disk: int
    overcommit: Overcommit = field(default_factory=Overcommit)
    """What the administrator says of this host."""

    cells: Mapping[int, HostCell] = field(default_factory=dict)
    """By number."""

    dedicated: frozenset[int] = frozenset()
    """CPUs for guests that get their own."""

    devices: frozenset[str] = frozenset()
    """Addresses of the PCI devices that guests may have."""

    @property
    def shared_cpus(self) -> str:
        """The CPUs that all guests without their own share, as a set; empty where that is all there are."""
        return format_cpuset(self._all_cpus() - self.dedicated) if self.dedicated else ""

    def shared_in(self, cell: int) -> frozenset[int]:
        """The CPUs of one cell that guests share."""
        return self.cells[cell].cpus - self.dedicated if cell in self.cells else frozenset()

    def numa_cells(self, allocation: Allocation) -> tuple[NumaCell, ...]:
        """The cells of a guest, each virtual CPU with the CPUs it may run on."""
        return tuple(
            NumaCell(
                vcpus=cell.vcpus,
                memory=cell.memory,
                host_cell=cell.host_cell,
                cpus=tuple(frozenset({cpu}) for cpu in cell.cpus)
                or (self.shared_in(cell.host_cell),) * len(cell.vcpus),
                page_size=cell.page_size,
            )
            for cell in allocation.cells
        )

    def _all_cpus(self) -> frozenset[int]:
        return frozenset().union(*(cell.cpus for cell in self.cells.values()))


def room_of(facts: HostFacts, spec: HypervisorSpec, reserved_memory: int) -> Room:
    """What a host gives; `reserved_memory` are bytes kept from Instances."""
    dedicated = _dedicated(facts, spec)
    huge = sum(size * count for cell in facts.cells for size, count in cell.huge_pages.items())
    return Room(
        vcpus=facts.cpus - len(dedicated),
        memory=max(facts.memory - huge - reserved_memory, 0),
        disk=facts.disk,
        overcommit=spec.overcommit or Overcommit(),
        cells={cell.id: cell for cell in facts.cells},
        dedicated=dedicated,
        devices=frozenset(device.address for device in facts.devices if for_guests(device, spec.passthrough)),
    )


def for_guests(device: PciDevice, rules: Collection[Passthrough]) -> bool:
    """Whether the administrator lets guests have a device."""
    return any(
        (rule.vendor_id, rule.product_id) == (device.vendor, device.product)
        and (not rule.addresses or device.address in rule.addresses)
        for rule in rules
    )


def unknown_cpus(facts: HostFacts, spec: HypervisorSpec) -> str:
    """Those of spec.dedicatedCpus that the host lacks, as a set; all that it says if it is none; empty for none."""
    try:
        return format_cpuset(parse_cpuset(spec.dedicated_cpus) - _cpus(facts))
    except ValueError:
        return spec.dedicated_cpus


def _dedicated(facts: HostFacts, spec: HypervisorSpec) -> frozenset[int]:
    """Those that the host has."""
    try:
        return parse_cpuset(spec.dedicated_cpus) & _cpus(facts)
    except ValueError:
        return frozenset()


def _cpus(facts: HostFacts) -> frozenset[int]:
    return frozenset().union(*(cell.cpus for cell in facts.cells))
