"""An operator, whole but for its process and for kopf: what kopf would watch, reflectors follow.

kopf brings its own client and its own loop over sockets; everything else (cache, election, scheduler, controllers) is
the real thing.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, cast
from unittest.mock import patch

from hypernova_kube.client import Client
from hypernova_kube.credentials import LogIn
from hypernova_kube.reflector import Change, Reflector, identity
from hypernova_operator import operator
from hypernova_operator.cache import Cache, Kept
from hypernova_operator.metrics import Metrics
from hypernova_operator.settings import Settings
from support.soak_agent import Surroundings
from support.soak_client import Line, SoakClient
from support.soak_process import Process


@dataclass(slots=True)
class OperatorProcess:
    """One replica and its lives."""

    name: str
    around: Surroundings
    line: Line = field(default_factory=Line)
    clock_error: timedelta = timedelta()
    process: Process = field(default_factory=lambda: Process("", ""))
    client: SoakClient | None = None
    _lives: itertools.count[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """As kubelet does."""
        process = self.process = Process(self.name, f"{self.name}-{next(self._lives)}-{self.around.rng.random()}")
        process.clock_error = self.clock_error
        client = self.client = SoakClient(
            self.around.api,
            process,
            self.around.rng,
            line=self.line,
            fate=lambda verb, resource: self.around.api_fate(process, verb, resource),
        )

        async def main() -> None:
            with patch.object(operator, "Frame", partial(_Frame, client)):
                whole = operator.Operator(
                    cast("Client", client), cast("LogIn", None), Settings(identity=self.name), Metrics()
                )
            await whole.run()

        process.start(main)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


class _Frame:
    """`hypernova_operator.frame.Frame`, without kopf."""

    def __init__(
        self,
        client: SoakClient,
        log_in: LogIn,
        cache: Cache,
        on_replay: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        self._reflectors = [_following(client, kept, on_replay) for kept in cache.few]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors:
                group.create_task(reflector.run())


class _Replaying(Reflector):
    """Tells of each list, as kopf replays all objects whenever a watch has to begin anew."""

    on_replay: Callable[[], None]

    async def _list(self) -> None:
        await super()._list()
        self.on_replay()


def _following(client: SoakClient, kept: Kept[Any], on_replay: Callable[[], None]) -> Reflector:
    def on_change(change: Change) -> None:
        if change.new is not None:
            kept.put(change.new)
        elif (known := kept.store.get(change.key)) is not None:
            kept.store.remove(change.key, known.version)

    reflector = _Replaying(cast("Client", client), kept.resource, on_change, keep=identity)
    reflector.on_replay = on_replay
    return reflector
