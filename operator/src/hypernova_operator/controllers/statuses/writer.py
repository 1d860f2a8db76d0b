"""Statuses written: what may have changed is looked at again soon, and written if it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from hypernova_api.meta import Model
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, KubeError, NotFound
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key
from hypernova_operator.cache import Kept
from hypernova_operator.controllers.writes import WRITE_SECONDS

log = get_logger(__name__)

LOOK_SECONDS = 2.0
"""How often statuses follow what they are about."""

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
        is_leader: Callable[[], bool],
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._is_leader = is_leader
        self._wall_clock = wall_clock
        self._touched: dict[tuple[str, Key], Kind] = {}

    def touch(self, kind: Kind, key: Key) -> None:
        """What the object's status says may not be so any more."""
        self._touched[kind.kept.resource.plural, key] = kind

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.write()

    async def write(self) -> None:
        """All that has been touched. What can't be written stays touched."""
        touched, self._touched = self._touched, {}
        for (_, key), kind in touched.items():
            try:
                written = await self._write(kind, key)
            except (KubeError, TimeoutError) as error:
                self.touch(kind, key)
                log.warning("status not written", resource=kind.kept.resource.plural, key=key, error=error)
                written = True
            # Reckoning may take a millisecond each, too: who is to be bound must not wait for all of it.
            await asyncio.sleep(WRITE_PAUSE_SECONDS if written else 0)

    async def _write(self, kind: Kind, key: Key) -> bool:
        """Write one status if it says something new; whether anything was asked of the API server."""
        record: Told | None = kind.kept.store.get(key)
        if record is None or not self._is_leader():
            return False
        status = kind.status(record, self._wall_clock())
        if status == record.status:
            return False
        patch = {"metadata": {"resourceVersion": str(record.version)}, "status": status.to_wire()}
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                resource = kind.kept.resource
                stored = await self._client.patch(resource, key.name, patch, key.namespace, subresource="status")
        except Conflict:
            self.touch(kind, key)  # the watch brings what we have not seen
        except NotFound:
            pass  # the watch tells
        else:
            kind.kept.put(stored)
        return True
