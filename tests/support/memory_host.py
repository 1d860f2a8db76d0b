"""A host in memory: what domains, volumes and reservations do, without what they are.

It passes the contract that real libvirt passes (tests/unit/agent/test_memory_host.py). Tests may look into `machine`,
which outlives connections as a real one does, and set how it and its guests behave: slow, failing, lost, dead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from hypernova_agent.host import (
    Abilities,
    Domain,
    DomainState,
    HostCell,
    HostError,
    HostFacts,
    HostUnreachable,
    Owner,
    Reservation,
    Volume,
)
from hypernova_agent.xml.metadata import parse_owner

GIB = 1 << 30
BLOCK = 4096
BOOT_LINE = b"HYPERNOVA-GUEST SECTOR\n"
FACTS = HostFacts(
    architecture="x86_64",
    cpu_model="EPYC",
    cpu_vendor="AMD",
    cpus=4,
    memory=8 * GIB,
    disk=100 * GIB,
    abilities={"qemu": Abilities(frozenset({"BIOS"}), frozenset({"COMPUTE_STORAGE_BUS_VIRTIO"}))},
    libvirt_version="9.0.0",
    qemu_version="7.2.0",
    cells=(HostCell(0, tuple(frozenset({cpu}) for cpu in range(4)), 8 * GIB),),
)
_ALIVE = {DomainState.RUNNING, DomainState.PAUSED}


@dataclass(slots=True)
class MemoryVolume:
    content: bytes = b""
    capacity: int | None = None
    """Of an overlay; others are as large as their content."""
    backing: str | None = None
    counted: tuple[int, int] = (0, 0)
    """Bytes of content, and how many of these its blocks took, when that was last counted."""

    def allocation(self) -> int:
        """Bytes of the blocks that are not all zeros."""
        if self.counted[0] != len(self.content):
            blocks = (self.content[start : start + BLOCK] for start in range(0, len(self.content), BLOCK))
            self.counted = len(self.content), sum(len(block) for block in blocks if block.strip(b"\0"))
        return self.counted[1]


@dataclass(slots=True)
class MemoryDomain:
    owner: Owner
    xml: str
    disks: list[str]
    console: str
    state: DomainState = DomainState.SHUT_OFF
    starts: int = 0


@dataclass(slots=True)
class Machine:
    """What outlives a connection."""

    domains: dict[str, MemoryDomain] = field(default_factory=dict)
    volumes: dict[str, MemoryVolume] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    obedient: bool = False
    """Whether guests mind their power button."""
    answers: bool = True
    """Whether there is a libvirt to talk to."""
    seconds: float = 0.0
    """How long each call takes."""
    fails: set[str] = field(default_factory=set)
    """Calls by name, e.g. `start`, that the host refuses."""
    facts: HostFacts = FACTS


class MemoryHost:
    """`hypernova_agent.host.Host`."""

    def __init__(self, machine: Machine | None = None) -> None:
        self.machine = machine or Machine()
        self._on_domain_event: Callable[[str], None] | None = None
        self._on_lost: Callable[[str], None] | None = None
        self._uploads: set[str] = set()

    # What tests do to it

    def end(self, uid: str, state: DomainState = DomainState.SHUT_OFF) -> None:
        """The guest ends by itself."""
        self._set(uid, state)

    def lose(self) -> None:
        """libvirt goes away; guests live on."""
        self.machine.answers = False
        lost, self._on_lost, self._on_domain_event = self._on_lost, None, None
        if lost is not None:
            lost("libvirt went away")

    def recover(self) -> None:
        self.machine.answers = True

    def die(self) -> None:
        """The power goes: guests with it. What is on disk stays, what libvirt has defined too."""
        for domain in self.machine.domains.values():
            domain.state = DomainState.SHUT_OFF
        self.lose()

    # Host

    @property
    def pool_path(self) -> str:
        return "/pool"

    async def connect(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        await self.close()
        if not self.machine.answers:
            raise HostUnreachable("nobody answers")
        self._on_domain_event, self._on_lost = on_domain_event, on_lost

    async def close(self) -> None:
        self._on_domain_event = self._on_lost = None

    async def facts(self) -> HostFacts:
        await self._call("facts")
        return self.machine.facts

    async def domains(self) -> list[Domain]:
        await self._call("domains")
        return [Domain(domain.owner, domain.state) for domain in self.machine.domains.values()]

    async def domain(self, uid: str) -> Domain | None:
        await self._call("domain")
        domain = self.machine.domains.get(uid)
        return Domain(domain.owner, domain.state) if domain is not None else None

    async def define(self, xml: str) -> None:
        await self._call("define")
        new = _parse(xml)
        known = self.machine.domains.get(new.owner.uid)
        if known is not None:
            new.state, new.starts = known.state, known.starts
        self.machine.domains[new.owner.uid] = new
        self._report(new.owner.uid)

    async def start(self, uid: str) -> None:
        await self._call("start")
        domain = self.machine.domains.get(uid)
        if domain is None:
            raise HostError(f"no domain {uid}")
        if domain.state in _ALIVE:
            return
        for disk in domain.disks:
            if disk not in self.machine.volumes:
                raise HostError(f"Storage volume not found: no volume {disk}")
        domain.starts += 1
        self.machine.volumes.setdefault(domain.console, MemoryVolume()).content += BOOT_LINE
        self._set(uid, DomainState.RUNNING)

    async def shutdown(self, uid: str) -> None:
        await self._call("shutdown")
        domain = self.machine.domains.get(uid)
        if domain is not None and domain.state is DomainState.RUNNING and self.machine.obedient:
            self._set(uid, DomainState.SHUT_OFF)

    async def destroy(self, uid: str) -> None:
        await self._call("destroy")
        domain = self.machine.domains.get(uid)
        if domain is not None and domain.state in _ALIVE:
            self._set(uid, DomainState.SHUT_OFF)

    async def undefine(self, uid: str) -> None:
        await self._call("undefine")
        if self.machine.domains.pop(uid, None) is not None:
            self._report(uid)

    async def volumes(self) -> list[Volume]:
        await self._call("volumes")
        return [self._volume(name) for name in self.machine.volumes]

    async def volume(self, name: str) -> Volume | None:
        await self._call("volume")
        return self._volume(name) if name in self.machine.volumes else None

    async def create_overlay(self, name: str, *, backing: str, backing_format: str, capacity: int) -> None:
        await self._call("create_overlay")
        if backing not in self.machine.volumes:
            raise HostError(f"no volume {backing}")
        self.machine.volumes.setdefault(name, MemoryVolume(capacity=capacity, backing=backing))

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int | None) -> None:
        await self._call("upload")
        if name in self.machine.volumes:
            return
        with self._uploading(name):
            content = b""
            async for chunk in chunks:
                await self._call("upload")
                content += chunk
                if size is not None and len(content) > size:
                    raise HostError(f"more than the {size} bytes came")
            if size is not None and len(content) < size:
                raise HostError(f"fewer than the {size} bytes came")
            await self._call("upload")
            self.machine.volumes[name] = MemoryVolume(content)

    async def read(self, name: str, *, offset: int = 0, limit: int = 1 << 20) -> bytes:
        await self._call("read")
        if name not in self.machine.volumes:
            raise HostError(f"no volume {name}")
        return self.machine.volumes[name].content[offset : offset + limit]

    async def delete_volume(self, name: str) -> None:
        await self._call("delete_volume")
        self.machine.volumes.pop(name, None)

    async def reserve(self, reservation: Reservation) -> None:
        await self._call("reserve")
        for mac, other in list(self.machine.reservations.items()):
            if other.ip == reservation.ip or other.hostname == reservation.hostname:
                del self.machine.reservations[mac]
        self.machine.reservations[reservation.mac] = reservation

    async def release(self, mac: str) -> None:
        await self._call("release")
        self.machine.reservations.pop(mac, None)

    async def reservations(self) -> list[Reservation]:
        await self._call("reservations")
        return list(self.machine.reservations.values())

    async def _call(self, name: str) -> None:
        # Every call lets others run, as one to a real host does.
        await asyncio.sleep(self.machine.seconds)
        if self._on_lost is None:
            raise HostUnreachable("not connected")
        if name in self.machine.fails:
            raise HostError(f"internal error: {name} does not work today")

    def _set(self, uid: str, state: DomainState) -> None:
        self.machine.domains[uid].state = state
        self._report(uid)

    def _report(self, uid: str) -> None:
        listener = self._on_domain_event

        def deliver() -> None:
            if listener is not None and self._on_domain_event is listener:
                listener(uid)

        asyncio.get_running_loop().call_soon(deliver)

    def _volume(self, name: str) -> Volume:
        volume = self.machine.volumes[name]
        capacity = len(volume.content) if volume.capacity is None else volume.capacity
        return Volume(name, capacity=capacity, allocation=volume.allocation(), backing=volume.backing)

    @contextmanager
    def _uploading(self, name: str) -> Iterator[None]:
        if name in self._uploads:
            raise HostError(f"volume {name} is being uploaded already")
        self._uploads.add(name)
        try:
            yield
        finally:
            self._uploads.discard(name)


def _parse(xml: str) -> MemoryDomain:
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise HostError(f"XML error: {error}") from error
    kind, metadata, log = root.find("./os/type"), root.find("./metadata"), root.find("./devices/serial/log")
    if kind is None or metadata is None or log is None or kind.get("arch") != "x86_64":
        raise HostError("unsupported configuration: no emulator for this machine")
    disks = [source.attrib["volume"] for source in root.iterfind("./devices/disk/source")]
    owner = parse_owner(ElementTree.tostring(metadata[0], encoding="unicode"))
    return MemoryDomain(owner, xml, disks, console=PurePosixPath(log.attrib["file"]).name)


_CALLS = (
    *("domains", "domain", "define", "start", "shutdown", "destroy", "undefine"),
    *("volumes", "volume", "create_overlay", "upload", "read", "delete_volume"),
    *("reserve", "release", "reservations", "facts"),
)


def lost_at(host: MemoryHost, number: int, *, after: bool) -> list[str]:
    """Have the host lost when its call of that number (from 0) is made, or just after it; its calls as they come."""
    calls: list[str] = []

    def cut(name: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            now = len(calls) - 1 == number
            if now and not after:
                host.lose()
            result = await original(*args, **kwargs)
            if now and after:
                host.lose()
                raise HostUnreachable("libvirt went away")
            return result

        return call

    for name in _CALLS:
        setattr(host, name, cut(name, getattr(host, name)))
    return calls
