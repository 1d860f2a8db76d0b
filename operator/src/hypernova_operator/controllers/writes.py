"""Writing Instances, and finding out what became of a write that nobody answered for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypernova_api.instance import Instance as InstanceKind
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.resources import Key, Object, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Instance

INSTANCES = Resource.of(InstanceKind)

WRITE_SECONDS = 4.0
"""Longest time a write may be under way. A leader stops 5 s before a standby may take over (Elector's duration less its
renew_deadline): a write that was begun as a leader has ended, one way or the other, when another leads."""


class InstanceWrites:
    """The only way the operator writes Instances: as the leader, conditionally, and into the cache at once."""

    def __init__(self, client: Client, cache: Cache, is_leader: Callable[[], bool]) -> None:
        self._client = client
        self._cache = cache
        self._is_leader = is_leader
        self._unsure: set[Key] = set()

    def allowed(self) -> bool:
        """Whether we may write at all now."""
        return self._is_leader()

    async def write(self, key: Key, patch: Object, subresource: str = "") -> bool:
        """Patch an Instance; whether it was written. If not, the cache knows by now why, or we don't lead any more.

        Raises:
            KubeError, TimeoutError: it may have been written or not; the Instance is unsure until it has been read.
        """
        if not self.allowed():
            return False
        self._unsure.add(key)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                stored = await self._client.patch(INSTANCES, key.name, patch, key.namespace, subresource=subresource)
        except (Conflict, NotFound):
            await self.read(key)
            return False
        self._unsure.discard(key)
        self._cache.instances.put(stored)
        return True

    async def create(self, obj: Object) -> Object | None:
        """Create an Instance; None if we don't lead any more.

        Raises:
            KubeError, TimeoutError: it may have been created or not; it may have been refused.
        """
        if not self.allowed():
            return None
        async with asyncio.timeout(WRITE_SECONDS):
            stored = await self._client.create(INSTANCES, obj)
        self._cache.instances.put(stored)
        return stored

    def is_unsure(self, key: Key) -> bool:
        """Whether the last write may have happened or not."""
        return key in self._unsure

    async def read(self, key: Key) -> Instance | None:
        """The Instance as it is now.

        Raises:
            KubeError: it is still not known.
        """
        await self.fetch(key)
        return self._cache.instance(key)

    async def fetch(self, key: Key) -> Object | None:
        """The object itself as it is now, in the cache too; None if it is gone.

        Raises:
            KubeError: it is still not known.
        """
        obj: Object | None = None
        try:
            obj = await self._client.get(INSTANCES, key.name, key.namespace)
            self._cache.instances.put(obj)
        except NotFound:
            if known := self._cache.instance(key):
                self._cache.instances.store.remove(key, known.version)
        self._unsure.discard(key)
        return obj
