"""A host as the scheduler sees it: what it is and has, joined of everything that says something of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hypernova_api.overcommit import DEFAULT_RATIOS, Ratios
from hypernova_api.selectors import LabelSelector
from hypernova_operator.scheduler.resources import Resources

NO_LIMIT = 2**31 - 1


class Taint(NamedTuple):
    """A Node's taint."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Isolation:
    """Who an aggregate's hosts are kept for."""

    selector: LabelSelector
    """Of the labels of namespaces, or of Images."""

    confine: bool
    """Whether those who are selected go nowhere else."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A HostAggregate, as far as its hosts are judged by it. All its hosts share the object."""

    name: str
    metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The values of each key: those between the commas."""

    projects: Isolation | None = None
    images: Isolation | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A NUMA cell of a host. Memory in bytes."""

    id: int
    cores: tuple[tuple[int, ...], ...]
    """CPU numbers, the threads of a core together."""

    memory: int
    """Ordinary memory: what is set aside as huge pages left out."""

    huge_pages: Mapping[int, int] = field(default_factory=dict)
    """Bytes set aside, by size of page in bytes."""


@dataclass(frozen=True, slots=True)
class Device:
    """A PCI device that a guest may have."""

    alias: str
    address: str
    cell: int | None


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor node."""

    name: str

    labelled: bool
    """Whether its Node says that it takes Instances."""

    trouble: str
    """Why its agent can't be relied on now, in a few words; empty when it can."""

    maintenance: bool

    disabled: str
    """The administrator's reason for giving it no new Instances; empty when it is enabled."""

    total: Resources
    """What Instances may claim, overcommit included; shared CPUs and ordinary memory only."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """The Node's."""

    taints: tuple[Taint, ...] = ()
    """The Node's, those left out that are no business of Instances."""

    zones: tuple[str, ...] = ()
    """AvailabilityZones that its aggregates put it in, sorted; more than one is a conflict."""

    cpu_models: tuple[str, ...] = ()
    """CPU models that its aggregates have guests see, sorted; more than one is a conflict."""

    aggregates: tuple[Aggregate, ...] = ()
    """By name."""

    ratios: Ratios = DEFAULT_RATIOS
    """The overcommit that `total` was reckoned with."""

    architecture: str = ""
    domain_type: str = ""
    firmware: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    """What the agent found out and the administrator says."""

    qemu_version: int = 0
    """7.2.0 is 7002000; 0 when not known."""

    dedicated: frozenset[int] = frozenset()
    """CPUs set apart for guests with dedicated ones."""

    cells: tuple[Cell, ...] = ()
    """NUMA cells, by number."""

    devices: tuple[Device, ...] = ()
    """PCI devices that guests may have, by address."""

    max_instances: int = NO_LIMIT
    max_builds: int = NO_LIMIT
    """Instances on it that may be under construction at once."""

    multipliers: Mapping[str, float] = field(default_factory=dict)
    """What its aggregates say of how much weights count, by the weight's name."""

    @property
    def zone(self) -> str:
        """The zone it is in; empty when in none, or in several."""
        return self.zones[0] if len(self.zones) == 1 else ""

    @property
    def cpu_model(self) -> str:
        """The CPU model that guests see; empty: the host's own, or nobody can say."""
        return self.cpu_models[0] if len(self.cpu_models) == 1 else ""

    @property
    def settled(self) -> bool:
        """Whether its aggregates put it in no more than one zone, and name no more than one CPU model."""
        return len(self.zones) <= 1 and len(self.cpu_models) <= 1
