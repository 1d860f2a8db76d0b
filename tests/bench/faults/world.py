"""A cluster in one event loop: API server, operators, and agents on machines, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from hypernova_kube.client import Client
from hypernova_kube.errors import LeadershipLost
from hypernova_kube.resources import Object, Resource
from hypernova_operator.cache.sweep import StoreRestored
from support.builders import a_flavor, a_hypervisor, a_namespace, a_node, an_image
from support.machine import FACTS, GIB, Machine
from support.memory_host import MemoryHost
from support.operators import RESOURCES
from support.soak_agent import Agent, Surroundings
from support.soak_api import ApiServer
from support.soak_client import Fate, Line, SoakClient
from support.soak_host import Witness
from support.soak_images import URL, ImageSite
from support.soak_operator import OperatorProcess
from support.soak_process import Process
from tests.bench.faults.ledger import Ledger, Wrong
from tests.bench.faults.operations import INSTANCES, NAMESPACE, Catalog

FLAVORS: Mapping[str, Object] = {
    "tiny": {"vcpus": 1, "memory": "256Mi", "rootDisk": "1Gi"},
    "small": {"vcpus": 1, "memory": "512Mi", "rootDisk": "2Gi"},
    "large": {"vcpus": 2, "memory": "1Gi", "rootDisk": "4Gi"},
}
IMAGES = ("debian", "fedora")
FEW_INSTANCES = 14
"""They all fit on the hosts whatever their flavors: who gets no host has been forgotten."""

HOST = replace(FACTS, memory=16 * GIB, disk=200 * GIB)


class World:
    """All of it."""

    def __init__(self, seed: int, ledger: Ledger, witness: Witness, *, hosts: int = 3, operators: int = 2) -> None:
        """A world in which nothing runs yet; to be made within the loop and `as_processes`."""
        self.rng = random.Random(seed)
        self.ledger = ledger
        self.api = ApiServer(self._own_rng())
        self.site = ImageSite(self._own_rng())
        self.around = Surroundings(self.api, self.site, witness, self._own_rng(), self._no_fate)
        self.agents: dict[str, Agent] = {}
        for number in range(hosts):
            node = f"node-{'abcdefgh'[number]}"
            self.agents[node] = Agent(node, Machine(facts=HOST, obedient=True, has_agent=True), self.around)
        self.operators = [OperatorProcess(f"operator-{number}", self.around) for number in range(operators)]
        self.restored = False
        """Whether the API server's store has ever been put back to an old backup."""
        self.powered = dict.fromkeys(self.agents, True)
        self.catalog = Catalog(tuple(FLAVORS), IMAGES, FEW_INSTANCES)
        user = Process("user", f"user-{seed}")
        user.alive = True
        self.client = cast("Client", SoakClient(self.api, user, self._own_rng(), line=Line()))
        self._furnish()

    def programs(self) -> list[Agent | OperatorProcess]:
        """All that run, or should."""
        return [*self.agents.values(), *self.operators]

    def start(self) -> None:
        """Everything runs."""
        for each in self.programs():
            each.start()

    async def end(self) -> None:
        """Nothing runs any more."""
        for each in self.programs():
            each.kill()
            await each.process.buried()

    def instances(self) -> dict[str, Object]:
        """All of them, by name."""
        return {key.name: obj for key, obj in self.api.objects.get(INSTANCES.plural, {}).items()}

    def machines(self) -> Iterator[tuple[str, Machine]]:
        """All of them, by node."""
        for node, agent in self.agents.items():
            yield node, agent.machine

    def memory(self, node: str) -> MemoryHost:
        """A way to have something befall a host: by the agent's own connection, if it has one, which then hears."""
        agent = self.agents[node]
        return agent.host.memory if agent.host is not None and agent.process.alive else MemoryHost(agent.machine)

    def keep_running(self) -> None:
        """As kubelet does: who has ended is started again. That an agent ends by itself is wrong."""
        for agent in self.agents.values():
            if self.powered[agent.node] and self._ended(agent.process):
                agent.start()
        for operator in self.operators:
            if self._ended(operator.process):
                operator.start()

    def set_fates(self, fate: Callable[[Process, str, Resource], Fate | None]) -> None:
        """Who says what becomes of requests."""
        self.around.api_fate = fate

    def _ended(self, process: Process) -> bool:
        main = process.main
        if main is None or not main.done():
            return False
        error = None if main.cancelled() else main.exception()
        if error is not None and process.alive and not _is_meant(error):
            self.ledger.found(Wrong.BROKEN, f"{process.name} ended: {error!r}")
        return True

    def _own_rng(self) -> random.Random:
        return random.Random(self.rng.random())

    def _furnish(self) -> None:
        self._put(a_namespace(NAMESPACE))
        for name, sizes in FLAVORS.items():
            self._put(a_flavor(name, **sizes))
        for name in IMAGES:
            source = {"url": URL + name, "sha256": self.site.publish(name)}
            self._put(an_image(name, NAMESPACE, source=source))
        for node in self.agents:
            self._put(a_node(node))
            self._put(a_hypervisor(node))

    def _put(self, obj: Object) -> None:
        self.api.create(RESOURCES[obj["kind"]], obj)

    @staticmethod
    def _no_fate(process: Process, verb: str, resource: Resource) -> Fate | None:
        return None


def _is_meant(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_meant(each) for each in error.exceptions)
    return isinstance(error, LeadershipLost | StoreRestored)
