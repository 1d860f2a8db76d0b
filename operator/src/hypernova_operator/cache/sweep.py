"""Comparing the cache with the API server: what the watches missed is found and put right.

kopf replays the objects after a watch broke for long, but does not notice those that were deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, NotFound, Unreachable
from hypernova_kube.process.logs import get_logger
from hypernova_kube.reflector import Reflector
from hypernova_kube.resources import Key, Resource, key_of
from hypernova_operator.cache.cache import Cache, Kept
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

LIST_RATHER = 50
"""More outdated objects than this are read by one list, fewer one by one."""

MANY = 2000
"""The metadata of more objects than this takes longer to list than a bookmark takes to come (up to 3 s)."""

_BOOKMARK_SECONDS = 4.0
"""The API server sends a bookmark 2 s before it ends a watch, give or take one."""

_SETTLE_SECONDS = 2.0
"""How long a watch that begins anew gets to replay its objects, before they are compared."""


@dataclass(frozen=True, slots=True)
class Found:
    """What no watch had told when a sweep saw it."""

    changed: int
    """Objects new or changed. Some are on their way just then."""

    gone: int
    """Objects deleted."""


class StoreRestored(Exception):
    """The API server's store has been put back to a backup, and what is known here is of a time that never was."""


async def sweep(client: Client, kept: Kept[Any]) -> Found:
    """Bring one kind up to date.

    Only metadata is listed at first: mostly it tells that nothing is to be done.

    Raises:
        KubeError: not all is up to date; sweep again.
        StoreRestored: nothing that is known can be relied on; begin anew.
    """
    resource = kept.resource
    listing = await client.list_metadata(resource)
    listed = {key_of(obj): int(obj["metadata"]["resourceVersion"]) for obj in listing.items}
    _check_history(kept, listed, int(listing.resource_version))
    outdated = kept.store.outdated(listed)
    if len(outdated) > LIST_RATHER:
        for obj in (await client.list(resource)).items:
            kept.put(obj)
    else:
        for key in outdated:
            await _read(client, kept, key)
    return Found(len(outdated), kept.store.settle(listed, int(listing.resource_version)))


async def catch_up(client: Client, kept: Kept[Any], reflector: Reflector) -> Found:
    """As `sweep`, of a kind that a reflector follows: cheaper the more objects there are.

    A reflector misses nothing, but may be late. A second watch from where it is tells the store, which takes news in
    any order, until it has come to the version that the API server is at. Short watches soon get a bookmark.

    Raises:
        KubeError: not all is up to date; do it again.
        StoreRestored: nothing that is known can be relied on; begin anew.
    """
    since = reflector.resource_version
    if not since:
        raise Unreachable(f"{kept.resource.plural} are just being listed")
    now = await client.current_version(kept.resource)
    changed = 0
    async with aclosing(
        client.watch(kept.resource, resource_version=since, timeout_seconds=_BOOKMARK_SECONDS)
    ) as events:
        async for event in events:
            if event.type == "DELETED":
                kept.remove(event.object)
            elif event.type != "BOOKMARK":
                changed += kept.store.is_news(key_of(event.object), int(event.object["metadata"]["resourceVersion"]))
                kept.put(event.object)
            if int(event.object["metadata"]["resourceVersion"]) >= now:
                break
        else:
            raise Unreachable(f"a watch of {kept.resource.plural} ended behind version {now}")
    if not reflector.resource_version:
        raise Unreachable(f"{kept.resource.plural} are just being listed")
    listed = {key: int(obj["metadata"]["resourceVersion"]) for key, obj in reflector.objects.items()}
    _check_history(kept, listed, int(reflector.resource_version))
    return Found(changed, kept.store.settle(listed, int(reflector.resource_version)))


def _check_history(kept: Kept[Any], listed: Mapping[Key, int], version: int) -> None:
    # A store that never goes back in time would be blind to whatever the backup has brought back: objects come with
    # the versions that they had. Whoever runs this process starts it again.
    if keys := kept.store.rewritten(listed, version):
        raise StoreRestored(
            f"{kept.resource.plural} {keys[0]} is older than it was: the API server's store was restored"
        )


async def _read(client: Client, kept: Kept[Any], key: Key) -> None:
    # Gone since it was listed: the watch or the next sweep tells.
    with contextlib.suppress(NotFound):
        kept.put(await client.get(kept.resource, key.name, key.namespace))


class Sweeper:
    """Sweeps once in a while, and soon after a watch had to begin anew."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        interval: float,
        metrics: Metrics,
        reflectors: Mapping[Resource, Reflector] = MappingProxyType({}),
    ) -> None:
        """A sweeper that has not begun.

        Args:
            client: whom to ask.
            cache: what to bring up to date.
            interval: seconds between sweeps.
            metrics: where to count what the watches missed.
            reflectors: the kinds that are followed by one.
        """
        self._client = client
        self._cache = cache
        self._interval = interval
        self._metrics = metrics
        self._reflectors = reflectors
        self._backoff = Backoff(base=0.5, cap=10.0)
        self._poked = asyncio.Event()
        self.swept = asyncio.Event()
        """Set when all kinds have been seen once."""

    def poke(self) -> None:
        """A watch begins anew: who knows what it has missed."""
        self._poked.set()

    async def sweep(self) -> None:
        """Bring the cache up to date, however often it takes."""
        while True:
            try:
                for kept in self._cache.kinds:
                    self._count(kept, await self._one(kept))
            except KubeError as error:
                wait = self._backoff.next("sweep")
                log.warning("sweep failed", error=error, retry_in_s=wait)
                await asyncio.sleep(wait)
            else:
                self._backoff.forget("sweep")
                self.swept.set()
                return

    async def _one(self, kept: Kept[Any]) -> Found:
        reflector = self._reflectors.get(kept.resource)
        if reflector is not None and len(kept.store) > MANY:
            return await catch_up(self._client, kept, reflector)
        return await sweep(self._client, kept)

    def _count(self, kept: Kept[Any], found: Found) -> None:
        self._metrics.missed.labels("changed").inc(found.changed)
        self._metrics.missed.labels("gone").inc(found.gone)
        if found.gone:
            log.info("deletions missed by a watch", resource=kept.resource.plural, count=found.gone)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._poked.wait()
                    await asyncio.sleep(_SETTLE_SECONDS)
            self._poked.clear()
            await self.sweep()
