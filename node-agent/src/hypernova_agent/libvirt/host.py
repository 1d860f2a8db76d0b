"""The host behind a libvirt socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network

from hypernova_agent.host import Domain, HostFacts, Reservation, Volume
from hypernova_agent.libvirt import domains, networks, storage
from hypernova_agent.libvirt.connection import Connection
from hypernova_agent.libvirt.facts import facts
from hypernova_agent.libvirt.upload import upload
from hypernova_agent.xml.network import NatNetwork
from hypernova_agent.xml.storage import DirectoryPool
from hypernova_api.network import DEFAULT_CIDR


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
        except BaseException:
            await self._connection.close()
            raise

    async def close(self) -> None:
        await self._connection.close()

    async def facts(self) -> HostFacts:
        return await self._connection.call(facts, self._pool.name)

    async def domains(self) -> list[Domain]:
        return await self._connection.call(domains.domains)

    async def domain(self, uid: str) -> Domain | None:
        return await self._connection.call(domains.domain, uid)

    async def define(self, xml: str) -> None:
        await self._connection.call(domains.define, xml)

    async def start(self, uid: str) -> None:
        await self._connection.call(domains.start, uid)

    async def shutdown(self, uid: str) -> None:
        await self._connection.call(domains.shutdown, uid)

    async def destroy(self, uid: str) -> None:
        await self._connection.call(domains.destroy, uid)

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
