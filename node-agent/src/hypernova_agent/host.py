"""What the agent needs of a host, and nothing more.

`hypernova_agent.libvirt` is the real one. Anything else that claims to be a host passes the same contract tests
(`tests/support/host_contract.py`). Every call is safe to repeat: what is already so is left so.

Errors of every call:
    HostUnreachable  the connection is gone or hangs; the same call may work later
    HostError        the host said no; the message is the host's own, for people
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hypernova_api.architecture import Firmware


class HostFault(Exception):
    """A call to the host failed."""


class HostUnreachable(HostFault):
    """libvirt does not answer."""


class HostError(HostFault):
    """libvirt refused or failed; the message is its own, shortened to one line."""


class DomainState(StrEnum):
    """What a domain does now."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting-down"
    SHUT_OFF = "shut-off"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Owner:
    """The Instance a domain belongs to, as its libvirt metadata says. `uid` is the domain's UUID too."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of ours as it is now."""

    owner: Owner
    state: DomainState


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of our pool. Sizes in bytes; `capacity` is what a guest would see of it."""

    name: str
    capacity: int
    allocation: int
    backing: str | None = None
    """Name of the volume that this one is an overlay on: the image must not go before its last overlay."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A DHCP reservation on the default network."""

    mac: str
    ip: str
    hostname: str
    """No other guest of the host has it, e.g. `name.namespace`; the guest is told what stands before the dot."""


@dataclass(frozen=True, slots=True)
class HostCell:
    """A NUMA node of a host. Memory in bytes."""

    id: int
    cores: tuple[frozenset[int], ...]
    """Its CPUs that are online: the threads of each core together."""

    memory: int
    """Huge pages included."""

    huge_pages: Mapping[int, int] = field(default_factory=dict)
    """How many are set aside, used or not, by their size in bytes."""

    @property
    def cpus(self) -> frozenset[int]:
        """All its CPUs."""
        return frozenset().union(*self.cores)

    @property
    def ordinary_memory(self) -> int:
        """Bytes that are not set aside as huge pages."""
        return self.memory - sum(size * count for size, count in self.huge_pages.items())


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A PCI device of a host that libvirt can hand to a guest. IDs as in PCI's registry: four hex digits."""

    address: str
    """E.g. `0000:65:00.0`."""

    vendor: str
    product: str
    cell: int | None
    """The NUMA cell it is near to; None where the host does not know."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What guests of one domain type can have on a host."""

    firmware: frozenset[Firmware] = frozenset()
    traits: frozenset[str] = frozenset()
    """In os-traits' names."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is. Memory and disk in bytes. Nothing in it changes with what guests do."""

    architecture: str
    cpu_model: str
    cpu_vendor: str
    cpus: int
    memory: int
    disk: int
    abilities: Mapping[str, Abilities]
    """By the domain types that libvirt offers for the host's own architecture."""

    libvirt_version: str
    qemu_version: str
    cells: tuple[HostCell, ...] = ()
    """By number."""

    devices: tuple[PciDevice, ...] = ()
    """By address, bridges and such left out; none on a host that can hand out none."""


class Host(Protocol):
    """One host's libvirt."""

    @property
    def pool_path(self) -> str:
        """Where our volumes are, as the host's QEMU sees them; for what XML can only name by path."""
        ...

    async def connect(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        """Open the connection and make pool and default network, where they are missing, active and ours.

        `on_domain_event(uid)` is called in the event loop whenever a domain of ours changed state, `on_lost(why)`
        once when the connection is gone or hangs; then connect again.
        """
        ...

    async def close(self) -> None: ...

    async def facts(self) -> HostFacts: ...

    async def domains(self) -> list[Domain]:
        """All domains that carry our metadata, running or not."""
        ...

    async def domain(self, uid: str) -> Domain | None: ...

    async def define(self, xml: str) -> None: ...

    async def start(self, uid: str) -> None: ...

    async def shutdown(self, uid: str) -> None:
        """Press the guest's power button; returns at once."""
        ...

    async def destroy(self, uid: str) -> None:
        """Pull the guest's plug."""
        ...

    async def undefine(self, uid: str) -> None: ...

    async def volumes(self) -> list[Volume]:
        """All volumes of our pool, as they are on disk now."""
        ...

    async def volume(self, name: str) -> Volume | None: ...

    async def create_overlay(self, name: str, *, backing: str, backing_format: str, capacity: int) -> None:
        """Make a qcow2 volume on top of another of our pool."""
        ...

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int | None) -> None:
        """Make a raw volume of the bytes; `size` when known before. On any error nothing of it is left.

        It isn't there for anyone before it is complete. One that is there already stays as it is.
        """
        ...

    async def read(self, name: str, *, offset: int = 0, limit: int = 1 << 20) -> bytes: ...

    async def delete_volume(self, name: str) -> None: ...

    async def reserve(self, reservation: Reservation) -> None:
        """Make the default network answer this MAC with this address; replaces what shares any of the three."""
        ...

    async def release(self, mac: str) -> None: ...

    async def reservations(self) -> list[Reservation]: ...
