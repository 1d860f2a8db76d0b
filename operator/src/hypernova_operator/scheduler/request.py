"""What an Instance wants of its host."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from hypernova_operator.scheduler.resources import Resources

Policy = Literal["Affinity", "AntiAffinity", "SoftAffinity", "SoftAntiAffinity"]
ThreadPolicy = Literal["Prefer", "Require", "Isolate"]
Labels = tuple[tuple[str, str], ...]
"""Labels as sorted pairs, so that they can be compared and hashed."""


class Group(NamedTuple):
    """The InstanceGroup it is a member of."""

    key: str
    """`namespace/name`."""

    policy: Policy
    max_per_host: int
    """For AntiAffinity."""


class Toleration(NamedTuple):
    """A taint it puts up with; an empty `effect` is any."""

    key: str
    operator: Literal["Equal", "Exists"]
    value: str
    effect: str


class Requirement(NamedTuple):
    """What the metadata of the host's aggregates must say; as in hypernova_api.flavor.AggregateRequirement."""

    key: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceWant:
    """PCI devices of a kind."""

    alias: str
    count: int
    near: bool
    """Whether they must be in the guest's cells."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an Instance wants of its host. Equal requests get equal verdicts; what is left out matters nothing to it."""

    vcpus: int
    memory: int
    """Bytes."""

    disk: int
    """Bytes; 0 claims none."""

    namespace_labels: Labels = ()
    confined_to: frozenset[str] | None = None
    """Aggregates that confine its namespace: it goes to their hosts only. None: to all."""

    image: str = ""
    """SHA-256 of its Image."""

    image_host: str = ""
    """The one host that has it: a snapshot made there. Empty: all can fetch it."""

    image_labels: Labels = ()
    image_confined_to: frozenset[str] | None = None
    """Aggregates that confine its Image."""

    zone: str = ""
    node_selector: Labels = ()
    tolerations: tuple[Toleration, ...] = ()
    node_name: str = ""
    """The one host it may go to."""

    excluded: frozenset[str] = frozenset()
    """Hosts it must not go to: those a migration comes from, or has failed on."""

    evacuated: bool = False
    """Whether its host failed: it may take what reserves keep for that."""

    same_hosts: frozenset[str] = frozenset()
    """Where the Instances are that it must be with: it fits there only, and nowhere if that is more than one."""

    different_hosts: frozenset[str] = frozenset()
    """Where the Instances are that it must not be with."""

    group: Group | None = None
    architecture: str = ""
    domain_type: str = ""
    firmware: str = ""
    required_traits: frozenset[str] = frozenset()
    forbidden_traits: frozenset[str] = frozenset()
    requirements: tuple[Requirement, ...] = ()
    dedicated: bool = False
    """Whether each virtual CPU is pinned to a CPU of its own."""

    threads: ThreadPolicy = "Prefer"
    """Of dedicated CPUs."""

    cells: int = 0
    """NUMA cells of the guest; 0: it has no topology of its own."""

    page_size: int = 0
    """Bytes of the huge pages behind its memory; 0: ordinary memory."""

    devices: tuple[DeviceWant, ...] = ()

    @property
    def resources(self) -> Resources:
        """What it takes of the host's shared CPUs, ordinary memory, and disk."""
        return _resources(0 if self.dedicated else self.vcpus, 0 if self.page_size else self.memory, self.disk)

    @property
    def packing(self) -> Hashable:
        """All that matters to how it is packed: requests that are equal in this fit alike."""
        return (self.vcpus, self.memory, self.dedicated, self.threads, self.cells, self.page_size, self.devices)

    @property
    def packed(self) -> bool:
        """Whether amounts don't decide: cells, CPUs or devices must be found for it."""
        return bool(self.dedicated or self.cells or self.page_size or self.devices)


@lru_cache(4096)
def _resources(vcpus: int, memory: int, disk: int) -> Resources:
    """One object for all that are equal: each claim keeps one, and sizes are few (221 bytes a claim, not 414)."""
    return Resources(vcpus, memory, disk)
