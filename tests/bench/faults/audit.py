"""Judging every call that an agent makes: whether what it has been told allows it.

An agent acts on what it was told; that may be old, but not invented. So a guest may be ended only by an agent whose
newest word of its Instance asks for that: by a power state, a deletion, an unfinished action. What the agent was told
is taken down by its client (`Agent.told`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from hypernova_agent import names
from hypernova_api.action import FINISHED
from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_kube.resources import Object, Resource
from support.machine import ALIVE, Machine
from support.soak_agent import Agent
from support.soak_api import Written
from support.soak_host import Call, HostFate, Witness
from support.soak_process import Process
from tests.bench.faults.ledger import Ledger, Wrong

ENDINGS = {"shutdown", "destroy", "save", "pause"}
"""Calls after which a guest runs no more."""

RESTARTING = {"Reboot", "Rebuild", "Rescue", "Unrescue"}
"""Actions that take a guest's power away, once each."""


MOST_CALLS = 6000
"""Of an agent in a minute; one that looks at all its Instances anew each second makes half as many."""


class Auditor(Witness):
    """Watches all agents."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.agents: Mapping[str, Agent] = {}
        self.fate: Callable[[Process, Call], HostFate | None] = lambda process, call: None
        self.launched: set[str] = set()
        """Names of root disks that a guest has run on: there is something on them."""
        self._actions: dict[str, Object] = {}
        self._for_actions: set[int] = set()
        """Calls under way that end a guest which is to run."""
        self._calls: Counter[tuple[str, int]] = Counter()
        self._power_offs: Counter[str] = Counter()
        self._nmis: Counter[str] = Counter()

    def begins(self, process: Process, call: Call) -> HostFate | None:
        self._count(process, call)
        if call.changes:
            self.ledger.note(str(call))
            self._judge(call, self.agents[call.node])
        fate = self.fate(process, call)
        if fate is not None:
            self.ledger.note(f"{call.node}: {call.name}: {fate.value}")
        return fate

    def done(self, process: Process, call: Call, result: Any) -> None:
        agent = self.agents[call.node]
        match call.name:
            case "start":
                self._started(call.arguments["uid"], agent.machine)
            case "destroy" | "shutdown":
                self._ended(call, agent)
            case _:
                pass

    def wrote(self, resource: Resource, written: Written) -> None:
        """Take note of what the API server has stored."""
        if resource.plural == "instanceactions" and written.new is not None:
            self.asked(written.new)

    def asked(self, action: Object) -> None:
        """There is, or was, an action."""
        self._actions[action["metadata"]["uid"]] = action

    # Before

    def _count(self, process: Process, call: Call) -> None:
        """An agent that asks over and over does nothing else, and the soak hardly comes to an end."""
        minute = process.name, int(self.ledger.clock() // 60)
        self._calls[minute] += 1
        if self._calls[minute] > MOST_CALLS:
            self.ledger.give_up(f"{process.name} asks its host {MOST_CALLS} times in a minute, at last {call}")

    def _judge(self, call: Call, agent: Agent) -> None:
        uid = call.arguments.get("uid", "")
        domain = agent.machine.domains.get(uid)
        match call.name:
            case name if name in ENDINGS and domain is not None and domain.state in ALIVE:
                if self._is_for_an_action(uid, agent):
                    self._for_actions.add(id(call))
                if not self._may_end(name, uid, agent):
                    self.ledger.found(Wrong.LOST, f"{call} ends a guest that is to run: {_words(agent, uid)}")
            case "start":
                if not self._may_start(uid, agent):
                    self.ledger.found(Wrong.DOUBLED, f"{call} starts a guest that is to be off: {_words(agent, uid)}")
            case "undefine" if domain is not None:
                if not self._may_remove(uid, agent):
                    self.ledger.found(Wrong.LOST, f"{call} takes the domain away: {_words(agent, uid)}")
            case "discard_saved" if domain is not None and domain.saved is not None:
                if not self._may_end("destroy", uid, agent):
                    self.ledger.found(Wrong.LOST, f"{call} throws a guest's memory away: {_words(agent, uid)}")
            case "delete_volume":
                self._judge_deletion(call, agent)
            case "create_overlay":
                volume = call.arguments["name"]
                if volume in self.launched and volume not in agent.machine.volumes:
                    self.ledger.found(Wrong.LOST, f"{call} makes a disk anew that a guest has run on")
            case "inject_nmi":
                self._nmis[uid] += 1
                asked = self._asked(agent, uid, {"InjectNMI"})
                if self._nmis[uid] > asked:
                    self.ledger.found(Wrong.DOUBLED, f"{call}: {self._nmis[uid]} interrupts, {asked} asked for")
            case _:
                pass

    def _judge_deletion(self, call: Call, agent: Agent) -> None:
        volume = call.arguments["name"]
        uid = names.instance_of(volume)
        if not uid or volume not in agent.machine.volumes:
            return
        if self._may_remove(uid, agent):
            self.launched.discard(volume)
            return
        instance = told(agent, uid)
        status = (instance or {}).get("status", {})
        build = status.get("build") or ""
        root = names.root_disk(uid, build)
        if volume == root and not _unfinished(agent, uid, {"Rebuild"}):
            self.ledger.found(Wrong.LOST, f"{call} deletes a root disk: {_words(agent, uid)}")

    def _may_end(self, name: str, uid: str, agent: Agent) -> bool:
        instance = told(agent, uid)
        if instance is None:
            return _to_be_removed(agent, uid)
        if "deletionTimestamp" in instance["metadata"] or _unfinished(agent, uid, {*RESTARTING, "ResetState"}):
            return True
        power_state = _spec(instance).get("powerState", "Running")
        wanted = {"pause": "Paused", "save": "Suspended"}.get(name, "Stopped")
        return bool(wanted == power_state)

    def _may_start(self, uid: str, agent: Agent) -> bool:
        instance = told(agent, uid)
        if instance is None or "deletionTimestamp" in instance["metadata"]:
            return False
        domain = agent.machine.domains.get(uid)
        if domain is not None and domain.saved is not None:
            return True  # to be shut down it must run
        power_state = _spec(instance).get("powerState", "Running")
        return power_state != "Stopped" or bool(_unfinished(agent, uid, RESTARTING))

    def _may_remove(self, uid: str, agent: Agent) -> bool:
        instance = told(agent, uid)
        if instance is None:
            return _to_be_removed(agent, uid)
        return "deletionTimestamp" in instance["metadata"]

    def _is_for_an_action(self, uid: str, agent: Agent) -> bool:
        instance = told(agent, uid)
        if instance is None or "deletionTimestamp" in instance["metadata"]:
            return False
        return bool(_spec(instance).get("powerState", "Running") == "Running")

    # After

    def _started(self, uid: str, machine: Machine) -> None:
        domain = machine.domains[uid]
        if domain.running is None:
            return
        self.launched |= {volume for volume in domain.running.volumes if volume.endswith(".qcow2")}
        nodes = [node for node, each in self.agents.items() if _alive(each.machine, uid)]
        if len(nodes) > 1:
            self.ledger.found(Wrong.DOUBLED, f"{uid} runs on {' and '.join(nodes)}")
        self.check_room()

    def _ended(self, call: Call, agent: Agent) -> None:
        """A guest that should run has lost its power to an action: each may do that once."""
        uid = call.arguments["uid"]
        if id(call) not in self._for_actions:
            return
        self._for_actions.remove(id(call))
        if not _alive(agent.machine, uid):
            self._power_offs[uid] += 1
            asked = self._asked(agent, uid, {*RESTARTING, "ResetState"})
            if self._power_offs[uid] > asked:
                self.ledger.found(
                    Wrong.DOUBLED, f"{call}: {self._power_offs[uid]} power-offs of {uid}, {asked} actions"
                )

    def _asked(self, agent: Agent, uid: str, types: set[str]) -> int:
        """How many actions of these types there are, or were, for an Instance."""
        instance = told(agent, uid)
        name = instance["metadata"]["name"] if instance is not None else ""
        specs = [_spec(action) for action in self._actions.values()]
        return sum(spec["instance"] == name and spec["type"] in types for spec in specs)

    def check_room(self) -> None:
        """No host has given its guests more memory than it has."""
        for node, agent in self.agents.items():
            running = [domain.running for domain in agent.machine.domains.values() if domain.running is not None]
            taken = sum(definition.memory for definition in running)
            if taken > agent.machine.facts.memory:
                self.ledger.found(Wrong.CROWDED, f"{node}: guests have {taken} of {agent.machine.facts.memory}")


def told(agent: Agent, uid: str) -> Object | None:
    """The newest that an agent was told of the Instance whose domain that is; None: nothing, or that it is gone."""
    known = agent.told.get(("instances", uid))
    if known is not None:
        return known
    for (plural, _), obj in agent.told.items():
        if plural == "instances" and obj is not None and obj.get("status", {}).get("domainUID") == uid:
            return obj
    return None


def _unfinished(agent: Agent, uid: str, types: set[str]) -> list[Object]:
    """The actions of an Instance that its agent takes for unfinished."""
    instance = told(agent, uid)
    name = instance["metadata"]["name"] if instance is not None else ""
    return [
        obj
        for (plural, _), obj in agent.told.items()
        if plural == "instanceactions"
        and obj is not None
        and _spec(obj)["instance"] == name
        and _spec(obj)["type"] in types
        and obj.get("status", {}).get("phase") not in FINISHED
    ]


def _to_be_removed(agent: Agent, uid: str) -> bool:
    """Whether an administrator has said that an orphan is to go."""
    return any(
        (obj["metadata"].get("annotations") or {}).get(f"{ORPHAN_ANNOTATION}{uid}") == "remove"
        for (plural, _), obj in agent.told.items()
        if plural == "hypervisors" and obj is not None
    )


def _alive(machine: Machine, uid: str) -> bool:
    domain = machine.domains.get(uid)
    return domain is not None and domain.state in ALIVE


def _spec(obj: Object) -> Object:
    spec: Object = obj["spec"]
    return spec


def _words(agent: Agent, uid: str) -> str:
    instance = told(agent, uid)
    if instance is None:
        return "the agent knows no such Instance"
    phase = instance.get("status", {}).get("phase")
    return f"the agent was told {instance['metadata']['name']} {instance['spec']} {phase}"
