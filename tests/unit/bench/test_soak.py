"""A short soak of everything, and the auditor's eye: what it must not overlook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.host import Definition, DomainState, Owner
from hypernova_api.meta import FINALIZER
from support.builders import an_instance, stored
from support.machine import Machine, MemoryDomain, MemoryVolume
from support.soak_agent import Agent
from support.soak_host import Call
from support.soak_process import Process
from tests.bench.faults.audit import Auditor
from tests.bench.faults.ledger import Ledger, Wrong
from tests.bench.faults.soak import Soak, run

UID = "0b7e9a52-6c3d-4a3e-9f0e-2f3d5c1b7a10"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_breaks_nothing_is_lost_doubled_orphaned_or_stuck(seed: int) -> None:
    ledger = run(Soak(seed, operations=60, faults=15))
    assert [str(finding) for finding in ledger.findings] == []
    assert ledger.operations.total() >= 60
    assert ledger.faults.total() >= 15


def test_a_soak_follows_from_its_seed() -> None:
    soak = Soak(7, operations=30, faults=5)
    # Only the names under which operators stand for election are always new.
    one, other = ([line for line in run(soak).trace if " lease: " not in line] for _ in range(2))
    assert one == other


class Scene:
    """One agent, what it was told of an Instance, and what it does to the guest."""

    def __init__(self, *, told: bool = True, **spec: Any) -> None:
        self.ledger = Ledger(clock=lambda: 0.0)
        self.auditor = Auditor(self.ledger)
        around: Any = None
        self.agents = {node: Agent(node, Machine(), around) for node in ("node-a", "node-b")}
        self.auditor.agents = self.agents
        instance = stored(an_instance(finalizers=[FINALIZER], **spec), uid=UID)
        if told:
            self.agents["node-a"].told["instances", UID] = instance
        self.runs("node-a")

    def runs(self, node: str) -> None:
        root = names.root_disk(UID)
        machine = self.agents[node].machine
        definition = Definition(memory=1, volumes=(root,))
        machine.domains[UID] = MemoryDomain(
            Owner(UID, "default", "web-1"), "", definition, "log", state=DomainState.RUNNING, running=definition
        )
        machine.volumes[root] = MemoryVolume()

    def does(self, name: str, effect: Callable[[Machine], None] = lambda machine: None, /, **arguments: Any) -> None:
        call = Call("node-a", name, arguments or {"uid": UID})
        process = Process("agent", "0")
        self.auditor.begins(process, call)
        effect(self.agents["node-a"].machine)
        self.auditor.done(process, call, None)

    @property
    def wrong(self) -> list[Wrong]:
        return [finding.wrong for finding in self.ledger.findings]


def off(machine: Machine) -> None:
    machine.domains[UID].state, machine.domains[UID].running = DomainState.SHUT_OFF, None


@pytest.mark.parametrize("call", ["destroy", "shutdown", "save", "pause", "undefine"])
def test_a_guest_that_is_to_run_must_not_be_ended(call: str) -> None:
    scene = Scene()
    scene.does(call)
    assert Wrong.LOST in scene.wrong


@pytest.mark.parametrize(
    ("call", "power_state"),
    [("destroy", "Stopped"), ("shutdown", "Stopped"), ("save", "Suspended"), ("pause", "Paused")],
)
def test_one_that_is_asked_to_end_may_be(call: str, power_state: str) -> None:
    scene = Scene(powerState=power_state)
    scene.does(call)
    assert scene.wrong == []


@pytest.mark.parametrize("call", ["destroy", "undefine"])
def test_a_guest_of_an_instance_that_nobody_has_told_of_is_left_alone(call: str) -> None:
    scene = Scene(told=False)
    scene.does(call)
    assert scene.wrong == [Wrong.LOST]


def test_a_root_disk_is_neither_deleted_nor_made_anew_over_what_is_on_it() -> None:
    scene = Scene()
    root = names.root_disk(UID)
    scene.does("delete_volume", name=root)
    assert scene.wrong == [Wrong.LOST]
    scene = Scene()
    scene.does("start")
    scene.does("create_overlay", lambda machine: None, name=root, backing="image")
    assert scene.wrong == []
    del scene.agents["node-a"].machine.volumes[root]
    scene.does("create_overlay", name=root, backing="image")
    assert scene.wrong == [Wrong.LOST]


def test_a_guest_that_runs_twice_is_seen() -> None:
    scene = Scene()
    scene.runs("node-b")
    scene.does("start")
    assert scene.wrong == [Wrong.DOUBLED]


def test_a_guest_that_is_to_be_off_must_not_be_started() -> None:
    scene = Scene(powerState="Stopped")
    off(scene.agents["node-a"].machine)
    scene.does("start", lambda machine: scene.runs("node-a"))
    assert scene.wrong == [Wrong.DOUBLED]


def test_each_action_takes_the_power_away_once() -> None:
    scene = Scene()
    action = {
        "metadata": {"uid": "act"},
        "spec": {"instance": "web-1", "type": "Reboot"},
        "status": {"phase": "Running"},
    }
    scene.agents["node-a"].told["instanceactions", "act"] = action
    scene.auditor.asked(action)
    scene.does("destroy", off)
    assert scene.wrong == []
    scene.runs("node-a")
    scene.does("destroy", off)
    assert scene.wrong == [Wrong.DOUBLED]


def test_hosts_are_not_crowded() -> None:
    scene = Scene()
    machine = scene.agents["node-a"].machine
    machine.domains[UID].running = Definition(memory=machine.facts.memory + 1)
    scene.does("start")
    assert scene.wrong == [Wrong.CROWDED]


def test_an_agent_that_spins_ends_the_soak() -> None:
    scene = Scene()
    for _ in range(7000):
        scene.does("domain")
    assert scene.ledger.given_up
