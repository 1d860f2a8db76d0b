"""A real agent killed -9 after every step of every change of a real guest: the next one goes on from there.

The steps are those that an undisturbed agent takes, by its own log. (tests/unit/agent has the same for every state and
wish, on a host in memory and at every call.)
"""

import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.lab import Host
from hack.stack import POOL
from hypernova_kube.client import Client
from support.agents import BootImage, Node, make_node

STEP = re.compile(r"event=done instance=\S+/(\S+) step=(\w+)")


@dataclass(frozen=True, slots=True)
class Life:
    """A change of a guest."""

    before: dict[str, Any] | None
    """Spec of the Instance that it befalls; None: there is none yet."""

    spec: dict[str, Any] | None
    """What is edited; None: it is deleted."""

    phase: str
    """Where it ends; empty: nowhere."""

    qemus: int
    """How many QEMUs run it then."""


ON, OFF = {"powerState": "Running"}, {"powerState": "Stopped"}
LIVES = {
    "made": Life(None, ON, "Running", 1),
    "started": Life(OFF, ON, "Running", 1),
    "stopped": Life(ON, OFF, "Stopped", 0),
    "paused": Life(ON, {"powerState": "Paused"}, "Paused", 1),
    "suspended": Life(ON, {"powerState": "Suspended"}, "Suspended", 0),
    "resumed from disk": Life({"powerState": "Suspended"}, ON, "Running", 1),
    "made never to be restarted": Life(None, ON | {"restartPolicy": "Never"}, "Running", 1),
    "deleted": Life(ON, None, "", 0),
}


@pytest.fixture
async def told_all(cluster: Cluster, client: Client, host: Host, namespace: str, tmp_path: Path) -> AsyncIterator[Node]:
    """The shared host with an agent that logs each step."""
    node = make_node(cluster, client, host, tmp_path, namespace, flags=("--log-level", "debug"))
    await node.start()
    yield node
    node.agent.start()
    await node.clear()
    node.agent.stop()


def steps_of(node: Node, name: str, since: int = 0) -> list[str]:
    """What the agent has done for an Instance."""
    return [step for instance, step in STEP.findall(node.agent.log[since:]) if instance == name]


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
async def test_a_killed_agent_is_followed_by_one_that_goes_on(
    told_all: Node, boot_image: BootImage, life: Life
) -> None:
    node = told_all
    since, _ = await begin(node, boot_image, "undisturbed", life)
    await ended(node, "undisturbed", life)
    steps = steps_of(node, "undisturbed", since)
    assert steps, "nothing to be killed after"
    for number in range(len(steps)):
        name = f"killed-{number}"
        since, uid = await begin(node, boot_image, name, life)
        disk = born(node, uid)
        deadline = time.monotonic() + 30
        # As soon as it is seen: the next step is to be cut, and none is awaited.
        while len(steps_of(node, name, since)) <= number:
            assert time.monotonic() < deadline, f"{steps_of(node, name, since)} instead of {steps}"
        node.agent.stop(kill=True)
        node.agent.start()
        await ended(node, name, life)
        assert len(node.qemus(uid)) == life.qemus
        assert node.domains().split().count(uid) == (1 if life.phase else 0)
        assert len(node.volumes(uid)) == (3 if life.phase else 0)
        assert life.phase == "" or disk in (None, born(node, uid)), "its disk was made anew"
    names = ["undisturbed", *(f"killed-{number}" for number in range(len(steps)))]
    for name in names if life.phase else []:
        await node.edit(name, terminationGracePeriodSeconds=0)
        await node.delete(name)
    for name in names:
        await node.gone(name)
    assert node.reservations() == []


async def begin(node: Node, image: BootImage, name: str, life: Life) -> tuple[int, str]:
    """Bring an Instance to where the change begins, and begin it: where the log is then, and the UID."""
    spec = {"terminationGracePeriodSeconds": 0}
    if life.before is None:
        since = len(node.agent.log)
        obj = await node.create(name, image, **spec | (life.spec or {}))
        return since, str(obj["metadata"]["uid"])
    # What is to be on disk, or has ever run, has to have run.
    obj = await node.create(name, image, **spec | ON)
    await node.shows(name, "Running", "Running")
    if life.before != ON:
        await node.edit(name, **life.before)
        await node.shows(name, life.before["powerState"])
    since = len(node.agent.log)
    if life.spec is None:
        await node.delete(name)
    else:
        await node.edit(name, **life.spec)
    return since, str(obj["metadata"]["uid"])


async def ended(node: Node, name: str, life: Life) -> None:
    if life.phase:
        await node.shows(name, life.phase, life.phase)
    else:
        await node.gone(name)


def born(node: Node, uid: str) -> int | None:
    """Which file the root disk is, if it is there."""
    path = node.host.path(f"{POOL}/{uid}.root.qcow2")
    return path.stat().st_ino if path.exists() else None
