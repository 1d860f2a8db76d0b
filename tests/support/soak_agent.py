"""A node agent, whole but for its process and its libvirt: `Sync` between the API server and a host in memory."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_kube.client import Client
from hypernova_kube.resources import Object, Resource
from support.machine import Machine
from support.memory_host import MemoryHost
from support.soak_api import ApiServer
from support.soak_client import Fate, Line, SoakClient
from support.soak_host import SoakHost, Witness
from support.soak_images import ImageSite
from support.soak_process import Process

Told = dict[tuple[str, str], Object | None]
"""By plural and UID, the newest state that a process has been told; None: that it is gone."""


@dataclass(slots=True)
class Surroundings:
    """What a program runs amid."""

    api: ApiServer
    site: ImageSite
    witness: Witness
    rng: random.Random
    api_fate: Callable[[Process, str, Resource], Fate | None] = lambda process, verb, resource: None


@dataclass(slots=True)
class Agent:
    """One node and the agents that run on it, one after another."""

    node: str
    machine: Machine
    around: Surroundings
    line: Line = field(default_factory=Line)
    clock_error: timedelta = timedelta()
    process: Process = field(default_factory=lambda: Process("", ""))
    told: Told = field(default_factory=dict)
    """By the process that runs now."""

    host: SoakHost | None = None
    client: SoakClient | None = None
    _lives: itertools.count[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """As kubelet does."""
        name = f"agent-{self.node}"
        process = self.process = Process(name, f"{name}-{next(self._lives)}-{self.around.rng.random()}")
        process.clock_error = self.clock_error
        told = self.told = {}

        def delivered(resource: Resource, obj: Object | None, last: Object) -> None:
            which = resource.plural, last["metadata"]["uid"]
            known = told.get(which)
            # What answers one's own write may come after the watch has told something newer.
            if known is None or _version(known) <= _version(last):
                told[which] = obj

        def listed(resource: Resource, objects: list[Object]) -> None:
            told.update({which: None for which in told if which[0] == resource.plural})
            told.update({(resource.plural, obj["metadata"]["uid"]): obj for obj in objects})

        client = self.client = SoakClient(
            self.around.api,
            process,
            self.around.rng,
            line=self.line,
            fate=lambda verb, resource: self.around.api_fate(process, verb, resource),
            delivered=delivered,
            listed=listed,
        )
        host = self.host = SoakHost(self.node, MemoryHost(self.machine), process, self.around.witness)

        async def main() -> None:
            metrics = AgentMetrics()
            store = ImageStore(host.as_host(), self.around.site.session(), metrics)
            await Sync(Settings(self.node), cast("Client", client), host.as_host(), store, metrics).run()

        process.start(main)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])
