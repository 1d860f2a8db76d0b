"""A whole agent is killed before and after all that it does, whatever is asked of whatever guest: nothing comes of it.

The matrix is generated: what users can ask for, times what an Instance can be doing, times the effects that the agent
has on its way there, writes to the API server among them. The agent that starts then must come to where the first one
would have come, with no second start, no volume left behind, nothing destroyed twice. (test_crashes.py does the same
with the plan alone.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hypernova_agent.host import DomainState
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Key, Object
from support.machine import Machine, MemoryDomain
from support.soak_node import ACTIONS, Cut, OneNode, Scene, an_address, play

HASH = "$6$salt$" + "x" * 86
TWO_CARDS = [{"name": "default"}, {"name": "default"}]

Act = Callable[[OneNode], None]


def nothing(node: OneNode) -> None:
    """Nothing is asked for."""


def asks(**spec: Any) -> Act:
    return lambda node: node.edit(**spec)


def acts(type_: str, **spec: Any) -> Act:
    return lambda node: node.act(type_, **spec)


def resizes(**flavor: Any) -> Act:
    """The operator has granted a flavor."""

    def resize(node: OneNode) -> None:
        node.edit(flavor="m1.large")
        before = node.instance()["status"]["flavor"]
        node.write({"resize": {"flavor": before | {"name": "m1.large"} | flavor}})

    return resize


def plugs(cards: int) -> Act:
    """So many network cards are asked for, and the operator has given them addresses."""

    def plug(node: OneNode) -> None:
        node.edit(networks=[{"name": "default"}] * cards)
        node.write({"addresses": [an_address(number) for number in range(cards)]})

    return plug


def ends(state: DomainState) -> Act:
    """The guest ends by itself."""

    def end(node: OneNode) -> None:
        if node.machine.domains[node.uid].running is not None:
            node.memory.end(node.uid, state)

    return end


STATES: dict[str, tuple[Act, ...]] = {
    "that runs": (lambda node: node.bind(),),
    "that has never run": (lambda node: node.bind(powerState="Stopped"),),
    "that has been stopped": (lambda node: node.bind(), asks(powerState="Stopped")),
    "that is paused": (lambda node: node.bind(), asks(powerState="Paused")),
    "that is suspended": (lambda node: node.bind(), asks(powerState="Suspended")),
    "that is rescued": (lambda node: node.bind(), acts("Rescue"), lambda node: node.prune()),
    "that has ended by itself": (lambda node: node.bind(restartPolicy="Never"), ends(DomainState.SHUT_OFF)),
    "that has crashed for good": (lambda node: node.bind(restartPolicy="Never"), ends(DomainState.CRASHED)),
    "with two network cards": (lambda node: node.bind(networks=TWO_CARDS),),
    "that needs a restart": (lambda node: node.bind(), resizes(vcpus=64)),
}
"""What an Instance may be doing, and how it came to that."""

CHANGES: dict[str, Act] = {
    "is to run": asks(powerState="Running"),
    "is to stop": asks(powerState="Stopped"),
    "is to pause": asks(powerState="Paused"),
    "is to be suspended": asks(powerState="Suspended"),
    "is deleted": lambda node: node.delete(),
    "is deleted by force, and its orphan removed": lambda node: node.orphan("remove"),
    "is given more CPUs and memory": resizes(vcpus=2, memory="1Gi"),
    "is given more disk": resizes(rootDisk="8Gi"),
    "is given less memory": resizes(memory="256Mi"),
    "is given another network card": plugs(2),
    "is left one network card": plugs(1),
    "has its cable pulled": asks(networks=[{"name": "default", "linkState": "Down"}]),
    "powers off": ends(DomainState.SHUT_OFF),
    "panics": ends(DomainState.CRASHED),
    "is rebooted softly": acts("Reboot", reboot={"type": "Soft"}),
    "is rebooted hard": acts("Reboot", reboot={"type": "Hard"}),
    "is rebuilt": acts("Rebuild", rebuild={"image": {"name": "fedora"}}),
    "is rescued": acts("Rescue", rescue={"image": {"name": "fedora"}}),
    "is rescued no more": acts("Unrescue"),
    "is snapshotted": acts("Snapshot", snapshot={"imageName": "snap"}),
    "is reset": acts("ResetState"),
    "is sent an NMI": acts("InjectNMI"),
    "is given a password": acts("SetPassword", setPassword={"hash": HASH}),
    "is asked what it is": acts("GetGuestInfo"),
    "is asked for its console": acts("GetConsoleLog"),
}
"""What may be asked of it."""

AT_MOST_ONCE = {"is sent an NMI", "is given a password"}
"""What is rather not done than done twice: an agent that dies on the way leaves it failed, and says so."""


@functools.cache
def scene(state: str) -> Scene:
    """An Instance in that state."""
    now: Scene | None = None
    for act in STATES[state]:
        now = play(Cut(), now, act).scene()
    if now is None:
        raise AssertionError(f"{state} comes from nowhere")
    return now


def portrait(node: OneNode) -> dict[str, Any]:
    """All that counts of what has become of the Instance."""
    return {"instance": _instance_of(node), "action": _action_of(node), **host(node.machine)}


def host(machine: Machine) -> dict[str, Any]:
    return {
        "domains": {uid: _domain(domain) for uid, domain in machine.domains.items()},
        "volumes": {name: (volume.capacity, volume.backing) for name, volume in machine.volumes.items()},
        "reservations": machine.reservations,
    }


def _domain(domain: MemoryDomain) -> dict[str, Any]:
    return {
        "state": domain.state,
        "defined": domain.defined,
        "running": domain.running,
        "saved": domain.saved,
        "run": domain.run,
        "boots": domain.boots,
        "nmis": domain.nmis,
        "passwords": domain.passwords,
    }


def _instance_of(node: OneNode) -> Object | None:
    try:
        obj = node.instance()
    except NotFound:
        return None
    status = {name: value for name, value in obj["status"].items() if name not in ("launchedAt", "restartCount")}
    status["conditions"] = _conditions(obj)
    return {"finalizers": obj["metadata"].get("finalizers"), "status": status}


def _action_of(node: OneNode) -> Any:
    try:
        action = node.api.get(ACTIONS, Key("shop", "act-1"))
    except NotFound:
        return None
    return action["status"].get("phase"), _conditions(action)


def _conditions(obj: Object) -> list[tuple[str, str, str]]:
    return sorted((each["type"], each["status"], each["reason"]) for each in obj["status"].get("conditions", []))


def deaths(undisturbed: Cut) -> Iterator[tuple[str, Cut]]:
    """Every moment at which the agent may have died: before the first thing it did, and after each.

    Before the next is after the one before, as what it looks at between leaves nothing behind.
    """
    if undisturbed.effects:
        yield f"before {undisturbed.effects[0]}", Cut(0)
    for number, effect in enumerate(undisturbed.effects):
        yield f"after {effect} ({number})", Cut(number, after=True)


def failures(state: str, change: str) -> list[str]:
    """How the matrix fails for one change of one state, a line each."""
    cut = Cut()
    expected = portrait(play(cut, scene(state), CHANGES[change]))
    wrong = []
    for where, died in deaths(cut):
        came = portrait(play(died, scene(state), CHANGES[change]))
        if came != expected and not _was_called_off(change, came, expected):
            wrong.append(f"{where}: {_difference(expected, came)}")
    return wrong


def _was_called_off(change: str, came: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether it is one of what is done at most once, and its action says that it was interrupted."""
    if change not in AT_MOST_ONCE or came["action"] is None:
        return False
    (domain,), (wanted,) = came["domains"].values(), expected["domains"].values()
    alike = came | {"action": None, "domains": None} == expected | {"action": None, "domains": None}
    return alike and came["action"][0] == "Failed" and domain["nmis"] <= wanted["nmis"]


def _difference(expected: Any, came: Any, path: str = "") -> str:
    if isinstance(expected, dict) and isinstance(came, dict):
        keys = sorted(expected.keys() | came.keys(), key=str)
        parts = [_difference(expected.get(key), came.get(key), f"{path}.{key}") for key in keys]
        return "; ".join(filter(None, parts))
    return "" if expected == came else f"{path.lstrip('.')}: {came} instead of {expected}"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("state", STATES)
def test_a_crash_changes_nothing_of_what_becomes_of_an_instance(state: str, change: str) -> None:
    assert failures(state, change) == []


def test_a_crash_changes_nothing_of_how_an_instance_is_built() -> None:
    def build(node: OneNode) -> None:
        node.bind()

    cut = Cut()
    expected = portrait(play(cut, None, build))
    assert expected["instance"]["status"]["phase"] == "Running"
    assert len(cut.effects) > 6
    for where, died in deaths(cut):
        assert portrait(play(died, None, build)) == expected, where
