"""A host in memory: what domains, volumes and reservations do, without what they are.

It passes the contract that real libvirt passes (tests/unit/agent/test_memory_host.py). Tests may look into `machine`,
which outlives connections as a real one does, and set how it and its guests behave: slow, failing, lost, dead.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

from hypernova_agent.host import (
    Definition,
    Domain,
    DomainState,
    GuestUnreachable,
    Host,
    HostError,
    HostFacts,
    HostUnreachable,
    Link,
    Reservation,
    Run,
    SerialLine,
    Space,
    Volume,
)
from hypernova_agent.versions import refuse_too_old
from hypernova_agent.xml.definition import own_memory, parse_definition, parse_link
from hypernova_agent.xml.devices.memory import BLOCK
from hypernova_agent.xml.metadata import parse_metadata
from hypernova_api.action import GuestInfo
from support.machine import ALIVE, FACTS, Machine, MemoryDomain, MemoryVolume
from support.memory_console import SCREENSHOT, MemoryScreen, MemorySerialLine
from support.qcow2 import header

__all__ = ["FACTS", "Machine", "MemoryDomain", "MemoryHost", "MemoryVolume", "lost_at"]

BOOT_LINE = b"HYPERNOVA-GUEST SECTOR A\n"


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
        self._end(uid, state)

    def reboot(self, uid: str) -> None:
        """The guest boots anew by itself."""
        self._boot(self.machine.domains[uid])
        self._report(uid)

    def write(self, uid: str, data: bytes) -> None:
        """The guest writes to its serial port."""
        self._write(self.machine.domains[uid], data)

    def fill(self) -> None:
        """The pool is full, and all guests that run notice. Set `machine.full` back to cure it."""
        self.machine.full = True
        for uid, domain in self.machine.domains.items():
            if domain.state is DomainState.RUNNING:
                self._set(uid, DomainState.STALLED)

    def lose(self) -> None:
        """libvirt goes away; guests live on. It will not know why those ended that have."""
        self.machine.answers = False
        for domain in self.machine.domains.values():
            domain.forgotten = domain.state not in ALIVE
            _hang_up(domain)
        lost, self._on_lost, self._on_domain_event = self._on_lost, None, None
        if lost is not None:
            lost("libvirt went away")

    def recover(self) -> None:
        self.machine.answers = True

    def die(self) -> None:
        """The power goes: guests with it. What is on disk stays, what libvirt has defined too."""
        for uid, domain in list(self.machine.domains.items()):
            if domain.state in ALIVE:
                self._end(uid, DomainState.SHUT_OFF)
        self.lose()

    # Connection

    @property
    def pool_path(self) -> str:
        return "/pool"

    async def connect(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        await self.close()
        if not self.machine.answers:
            raise HostUnreachable("nobody answers")
        refuse_too_old(self.machine.facts.libvirt_version, self.machine.facts.qemu_version)
        self._on_domain_event, self._on_lost = on_domain_event, on_lost

    async def close(self) -> None:
        self._on_domain_event = self._on_lost = None
        for domain in self.machine.domains.values():
            _hang_up(domain)

    async def facts(self) -> HostFacts:
        await self._call("facts")
        return self.machine.facts

    # Domains

    async def domains(self) -> list[Domain]:
        await self._call("domains")
        return [_domain(domain) for domain in self.machine.domains.values()]

    async def domain(self, uid: str) -> Domain | None:
        await self._call("domain")
        domain = self.machine.domains.get(uid)
        return None if domain is None else _domain(domain)

    async def define(self, xml: str) -> None:
        await self._call("define")
        new = _parse(xml)
        known = self.machine.domains.setdefault(new.owner.uid, new)
        known.owner, known.xml, known.defined, known.console = new.owner, xml, new.defined, new.console
        known.record, known.run, known.transient = new.record, Run.NONE, False
        self._report(new.owner.uid)

    async def start(self, uid: str, *, paused: bool = False) -> None:
        await self._call("start")
        domain = self._domain(uid)
        if domain.state in ALIVE:
            return
        for disk in (domain.saved or domain.defined).volumes:
            if disk not in self.machine.volumes:
                raise HostError(f"Storage volume not found: no volume {disk}")
        domain.starts += 1
        domain.forgotten = False
        if domain.saved is None:
            domain.running = domain.defined
            domain.own_memory = own_memory(_element(domain.xml))
            self._boot(domain)
        else:
            domain.running, domain.saved = domain.saved, None
        self._set(uid, DomainState.PAUSED if paused else DomainState.RUNNING)

    async def pause(self, uid: str) -> None:
        await self._call("pause")
        if self._alive(uid).state is DomainState.RUNNING:
            self._set(uid, DomainState.PAUSED)

    async def resume(self, uid: str) -> None:
        await self._call("resume")
        domain = self._alive(uid)
        if domain.state is DomainState.PAUSED or (domain.state is DomainState.STALLED and not self.machine.full):
            self._set(uid, DomainState.RUNNING)

    async def save(self, uid: str) -> None:
        await self._call("save")
        if self._domain(uid).saved is not None:
            return
        self._alive(uid)
        self._needs_room()
        await asyncio.sleep(self.machine.save_seconds)
        await self._call("save")
        domain = self._alive(uid)
        domain.saved = domain.running
        self._end(uid, DomainState.SHUT_OFF)

    async def discard_saved(self, uid: str) -> None:
        await self._call("discard_saved")
        if uid in self.machine.domains:
            self.machine.domains[uid].saved = None

    async def shutdown(self, uid: str) -> None:
        await self._call("shutdown")
        domain = self.machine.domains.get(uid)
        if domain is not None and domain.state is DomainState.RUNNING and self.machine.obedient:
            self._end(uid, DomainState.SHUT_OFF)

    async def destroy(self, uid: str) -> None:
        await self._call("destroy")
        domain = self.machine.domains.get(uid)
        if domain is not None and domain.state in ALIVE:
            self._end(uid, DomainState.SHUT_OFF)

    async def undefine(self, uid: str) -> None:
        await self._call("undefine")
        domain = self.machine.domains.get(uid)
        if domain is None:
            return
        if domain.state in ALIVE:
            domain.transient = True
        else:
            del self.machine.domains[uid]
        self._report(uid)

    async def mark(self, uid: str, run: Run) -> None:
        await self._call("mark")
        self._domain(uid).run = run

    async def record(self, uid: str) -> str | None:
        await self._call("record")
        domain = self.machine.domains.get(uid)
        return (domain.record or None) if domain is not None else None

    # Guests that run

    async def set_vcpus(self, uid: str, count: int) -> None:
        await self._call("set_vcpus")
        domain, running = self._running(uid)
        if not 1 <= count <= running.max_vcpus:
            raise HostError(f"invalid argument: requested vcpus is greater than max allowable: {count}")
        domain.running = replace(running, vcpus=count)

    async def set_memory(self, uid: str, size: int) -> None:
        await self._call("set_memory")
        domain, running = self._running(uid)
        if size > running.max_memory:
            raise HostError("invalid argument: cannot set memory higher than max memory")
        blocks = max(size - domain.own_memory, 0) // BLOCK
        taken = min(domain.own_memory + blocks * BLOCK, running.max_memory)
        if self.machine.takes_memory and taken != running.memory:
            domain.running = replace(running, memory=taken)
            self._report(uid)

    async def attach_interface(self, uid: str, xml: str) -> None:
        await self._call("attach_interface")
        domain, running = self._running(uid)
        link = parse_link(_element(xml))
        if link.mac not in [each.mac for each in running.links]:
            domain.running = replace(running, links=(*running.links, link))

    async def detach_interface(self, uid: str, mac: str) -> None:
        await self._call("detach_interface")
        self._alive(uid)
        if self.machine.lets_go:
            asyncio.get_running_loop().call_soon(self._let_go, uid, mac)

    async def set_link(self, uid: str, link: Link) -> None:
        await self._call("set_link")
        domain, running = self._running(uid)
        if link.mac not in [each.mac for each in running.links]:
            raise HostError(f"no network card {link.mac}")
        domain.running = replace(running, links=tuple(link if each.mac == link.mac else each for each in running.links))

    async def inject_nmi(self, uid: str) -> None:
        await self._call("inject_nmi")
        self._alive(uid).nmis += 1

    async def guest_info(self, uid: str) -> GuestInfo:
        await self._call("guest_info")
        self._with_agent(uid)
        return self.machine.guest_info

    async def open_graphics(self, uid: str) -> socket.socket:
        await self._call("open_graphics")
        domain = self._alive(uid)
        screen = MemoryScreen()
        domain.screens.append(screen)
        return screen.theirs

    async def open_serial(self, uid: str) -> SerialLine:
        await self._call("open_serial")
        domain = self._alive(uid)
        _hang_up(domain)
        domain.serial = MemorySerialLine()
        return domain.serial

    async def screenshot(self, uid: str) -> bytes:
        await self._call("screenshot")
        self._alive(uid)
        return SCREENSHOT

    async def set_password(self, uid: str, user: str, hash_: str) -> None:
        await self._call("set_password")
        self._with_agent(uid).passwords[user] = hash_

    # Volumes

    async def volumes(self) -> list[Volume]:
        await self._call("volumes")
        return [self._volume(name) for name in self.machine.volumes]

    async def volume(self, name: str) -> Volume | None:
        await self._call("volume")
        return self._volume(name) if name in self.machine.volumes else None

    async def space(self) -> Space:
        await self._call("space")
        capacity = self.machine.facts.disk
        taken = sum(volume.allocation() for volume in self.machine.volumes.values())
        return Space(capacity, 0 if self.machine.full else max(capacity - taken, 0))

    async def create_overlay(self, name: str, *, backing: str, backing_format: str, capacity: int) -> None:
        await self._call("create_overlay")
        if backing not in self.machine.volumes:
            raise HostError(f"no volume {backing}")
        if name not in self.machine.volumes:
            self._needs_room()
            self.machine.volumes[name] = MemoryVolume(capacity=capacity, backing=backing)

    async def resize_volume(self, name: str, capacity: int, *, uid: str) -> None:
        await self._call("resize_volume")
        if name not in self.machine.volumes:
            raise HostError(f"no volume {name}")
        if capacity > self._volume(name).capacity:
            self.machine.volumes[name].capacity = capacity

    async def copy_volume(
        self, name: str, target: str, *, uid: str, on_progress: Callable[[float], None] = lambda _: None
    ) -> None:
        await self._call("copy_volume")
        if name not in self.machine.volumes:
            raise HostError(f"no volume {name}")
        with self._making(target):
            domain = self.machine.domains.get(uid)
            begun = domain.starts if domain is not None and domain.state in ALIVE else None
            if begun is not None and self.machine.has_agent:
                self.machine.frozen[uid] += 1
            capacity = self._volume(name).capacity
            copy = MemoryVolume(header(size=capacity) + self._content(name), capacity=capacity)
            for step in range(self.machine.copy_steps):
                on_progress(step / self.machine.copy_steps)
                self._needs_room()
                await self._call("copy_volume")
                if begun is not None and self.machine.domains[uid].running is None:
                    raise HostError("operation failed: the guest ended while its disk was copied")
            on_progress(1.0)
            self.machine.volumes[target] = copy

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int | None) -> None:
        await self._call("upload")
        if name in self.machine.volumes:
            return
        with self._making(name):
            content = b""
            async for chunk in chunks:
                await self._call("upload")
                self._needs_room()
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

    # Reservations

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

    # Inside

    async def _call(self, name: str) -> None:
        # Every call lets others run, as one to a real host does.
        await asyncio.sleep(self.machine.seconds)
        if self._on_lost is None:
            raise HostUnreachable("not connected")
        if name in self.machine.fails:
            raise HostError(f"internal error: {name} does not work today")

    def _domain(self, uid: str) -> MemoryDomain:
        domain = self.machine.domains.get(uid)
        if domain is None:
            raise HostError(f"Domain not found: no domain {uid}")
        return domain

    def _alive(self, uid: str) -> MemoryDomain:
        domain = self._domain(uid)
        if domain.state not in ALIVE:
            raise HostError("Requested operation is not valid: domain is not running")
        return domain

    def _running(self, uid: str) -> tuple[MemoryDomain, Definition]:
        domain = self._alive(uid)
        if domain.running is None:
            raise AssertionError(f"{domain.state} without a definition")
        return domain, domain.running

    def _with_agent(self, uid: str) -> MemoryDomain:
        domain = self._domain(uid)
        if not self.machine.has_agent or domain.state is not DomainState.RUNNING:
            raise GuestUnreachable("Guest agent is not responding: QEMU guest agent is not connected")
        return domain

    def _boot(self, domain: MemoryDomain) -> None:
        domain.boots += 1
        self._write(domain, BOOT_LINE)

    def _write(self, domain: MemoryDomain, data: bytes) -> None:
        if not self.machine.full:
            self.machine.volumes.setdefault(domain.console, MemoryVolume()).content += data
        if domain.serial is not None:
            domain.serial.put(data)

    def _let_go(self, uid: str, mac: str) -> None:
        domain = self.machine.domains.get(uid)
        if domain is not None and domain.running is not None:
            left = tuple(link for link in domain.running.links if link.mac != mac)
            if left != domain.running.links:
                domain.running = replace(domain.running, links=left)
                self._report(uid)

    def _end(self, uid: str, state: DomainState) -> None:
        domain = self.machine.domains[uid]
        domain.running = None
        _hang_up(domain)
        while domain.screens:
            domain.screens.pop().end()
        if domain.transient:
            del self.machine.domains[uid]
            self._report(uid)
        else:
            self._set(uid, state)

    def _set(self, uid: str, state: DomainState) -> None:
        self.machine.domains[uid].state = state
        self._report(uid)

    def _report(self, uid: str) -> None:
        listener = self._on_domain_event
        if listener is None:
            return

        def deliver() -> None:
            if self._on_domain_event is listener:
                listener(uid)

        asyncio.get_running_loop().call_soon(deliver)

    def _volume(self, name: str) -> Volume:
        volume = self.machine.volumes[name]
        capacity = len(volume.content) if volume.capacity is None else volume.capacity
        return Volume(name, capacity=capacity, allocation=volume.allocation(), backing=volume.backing)

    def _content(self, name: str) -> bytes:
        """What a guest finds on a volume: what it lies on shows where it has nothing of its own."""
        volume = self.machine.volumes[name]
        if volume.content or volume.backing is None:
            return volume.content
        return self._content(volume.backing)

    def _needs_room(self) -> None:
        if self.machine.full:
            raise HostError("cannot write: No space left on device")

    @contextmanager
    def _making(self, name: str) -> Iterator[None]:
        if name in self._uploads:
            raise HostError(f"volume {name} is being uploaded already")
        self._uploads.add(name)
        try:
            yield
        finally:
            self._uploads.discard(name)


def _domain(domain: MemoryDomain) -> Domain:
    return Domain(
        domain.owner,
        domain.seen(),
        defined=domain.defined,
        running=domain.running,
        saved=domain.saved is not None,
        run=domain.run,
    )


def _hang_up(domain: MemoryDomain) -> None:
    if domain.serial is not None:
        domain.serial.end()
        domain.serial = None


def _parse(xml: str) -> MemoryDomain:
    root, metadata = _element(xml), parse_metadata(xml)
    kind, log = root.find("./os/type"), root.find("./devices/serial/log")
    if kind is None or metadata is None or log is None or kind.get("arch") != "x86_64":
        raise HostError("unsupported configuration: no emulator for this machine")
    console = PurePosixPath(log.attrib["file"]).name
    return MemoryDomain(metadata.owner, xml, parse_definition(xml), console, record=metadata.record)


def _element(xml: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise HostError(f"XML error: {error}") from error


_CALLS = tuple(
    name for name, call in vars(Host).items() if asyncio.iscoroutinefunction(call) and name not in {"connect", "close"}
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
