"""Writing InstanceActions: as the leader, conditionally, and into the cache at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypernova_api.action import InstanceAction as InstanceActionKind
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.resources import Object, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import InstanceAction
from hypernova_operator.controllers.writes import WRITE_SECONDS

ACTIONS = Resource.of(InstanceActionKind)


class ActionWrites:
    """The only way the operator writes InstanceActions."""

    def __init__(self, client: Client, cache: Cache, is_leader: Callable[[], bool]) -> None:
        self._client = client
        self._cache = cache
        self._is_leader = is_leader

    def allowed(self) -> bool:
        """Whether we may write at all now."""
        return self._is_leader()

    async def status(self, action: InstanceAction, patch: Object) -> bool:
        """Patch its status; whether it was written. If not, look again soon: it is not as we thought.

        Raises:
            KubeError, TimeoutError: it may have been written or not. The patch is conditional: to try again is safe.
        """
        if not self.allowed():
            return False
        key = action.key
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                stored = await self._client.patch(ACTIONS, key.name, patch, key.namespace, subresource="status")
        except (Conflict, NotFound):
            await self._read(action)
            return False
        self._cache.actions.put(stored)
        return True

    async def delete(self, action: InstanceAction) -> None:
        """Delete it, and no other of its name.

        Raises:
            KubeError, TimeoutError: try again.
        """
        if not self.allowed():
            return
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._client.delete(ACTIONS, action.key.name, action.key.namespace, uid=action.uid)
        except (Conflict, NotFound):
            await self._read(action)

    async def _read(self, action: InstanceAction) -> None:
        """What it is now, where the watch has not told yet."""
        try:
            self._cache.actions.put(await self._client.get(ACTIONS, action.key.name, action.key.namespace))
        except NotFound:
            self._cache.actions.store.remove(action.key, action.version)
