"""Statuses written: what may have changed is looked at again soon, and written if it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from hypernova_api.meta import Model
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key
from hypernova_operator.cache import Kept
from hypernova_operator.controllers.writes import WRITE_SECONDS

LOOK_SECONDS = 2.0
"""How late statuses follow what they are about: what changes on and on is written this often, and not more."""

WRITE_PAUSE_SECONDS = 0.05
"""Between two writes: a cloud with a thousand aggregates, all of them in motion, must not keep the API server busy."""


class Told(Protocol):
    """A record of a kind whose status we write."""

    @property
    def key(self) -> Key: ...

    @property
    def version(self) -> int: ...

    @property
    def status(self) -> Model: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind whose status we write."""

    kept: Kept[Any]
    status: Callable[[Any, datetime], Model]
    """What the status of a record should be."""


class StatusWriter:
    """The only one who writes the statuses of these kinds, as the leader."""

    def __init__(
        self,
        client: Client,
        kinds: Iterable[Kind],
        is_leader: Callable[[], bool],
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._kinds = {kind.kept.resource.plural: kind for kind in kinds}
        self._is_leader = is_leader
        self._wall_clock = wall_clock
        self._queue: WorkQueue[tuple[str, Key]] = WorkQueue(
            self.reconcile, workers=1, backoff=Backoff(base=1.0, cap=60.0), name="statuses", metrics=client.metrics
        )

    def touch(self, kept: Kept[Any], key: Key) -> None:
        """What the object's status says may not be so any more."""
        # A standby queues nothing: when it comes to lead, it looks at all.
        if self._is_leader():
            self._queue.add((kept.resource.plural, key), LOOK_SECONDS)

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        for kind in self._kinds.values():
            for record in kind.kept.store:
                self.touch(kind.kept, record.key)
        await self._queue.run()

    async def reconcile(self, item: tuple[str, Key]) -> float | None:
        """Write one status if it says something new; for a work queue.

        Returns:
            Seconds after which to look again, if somebody else has written meanwhile.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        plural, key = item
        kind = self._kinds[plural]
        record: Told | None = kind.kept.store.get(key)
        if record is None or not self._is_leader():
            return None
        status = kind.status(record, self._wall_clock())
        if status == record.status:
            return None
        patch = {"metadata": {"resourceVersion": str(record.version)}, "status": status.to_wire()}
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                resource = kind.kept.resource
                stored = await self._client.patch(resource, key.name, patch, key.namespace, subresource="status")
        except Conflict:
            return LOOK_SECONDS  # by then the watch has brought what we have not seen
        except NotFound:
            return None  # the watch tells
        kind.kept.put(stored)
        await asyncio.sleep(WRITE_PAUSE_SECONDS)
        return None
