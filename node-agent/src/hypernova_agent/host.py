"""What the agent needs of a host, and nothing more.

`hypernova_agent.libvirt` is the real one. Anything else that claims to be a host passes the same contract tests
(`tests/support/host_contract.py`). Every call is safe to repeat: what is already so is left so.

Errors of every call:
    HostUnreachable  the connection is gone or hangs; the same call may work later
    HostError        the host said no; the message is the host's own, for people
    HostTooOld       a HostError, of `connect` only: what we need of libvirt or QEMU came later
    GuestUnreachable a HostError: the guest's agent does not answer, or the guest cannot do what was asked
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hypernova_api.action import GuestInfo
from hypernova_api.architecture import Firmware


class HostFault(Exception):
    """A call to the host failed."""


class HostUnreachable(HostFault):
    """libvirt does not answer."""


class HostError(HostFault):
    """libvirt refused or failed; the message is its own, shortened to one line."""


class HostTooOld(HostError):
    """Its libvirt or QEMU lacks what we need; the message is ours."""


class GuestUnreachable(HostError):
    """The guest has no agent that answers, or the agent cannot do it."""


class DomainState(StrEnum):
    """What a domain does now."""

    RUNNING = "running"
    PAUSED = "paused"
    """Its CPUs stand still because somebody asked for it."""
    STALLED = "stalled"
    """Its CPUs stand still because its disk gave an error, as a full pool does. `resume` tries again, `pause` changes
    nothing."""
    SHUTTING_DOWN = "shutting-down"
    SHUT_OFF = "shut-off"
    CRASHED = "crashed"
    """Off, and not because the guest or anybody wanted it: QEMU died, the guest panicked."""


class Run(StrEnum):
    """What the domain itself remembers of its guest's last power-on, until it is defined anew."""

    NONE = ""
    """Not powered on since, or nobody took note."""
    BEGUN = "begun"
    COMPLETED = "completed"
    """The guest powered itself off."""
    FAILED = "failed"
    """It ended otherwise."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The Instance a domain belongs to, as its libvirt metadata says. `uid` is the domain's UUID too."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A network card of a guest, and whether its cable is plugged in."""

    mac: str
    up: bool = True


@dataclass(frozen=True, slots=True)
class Definition:
    """What a domain is made of, as far as that can be changed. Memory in bytes."""

    vcpus: int = 0
    max_vcpus: int = 0
    """How many it can have without being started anew."""

    memory: int = 0
    """Of a running one: what the guest has taken of it."""

    max_memory: int = 0
    """How much it can have without being started anew."""

    volumes: tuple[str, ...] = ()
    """Its disks, in order."""

    links: tuple[Link, ...] = ()
    """Its network cards, in order."""

    digest: str = ""
    """Of all that cannot be changed while the guest runs, as whoever defined it put it down."""

    boot: str = ""
    """A token of the power-on that was asked for last when it was defined: a guest that runs with another has not had
    it."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of ours as it is now."""

    owner: Owner
    state: DomainState
    defined: Definition = Definition()
    """What its next power-on makes of it."""

    running: Definition | None = None
    """What its guest has now; None while it is off."""

    saved: bool = False
    """Its guest's memory is on disk: the next start goes on from there, with the devices of then."""

    run: Run = Run.NONE


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of our pool. Sizes in bytes; `capacity` is what a guest would see of it."""

    name: str
    capacity: int
    allocation: int
    backing: str | None = None
    """Name of the volume that this one is an overlay on: the image must not go before its last overlay."""


@dataclass(frozen=True, slots=True)
class Space:
    """Room in our pool, in bytes, now."""

    capacity: int
    available: int


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

    hyperv: frozenset[str] = frozenset()
    """Interfaces of Hyper-V that Windows can be given, in libvirt's words."""


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


class SerialLine(Protocol):
    """A guest's serial port, held open by its only user.

    It ends with the guest, with the connection to its host, when another opens it, and when it is closed.
    """

    async def read(self) -> bytes:
        """What the guest has written since, waiting for some; empty from the end on.

        Of what is not read in time the oldest is lost, as on any serial line: little is kept.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Type; returns when the host has it, and waits long for a guest that does not take it. Lost after the end."""
        ...

    async def close(self) -> None:
        """End it; safe to repeat."""
        ...


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

    async def start(self, uid: str, *, paused: bool = False) -> None:
        """Power on, or go on from what `save` has kept: with the guest's clock put right if its agent answers.

        `paused`: with its CPUs standing still.
        """
        ...

    async def pause(self, uid: str) -> None:
        """Have the guest's CPUs stand still."""
        ...

    async def resume(self, uid: str) -> None:
        """Have them go on."""
        ...

    async def save(self, uid: str) -> None:
        """Put the guest's memory on disk and power off; as long as that takes. The next start goes on running.

        Meanwhile it counts as running, and can be neither paused nor resumed. On any error it runs on.
        """
        ...

    async def discard_saved(self, uid: str) -> None:
        """Throw away what `save` has kept."""
        ...

    async def mark(self, uid: str, run: Run) -> None:
        """Have the domain remember it, until it is defined anew."""
        ...

    async def record(self, uid: str) -> str | None:
        """What its definition carries for whoever finds it without an Instance (`xml.metadata`)."""
        ...

    async def set_vcpus(self, uid: str, count: int) -> None:
        """Have a running guest's CPUs be so many, up to what it was started for.

        Raises:
            GuestUnreachable: it keeps those that it was asked to let go.
        """
        ...

    async def set_memory(self, uid: str, size: int) -> None:
        """Offer a running guest so many bytes of memory, up to what it was started for; what it takes is its affair.

        It is offered whole blocks (of 2 MiB) beyond its own, and so may have up to a block less.
        """
        ...

    async def attach_interface(self, uid: str, xml: str) -> None:
        """Plug a network card into a running guest."""
        ...

    async def detach_interface(self, uid: str, mac: str) -> None:
        """Ask a running guest to let a network card go; it is gone when `Domain.running` says so."""
        ...

    async def set_link(self, uid: str, link: Link) -> None:
        """Plug a running guest's cable in or pull it."""
        ...

    async def inject_nmi(self, uid: str) -> None:
        """Send a running guest a non-maskable interrupt."""
        ...

    async def guest_info(self, uid: str) -> GuestInfo:
        """What the guest's agent tells; what it cannot is left out."""
        ...

    async def set_password(self, uid: str, user: str, hash_: str) -> None:
        """Have the guest's agent set a user's password, given as /etc/shadow keeps it."""
        ...

    async def open_graphics(self, uid: str) -> socket.socket:
        """A new way to a running guest's screen, keyboard and mouse: the caller's, a stream socket that speaks RFB.

        There can be many. It goes straight to what runs the guest: it outlives the connection, and ends with the guest.
        """
        ...

    async def open_serial(self, uid: str) -> SerialLine:
        """A running guest's first serial port. There is one: who has it open already loses it."""
        ...

    async def screenshot(self, uid: str) -> bytes:
        """What a running guest shows now, as PNG."""
        ...

    async def shutdown(self, uid: str) -> None:
        """Press the guest's power button; returns at once."""
        ...

    async def destroy(self, uid: str) -> None:
        """Pull the guest's plug. If the host is lost meanwhile it may have ended and count as crashed."""
        ...

    async def undefine(self, uid: str) -> None: ...

    async def volumes(self) -> list[Volume]:
        """All volumes of our pool, as they are on disk now."""
        ...

    async def volume(self, name: str) -> Volume | None: ...

    async def create_overlay(self, name: str, *, backing: str, backing_format: str, capacity: int) -> None:
        """Make a qcow2 volume on top of another of our pool."""
        ...

    async def resize_volume(self, name: str, capacity: int, *, uid: str) -> None:
        """Let the guest `uid`, running or not, see more bytes of its disk; never fewer."""
        ...

    async def copy_volume(
        self, name: str, target: str, *, uid: str, on_progress: Callable[[float], None] = lambda _: None
    ) -> None:
        """Make `target`, a qcow2 on its own, of what a disk of the guest `uid` holds at one moment.

        Of a running guest while it runs: with its file systems frozen at that moment if its agent answers. Takes as
        long as it takes; `on_progress` hears of parts of 1. On any error nothing of it is left; one that a crash of
        ours has left behind is made anew.
        """
        ...

    async def space(self) -> Space:
        """Room in the pool."""
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
