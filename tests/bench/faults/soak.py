"""One soak: chance acts on a world, everything is watched, then all is cured and must come right."""

from __future__ import annotations

import asyncio
import gc
import random
from dataclasses import dataclass, field

from hypernova_agent.host import DomainState
from hypernova_kube.errors import KubeError
from support.soak_process import as_processes, loop_clock
from support.virtual_time import VirtualTimeLoop
from tests.bench.faults.audit import Auditor
from tests.bench.faults.chaos import Chaos
from tests.bench.faults.ledger import Ledger
from tests.bench.faults.listening import listening
from tests.bench.faults.operations import User
from tests.bench.faults.settled import problems
from tests.bench.faults.world import World

LONGEST_SETTLING = 1800.0
"""Seconds after the last fault by which all must be right: some back-offs of five minutes have run out by then."""

_LOOK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Soak:
    """What is to be done."""

    seed: int
    operations: int = 200
    faults: int = 20
    pause: float = 3.0
    """Seconds between two things that happen, on average."""

    without: frozenset[str] = field(default_factory=frozenset)
    """Kinds of operations and faults to leave out."""


def run(soak: Soak) -> Ledger:
    """Do it; the same soak always comes to the same end (under the same PYTHONHASHSEED)."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_run(soak))


async def _run(soak: Soak) -> Ledger:
    ledger = Ledger(loop_clock)
    with as_processes(), listening(ledger):
        await _Course(soak, ledger).run()
    return ledger


class _Course:
    """The course of one soak."""

    def __init__(self, soak: Soak, ledger: Ledger) -> None:
        auditor = Auditor(ledger)
        world = self._world = World(soak.seed, ledger, auditor)
        auditor.agents = world.agents
        world.api.listeners.append(auditor.wrote)
        self._soak = soak
        self._ledger = ledger
        self._rng = random.Random(world.rng.random())
        self._user = User(world.client, world.catalog, random.Random(world.rng.random()), ledger)
        self._chaos = Chaos(world, random.Random(world.rng.random()))
        for weights in (self._user.weights, self._chaos.weights):
            for kind in soak.without & weights.keys():
                weights[kind] = 0
        self._user.states = tuple(state for state in self._user.states if state not in soak.without)
        auditor.fate = self._chaos.host_fate
        world.set_fates(self._chaos.api_fate)

    async def run(self) -> None:
        """From an empty cluster to one that has come right again."""
        self._world.start()
        await asyncio.sleep(30)
        await self._break()
        self._chaos.heal()
        self._ledger.note("all is cured")
        await self._settle()
        gc.collect()  # an error that nobody has looked at is told of when it is thrown away
        await self._world.end()

    async def _break(self) -> None:
        soak, operations, faults = self._soak, self._ledger.operations, self._ledger.faults
        while not self._ledger.given_up and (operations.total() < soak.operations or faults.total() < soak.faults):
            await asyncio.sleep(self._rng.expovariate(1 / soak.pause))
            left = max(soak.operations - operations.total(), 0), max(soak.faults - faults.total(), 0)
            if self._rng.random() * sum(left) < left[1]:
                self._chaos.strike()
            elif self._rng.random() < 0.15:
                self._guest_acts()
            else:
                await self._user_acts()
            self._world.keep_running()

    async def _user_acts(self) -> None:
        try:
            await self._user.act(self._world.instances())
        except KubeError as error:
            self._ledger.note(f"the user is refused: {error}")

    def _guest_acts(self) -> None:
        """A guest does what it wants, or comes to have other manners."""
        node = self._rng.choice(list(self._world.agents))
        machine, memory = self._world.agents[node].machine, self._world.memory(node)
        running = sorted(uid for uid, domain in machine.domains.items() if domain.state is DomainState.RUNNING)
        what = self._rng.choice(("powers off", "reboots", "manners"))
        if what == "manners":
            manner = self._rng.choice(("obedient", "takes_memory", "lets_go", "has_agent"))
            setattr(machine, manner, self._rng.random() < 0.7)
            self._ledger.operated("guest", f"guests of {node}: {manner} {getattr(machine, manner)}")
        elif running and self._world.powered[node]:
            uid = self._rng.choice(running)
            if what == "powers off":
                memory.end(uid)
            else:
                memory.reboot(uid)
            self._ledger.operated("guest", f"guest {uid} {what}")

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LONGEST_SETTLING
        while left := problems(self._world):
            self._chaos.heal()
            self._world.keep_running()
            if self._ledger.given_up or loop.time() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        for wrong, message in left:
            self._ledger.found(wrong, message)
