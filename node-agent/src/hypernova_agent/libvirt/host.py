"""The host behind a libvirt socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network
from typing import TypeVar

import libvirt

from hypernova_agent.host import (
    Domain,
    GuestUnreachable,
    HostFacts,
    HostFault,
    HostUnreachable,
    Link,
    Reservation,
    Run,
    SerialLine,
    Space,
    Volume,
)
from hypernova_agent.libvirt import agent, consoles, domains, guests, networks, storage
from hypernova_agent.libvirt.connection import Connection
from hypernova_agent.libvirt.copies import Copier, Copy
from hypernova_agent.libvirt.errands import Errands
from hypernova_agent.libvirt.facts import facts
from hypernova_agent.libvirt.upload import upload
from hypernova_agent.xml.network import NatNetwork
from hypernova_agent.xml.storage import DirectoryPool
from hypernova_api.action import GuestInfo
from hypernova_api.network import DEFAULT_CIDR

T = TypeVar("T")

_THAW_SECONDS = 5.0
_THAW_ATTEMPTS = 240


class LibvirtHost:
    """`hypernova_agent.host.Host` as libvirt is it. Needs nothing but the socket: no path is one of this machine."""

    def __init__(
        self,
        uri: str = "qemu:///system",
        *,
        pool: str = "hypernova",
        pool_path: str = "/var/lib/libvirt/hypernova",
        network: str = "hypernova-default",
        bridge: str = "hn-default",
        cidr: IPv4Network = DEFAULT_CIDR,
    ) -> None:
        self._connection = Connection(uri)
        self._pool = DirectoryPool(pool, pool_path)
        self._network = NatNetwork(network, bridge, cidr)
        self._pool_path = pool_path
        # libvirt refuses to refresh a pool while a volume of it is being made; both take milliseconds.
        self._pool_turn = asyncio.Lock()
        self._errands = Errands()
        self._copier = Copier(self._connection, self._pool_turn, self._thaw)
        # A reservation is made by reading what is there and changing it.
        self._network_turn = asyncio.Lock()

    @property
    def pool_path(self) -> str:
        return self._pool_path

    async def connect(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        await self._connection.open(on_domain_event, on_lost)
        try:
            async with self._pool_turn:
                self._pool_path = await self._connection.call(storage.ensure, self._pool)
            async with self._network_turn:
                await self._connection.call(networks.ensure, self._network)
            await self._connection.call(domains.discard_stale)
        except BaseException:
            await self._connection.close()
            raise

    async def close(self) -> None:
        await self._errands.end()
        await self._connection.close()

    async def facts(self) -> HostFacts:
        return await self._connection.call(facts, self._pool.name)

    async def domains(self) -> list[Domain]:
        return await self._connection.call(domains.domains)

    async def domain(self, uid: str) -> Domain | None:
        return await self._connection.call(domains.domain, uid)

    async def define(self, xml: str) -> None:
        await self._connection.call(domains.define, xml)

    async def start(self, uid: str, *, paused: bool = False) -> None:
        if await self._connection.call_patiently(domains.start, uid, paused=paused) and not paused:
            self._errands.run(self._ask(lambda virt: agent.set_time(virt, uid)))

    async def pause(self, uid: str) -> None:
        await self._connection.call(domains.pause, uid)

    async def resume(self, uid: str) -> None:
        await self._connection.call(domains.resume, uid)
        self._errands.run(self._ask(lambda virt: agent.set_time(virt, uid)))

    async def save(self, uid: str) -> None:
        async with self._connection.exclusive() as line:
            saving = asyncio.create_task(line.call(domains.save, uid))
            try:
                await asyncio.shield(saving)
            except asyncio.CancelledError:
                with contextlib.suppress(HostFault):
                    await self._connection.call(domains.abort_job, uid)
                    await saving
                raise

    async def discard_saved(self, uid: str) -> None:
        await self._connection.call(domains.discard_saved, uid)

    async def mark(self, uid: str, run: Run) -> None:
        await self._connection.call(domains.mark, uid, run)

    async def record(self, uid: str) -> str | None:
        return await self._connection.call(domains.record, uid)

    async def set_vcpus(self, uid: str, count: int) -> None:
        await self._connection.call(guests.set_vcpus, uid, count)

    async def set_memory(self, uid: str, size: int) -> None:
        await self._connection.call(guests.set_memory, uid, size)

    async def attach_interface(self, uid: str, xml: str) -> None:
        await self._connection.call(guests.attach_interface, uid, xml)

    async def detach_interface(self, uid: str, mac: str) -> None:
        await self._connection.call(guests.detach_interface, uid, mac)

    async def set_link(self, uid: str, link: Link) -> None:
        await self._connection.call(guests.set_link, uid, link)

    async def inject_nmi(self, uid: str) -> None:
        await self._connection.call(guests.inject_nmi, uid)

    async def guest_info(self, uid: str) -> GuestInfo:
        return await self._ask(lambda virt: agent.info(virt, uid))

    async def set_password(self, uid: str, user: str, hash_: str) -> None:
        await self._ask(lambda virt: agent.set_password(virt, uid, user, hash_))

    async def open_graphics(self, uid: str) -> socket.socket:
        return await consoles.open_graphics(self._connection, uid)

    async def open_serial(self, uid: str) -> SerialLine:
        return await consoles.open_serial(self._connection, uid)

    async def screenshot(self, uid: str) -> bytes:
        return await consoles.screenshot(self._connection, uid)

    async def shutdown(self, uid: str) -> None:
        await self._connection.call(domains.shutdown, uid)

    async def destroy(self, uid: str) -> None:
        await self._connection.call_patiently(domains.destroy, uid)

    async def undefine(self, uid: str) -> None:
        await self._connection.call(domains.undefine, uid)

    async def volumes(self) -> list[Volume]:
        async with self._pool_turn:
            return await self._connection.call(storage.volumes, self._pool.name)

    async def volume(self, name: str) -> Volume | None:
        async with self._pool_turn:
            return await self._connection.call(storage.volume, self._pool.name, name)

    async def create_overlay(self, name: str, *, backing: str, backing_format: str, capacity: int) -> None:
        async with self._pool_turn:
            await self._connection.call(
                storage.create_overlay,
                self._pool.name,
                name,
                backing=backing,
                backing_format=backing_format,
                capacity=capacity,
            )

    async def resize_volume(self, name: str, capacity: int, *, uid: str) -> None:
        async with self._pool_turn:
            await self._connection.call(storage.resize, self._pool.name, name, capacity, uid=uid)

    async def copy_volume(
        self, name: str, target: str, *, uid: str, on_progress: Callable[[float], None] = lambda _: None
    ) -> None:
        await self._copier.copy(Copy(self._pool.name, self._pool_path, name, target, uid), on_progress)

    async def space(self) -> Space:
        async with self._pool_turn:
            return await self._connection.call(storage.space, self._pool.name)

    async def upload(self, name: str, chunks: AsyncIterator[bytes], *, size: int | None) -> None:
        await upload(self._connection, self._pool.name, name, chunks, size=size, pool_turn=self._pool_turn)

    async def read(self, name: str, *, offset: int = 0, limit: int = 1 << 20) -> bytes:
        async with self._pool_turn:
            return await self._connection.call(storage.read, self._pool.name, name, offset=offset, limit=limit)

    async def delete_volume(self, name: str) -> None:
        async with self._pool_turn:
            await self._connection.call(storage.delete_volume, self._pool.name, name)

    async def reserve(self, reservation: Reservation) -> None:
        async with self._network_turn:
            await self._connection.call(networks.reserve, self._network.name, reservation)

    async def release(self, mac: str) -> None:
        async with self._network_turn:
            await self._connection.call(networks.release, self._network.name, mac)

    async def reservations(self) -> list[Reservation]:
        return await self._connection.call(networks.reservations, self._network.name)

    async def _ask(self, question: Callable[[libvirt.virConnect], T]) -> T:
        """Ask a guest's agent: on a connection of its own, as it may not answer."""
        async with self._connection.exclusive() as line:
            return await line.call(question)

    def _thaw(self, uid: str) -> None:
        self._errands.run(self._thawed(uid))

    async def _thawed(self, uid: str) -> None:
        """Thaw a guest, however long it, or libvirt, does not answer: it can do nothing until then."""
        for _ in range(_THAW_ATTEMPTS):
            with contextlib.suppress(HostUnreachable, GuestUnreachable):
                await self._ask(lambda virt: agent.thaw(virt, uid))
                return
            await asyncio.sleep(_THAW_SECONDS)
