"""Comparing the cache with the API server: what the watches missed is found and put right.

kopf replays the objects after a watch broke for long, but does not notice those that were deleted meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, NotFound
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, key_of
from hypernova_operator.cache.cache import Cache, Kept
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

LIST_RATHER = 50
"""More outdated objects than this are read by one list, fewer one by one."""

_SETTLE_SECONDS = 2.0
"""How long a watch that begins anew gets to replay its objects, before they are compared."""


@dataclass(frozen=True, slots=True)
class Found:
    """What no watch had told when a sweep saw it."""

    changed: int
    """Objects new or changed. Some are on their way just then."""

    gone: int
    """Objects deleted."""


async def sweep(client: Client, kept: Kept[Any]) -> Found:
    """Bring one kind up to date.

    Only metadata is listed at first: mostly it tells that nothing is to be done.

    Raises:
        KubeError: not all is up to date; sweep again.
    """
    resource = kept.resource
    listing = await client.list_metadata(resource)
    listed = {key_of(obj): int(obj["metadata"]["resourceVersion"]) for obj in listing.items}
    outdated = kept.store.outdated(listed)
    if len(outdated) > LIST_RATHER:
        for obj in (await client.list(resource)).items:
            kept.put(obj)
    else:
        for key in outdated:
            await _read(client, kept, key)
    return Found(len(outdated), kept.store.settle(listed, int(listing.resource_version)))


async def _read(client: Client, kept: Kept[Any], key: Key) -> None:
    # Gone since it was listed: the watch or the next sweep tells.
    with contextlib.suppress(NotFound):
        kept.put(await client.get(kept.resource, key.name, key.namespace))


class Sweeper:
    """Sweeps once in a while, and soon after a watch had to begin anew."""

    def __init__(self, client: Client, cache: Cache, interval: float, metrics: Metrics) -> None:
        self._client = client
        self._cache = cache
        self._interval = interval
        self._metrics = metrics
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
                    self._count(kept, await sweep(self._client, kept))
            except KubeError as error:
                wait = self._backoff.next("sweep")
                log.warning("sweep failed", error=error, retry_in_s=wait)
                await asyncio.sleep(wait)
            else:
                self._backoff.forget("sweep")
                self.swept.set()
                return

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
