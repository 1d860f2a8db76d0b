"""What breaks in the simulated world, chosen by chance: calls and requests, connections, programs, machines, stores."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from hypernova_agent.host import DomainState
from hypernova_kube.errors import Expired, Unreachable
from hypernova_kube.resources import Object, Resource
from support.machine import ALIVE
from support.soak_agent import Agent
from support.soak_api import Backup
from support.soak_client import Fate
from support.soak_host import CALLS as ALL_CALLS
from support.soak_host import LOOKS, Call, HostFate
from support.soak_operator import OperatorProcess
from support.soak_process import Process, loop_clock
from tests.bench.faults.operations import INSTANCES
from tests.bench.faults.world import World

CALLS = {
    HostFate.KILLED_BEFORE: 4.0,
    HostFate.KILLED_AFTER: 4.0,
    HostFate.REFUSED: 2.0,
    HostFate.LOST_BEFORE: 1.0,
    HostFate.LOST_AFTER: 2.0,
    HostFate.HANGS: 1.0,
    HostFate.SLOW: 1.0,
}
"""What becomes of calls to hosts, and how often."""

REQUESTS = {
    Fate.KILLED_BEFORE: 3.0,
    Fate.KILLED_AFTER: 3.0,
    Fate.LOST_BEFORE: 2.0,
    Fate.LOST_AFTER: 3.0,
    Fate.LATE: 1.0,
    Fate.SLOW: 1.0,
    Fate.FAILS: 2.0,
    Fate.SHED: 0.5,
}
"""What becomes of requests to the API server, and how often."""

EVENTS = {
    "call": 10.0,
    "request": 8.0,
    "agent killed": 2.0,
    "operator killed": 1.0,
    "libvirt lost": 2.0,
    "events lost": 1.0,
    "host power cut": 0.7,
    "watch cut": 2.0,
    "history compacted": 1.0,
    "API server away": 0.7,
    "requests cut": 0.5,
    "answers cut": 0.5,
    "operator cut off": 0.5,
    "watch lags": 1.0,
    "pool full": 1.0,
    "host refuses": 1.0,
    "QEMU killed": 2.0,
    "guest panics": 1.0,
    "domain undefined": 0.5,
    "domain paused": 0.5,
    "status rewritten": 1.0,
    "image site away": 0.5,
    "clock jumps": 0.5,
    "store restored": 0.2,
}
"""All that happens, and how often."""

REFUSABLE = sorted({*ALL_CALLS} - LOOKS)
"""Calls that a host may come to refuse: a read-only pool, no memory, a network that is down."""

PATIENCE = 120.0
"""Seconds until a fate that nobody has met is taken back."""


@dataclass(slots=True)
class Armed:
    """A fate that waits for the n-th call or request of a process."""

    process: Process
    fate: HostFate | Fate
    left: int
    until: float
    changes_only: bool


@dataclass(slots=True)
class Chaos:
    """The faults of one world."""

    world: World
    rng: random.Random
    weights: dict[str, float] = field(default_factory=lambda: dict(EVENTS))
    backups: deque[Backup] = field(default_factory=lambda: deque(maxlen=10))

    _armed: list[Armed] = field(default_factory=list)
    _cures: dict[int, tuple[asyncio.TimerHandle, Callable[[], None]]] = field(default_factory=dict)
    _number: int = 0

    def strike(self) -> None:
        """Have something break."""
        self.backups.append(self.world.api.backup())
        kinds = list(self.weights)
        kind = self.rng.choices(kinds, [self.weights[kind] for kind in kinds])[0]
        match kind:
            case "call":
                fate = self.rng.choices(list(CALLS), list(CALLS.values()))[0]
                self._arm(self._agent().process, fate, self.rng.choice((0, 0, 1, 2, 4, 8)))
            case "request":
                self._arm(
                    self.rng.choice((self._agent().process, self._operator().process)),
                    self.rng.choices(list(REQUESTS), list(REQUESTS.values()))[0],
                    self.rng.choice((0, 0, 1, 2)),
                )
            case _:
                self._befall(kind)

    def heal(self) -> None:
        """Cure all that lasts, and let nothing more happen. What was under way may yet fail: do it again."""
        self._armed.clear()
        for timer, cure in list(self._cures.values()):
            timer.cancel()
            cure()
        self._cures.clear()
        for agent in self.world.agents.values():
            self._recover(agent)

    # What agents' clients and hosts ask

    def host_fate(self, process: Process, call: Call) -> HostFate | None:
        """What becomes of a call."""
        fate = self._met(process, HostFate, call.changes)
        if not isinstance(fate, HostFate):
            return None
        self._fired(fate.value, process, str(call))
        if fate in (HostFate.LOST_BEFORE, HostFate.LOST_AFTER):
            agent = self.world.agents[call.node]
            self._later(self.rng.uniform(0.5, 60), lambda: self._recover(agent))
        return fate

    def api_fate(self, process: Process, verb: str, resource: Resource) -> Fate | None:
        """What becomes of a request."""
        if resource.plural in ("leases", "events"):
            return None  # they are so many that nothing else would be met
        fate = self._met(process, Fate, verb in ("create", "update", "patch", "delete"))
        if not isinstance(fate, Fate):
            return None
        self._fired(fate.value, process, f"{verb} {resource.plural}")
        return fate

    def _arm(self, process: Process, fate: HostFate | Fate, left: int) -> None:
        changes_only = self.rng.random() < 0.7
        self._armed.append(Armed(process, fate, left, loop_clock() + PATIENCE, changes_only))

    def _met(self, process: Process, kind: type[HostFate | Fate], changes: bool) -> HostFate | Fate | None:
        now = loop_clock()
        self._armed = [each for each in self._armed if each.process.alive and now < each.until]
        for armed in self._armed:
            if armed.process is process and isinstance(armed.fate, kind) and (changes or not armed.changes_only):
                armed.left -= 1
                if armed.left < 0:
                    self._armed.remove(armed)
                    return armed.fate
        return None

    def _fired(self, kind: str, process: Process, what: str) -> None:
        self.world.ledger.failed(kind, f"{process.name}: {what}")
        if kind in (HostFate.KILLED_BEFORE.value, HostFate.KILLED_AFTER.value):
            self._restart_soon(process)
        if kind in (Fate.KILLED_BEFORE.value, Fate.KILLED_AFTER.value):
            self._restart_soon(process)

    # What happens by itself

    def _befall(self, kind: str) -> None:
        agent, operator, world = self._agent(), self._operator(), self.world
        seconds = self.rng.choice((1.0, 10.0, 60.0, 200.0)) * self.rng.uniform(0.5, 1.5)
        note = f"{agent.node}, {seconds:.1f} s"
        match kind:
            case "agent killed":
                agent.kill()
                self._restart_soon(agent.process)
            case "operator killed":
                note = operator.name
                operator.kill()
                self._restart_soon(operator.process)
            case "libvirt lost":
                world.memory(agent.node).lose()
                self._later(seconds, lambda: self._recover(agent))
            case "events lost" if agent.host is not None:
                host = agent.host
                host.deaf = True
                self._later(seconds, lambda: setattr(host, "deaf", False))
            case "host power cut":
                self._cut_power(agent, seconds)
            case "watch cut":
                for each in (agent.client, operator.client):
                    if each is not None:
                        each.cut_watches()
            case "history compacted":
                world.api.compact()
                if self.rng.random() < 0.7 and agent.client is not None:
                    agent.client.cut_watches()
            case "API server away":
                self._api_away(seconds)
            case "requests cut":
                agent.line.cut(requests=True)
                self._later(seconds, agent.line.mend)
            case "answers cut":
                agent.line.cut(answers=True)
                self._later(seconds, agent.line.mend)
            case "operator cut off":
                note = f"{operator.name}, {seconds:.1f} s"
                operator.line.cut(requests=self.rng.random() < 0.5, answers=True)
                self._later(seconds, operator.line.mend)
            case "watch lags":
                program = self.rng.choice(self.world.programs())
                program.line.lag = self.rng.choice((0.5, 5.0, 20.0))
                note = f"{program.process.name}, {program.line.lag} s"
                self._later(seconds, lambda: setattr(program.line, "lag", 0.0))
            case "host refuses":
                names = set(self.rng.sample(REFUSABLE, self.rng.choice((1, 2, 5))))
                agent.machine.fails |= names
                note += f": {' '.join(sorted(names))}"
                self._later(seconds, lambda: agent.machine.fails.difference_update(names))
            case "pool full":
                world.memory(agent.node).fill()
                self._later(seconds, lambda: setattr(agent.machine, "full", False))
            case "QEMU killed" | "guest panics" | "domain undefined" | "domain paused":
                if not (note := self._hit_guest(agent, kind)):
                    return
            case "status rewritten":
                if not (note := self._rewrite_status()):
                    return
            case "image site away":
                world.site.away = True
                self._later(seconds, lambda: setattr(world.site, "away", False))
            case "clock jumps":
                jump = timedelta(seconds=self.rng.choice((-86400, -3600, -5, 5, 3600, 86400 * 365)))
                agent.clock_error += jump
                agent.process.clock_error = agent.clock_error
                note = f"{agent.node} {jump}"
            case "store restored":
                note = self._restore()
            case _:
                raise AssertionError(kind)
        world.ledger.failed(kind, note)

    def _cut_power(self, agent: Agent, seconds: float) -> None:
        self.world.powered[agent.node] = False
        self.world.memory(agent.node).die()
        agent.kill()

        def back() -> None:
            self.world.powered[agent.node] = True
            agent.machine.answers = True
            if not agent.process.alive:
                agent.start()

        self._later(seconds, back)

    def _api_away(self, seconds: float) -> None:
        everybody = self.world.programs()
        for each in everybody:
            each.line.refused = True
            if each.client is not None:
                each.client.cut_watches()

        def back() -> None:
            for each in everybody:
                each.line.refused = False

        self._later(seconds, back)

    def _hit_guest(self, agent: Agent, kind: str) -> str:
        running = [uid for uid, domain in agent.machine.domains.items() if domain.state in ALIVE]
        if not running:
            return ""
        uid = self.rng.choice(running)
        memory = self.world.memory(agent.node)
        match kind:
            case "QEMU killed" | "guest panics":
                memory.end(uid, DomainState.CRASHED)
            case "domain undefined":
                agent.machine.domains[uid].transient = True
            case _ if agent.machine.domains[uid].state is DomainState.RUNNING:
                agent.machine.domains[uid].state = DomainState.PAUSED
            case _:
                return ""
        return f"{agent.node} {uid}"

    def _rewrite_status(self) -> str:
        """By somebody with the right and no idea. What the agent is told by it (node, flavor, ...) is left alone."""
        instances = self.world.instances()
        if not instances:
            return ""
        instance = instances[self.rng.choice(sorted(instances))]
        if "nodeName" not in instance.get("status", {}):
            return ""
        status: Object = self.rng.choice(
            (
                {"phase": "Failed"},
                {"phase": "Stopped", "conditions": None},
                {"observedGeneration": 1, "conditions": None},
                {"restartCount": 0, "phase": None},
            )
        )
        new = {**instance, "status": {k: v for k, v in (instance["status"] | status).items() if v is not None}}
        self.world.api.replace(INSTANCES, new, "status")
        return f"{instance['metadata']['name']} {status}"

    def _restore(self) -> str:
        backup = self.rng.choice(self.backups)
        self.world.restored = True
        self.world.api.restore(backup, self.rng.choice((Unreachable("restored"), Expired(410, "Expired", "restored"))))
        return f"to version {backup.version}"

    def _restart_soon(self, process: Process) -> None:
        for program in self.world.programs():
            if program.process is process:
                self._later(self.rng.uniform(0.2, 20), partial(self._start, program))

    def _start(self, program: Agent | OperatorProcess) -> None:
        if not program.process.alive and (isinstance(program, OperatorProcess) or self.world.powered[program.node]):
            program.start()

    def _recover(self, agent: Agent) -> None:
        if self.world.powered[agent.node]:
            agent.machine.answers = True

    def _later(self, seconds: float, cure: Callable[[], None]) -> None:
        self._number += 1
        number = self._number

        def cured() -> None:
            del self._cures[number]
            cure()

        self._cures[number] = asyncio.get_running_loop().call_later(seconds, cured), cure

    def _agent(self) -> Agent:
        return self.rng.choice(list(self.world.agents.values()))

    def _operator(self) -> OperatorProcess:
        return self.rng.choice(self.world.operators)
