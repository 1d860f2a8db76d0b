"""What the operator does about InstanceActions, over an API server in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from hypernova_api.action import ADMINISTER
from hypernova_api.meta import CREATED_BY
from hypernova_kube.errors import Conflict, Forbidden, Unreachable
from hypernova_kube.resources import Key, Object, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import NODE_LOST
from hypernova_operator.controllers.actions.actions import Actions
from hypernova_operator.controllers.actions.image import IMAGES, OF_ACTION, OF_INSTANCE
from hypernova_operator.controllers.actions.writes import ACTIONS
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.writes import INSTANCES
from hypernova_operator.metrics import Metrics
from support.builders import EPOCH, a_condition, an_action, an_image, an_instance, stored
from support.caches import a_host_of, sees
from support.fake_api import FakeApi, Trouble
from support.virtual_time import now, virtual_time

START = datetime.fromisoformat(EPOCH)
WEB, ACT, SUNDAY = Key("default", "web-1"), Key("default", "act-1"), Key("default", "sunday")
FLAVOR = {"name": "m1.small", "vcpus": 1, "memory": "512Mi"}
IMAGE = {
    "name": "debian-12",
    "namespace": "default",
    "url": "http://x",
    "sha256": "ab" * 32,
    "format": "qcow2",
    "properties": {"architecture": "x86_64"},
}
STATUS = {"phase": "Running", "nodeName": "node-a", "flavor": FLAVOR, "image": IMAGE}
BOUND = an_instance(status=STATUS)
SNAPSHOT = an_action("Snapshot", snapshot={"imageName": "sunday"}, annotations={CREATED_BY: "ann"})
FILE = {"sha256": "cd" * 32, "format": "qcow2", "size": "4Gi"}


class Events:
    """What is told, by the object's kind."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def normal(self, involved: Object, reason: str, message: str) -> None:
        self.told.append((involved["kind"], reason, message))

    warning = normal


class World:
    """The controller, and everybody else who writes what it looks at."""

    def __init__(self, trouble: Callable[[str], Trouble | None] = lambda verb: None) -> None:
        self.api = FakeApi()
        self.cache = Cache()
        self.leads = True
        self.events: Any = Events()
        self.metrics = Metrics()
        client: Any = self.api.client(trouble)
        hosts = Ledger(self.cache, lambda: None).table
        sees(self.cache, *a_host_of())
        self.actions = Actions(
            client, self.cache, hosts, self.events, self.metrics, lambda: self.leads, wall_clock=self.time
        )

    def time(self) -> datetime:
        return START + timedelta(seconds=now())

    def put(self, obj: Object, **metadata: Any) -> Object:
        """Somebody writes it, and the watch tells."""
        kept = next(kept for kept in self.cache.kinds if kept.resource.kind == obj["kind"])
        made = stored(obj, creationTimestamp=self.time().isoformat(), **metadata)
        stored_ = self.api.put(kept.resource, made)
        kept.put(stored_)
        return stored_

    def drop(self, resource: Resource, key: Key) -> None:
        """It is gone, and the watch tells."""
        gone = self.api.stored.pop((resource.plural, key))
        kept = next(kept for kept in self.cache.kinds if kept.resource == resource)
        kept.remove(gone)

    def report(self, **status: Any) -> None:
        """The node's agent writes the action's status."""
        obj = self.action
        obj["status"] |= status
        self.cache.actions.put(self.api.put(ACTIONS, obj))

    @property
    def action(self) -> Object:
        return self.api.find(ACTIONS, ACT)

    @property
    def gone(self) -> bool:
        return (ACTIONS.plural, ACT) not in self.api.stored

    def says(self, type_: str = "Complete") -> tuple[str, str]:
        """Status and reason of a condition of the action."""
        conditions = self.action["status"]["conditions"]
        return next(((each["status"], each["reason"]) for each in conditions if each["type"] == type_), ("", ""))

    async def settle(self, seconds: float = 5) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def a_world(*objects: Object, **parts: Any) -> AsyncIterator[World]:
    """A world with these objects, in which the controller is at work."""
    world = World(**parts)
    for obj in objects:
        world.put(obj)
    running = asyncio.create_task(world.actions.run())
    try:
        await world.settle()
        yield world
    finally:
        running.cancel()


def done(at: datetime, phase: str = "Succeeded") -> Object:
    """What an agent writes at the end."""
    status = phase == "Succeeded"
    return {
        "phase": phase,
        "completionTime": at.isoformat(),
        "conditions": [a_condition("Complete", status, "Rebooted" if status else "HostError")],
    }


@virtual_time
async def test_an_action_is_handed_to_its_node_in_one_write() -> None:
    async with a_world(BOUND, SNAPSHOT) as world:
        status = world.action["status"]
        instance = world.api.find(INSTANCES, WEB)
        assert (status["phase"], status["nodeName"], status["requestedBy"]) == ("Pending", "node-a", "ann")
        assert status["instanceUID"] == instance["metadata"]["uid"]
        assert status["boundSnapshot"] == {"image": IMAGE}
        assert world.says() == ("False", "Admitted")
        assert world.api.requests == ["get", "patch"]
        await world.settle(600)
        assert world.api.requests == ["get", "patch"], "then it is the node's"


@virtual_time
async def test_an_action_that_came_before_its_instance_is_woken_by_it_and_by_its_node() -> None:
    async with a_world(an_action()) as world:
        assert world.says() == ("False", "InstanceNotFound")
        world.put(an_instance())
        await world.settle()
        assert world.says() == ("False", "InstanceNotBound")
        await world.settle(3600)
        assert world.action["status"]["phase"] == "Pending", "an Instance that waits for room may wait for long"
        world.put(BOUND)
        await world.settle()
        assert world.says() == ("False", "Admitted")
        assert [reason for _, reason, _ in world.events.told] == ["InstanceNotFound", "InstanceNotBound"]


@virtual_time
async def test_an_action_whose_instance_never_comes_fails_after_a_minute() -> None:
    async with a_world(an_action()) as world:
        await world.settle(50)
        assert world.action["status"]["phase"] == "Pending"
        await world.settle(10)
        status = world.action["status"]
        assert (status["phase"], status["completionTime"]) == ("Failed", "2026-01-01T00:01:00Z")
        assert world.says() == ("False", "InstanceNotFound")


@virtual_time
async def test_a_refusal_is_told_on_the_action_and_on_its_instance() -> None:
    locked = an_instance(status=STATUS, locked={"reason": "audit"})
    async with a_world(locked, an_action(annotations={CREATED_BY: "bob"})) as world:
        assert world.says() == ("False", "Locked")
        assert [(kind, reason) for kind, reason, _ in world.events.told] == [
            ("Instance", "ActionFailed"),
            ("InstanceAction", "Locked"),
        ]
        assert world.events.told[0][2].startswith("Reboot (act-1, by bob): Locked: the Instance is locked (audit)")


@virtual_time
async def test_a_lock_counts_that_the_watch_has_not_told_of_yet() -> None:
    world = World()
    world.put(BOUND)
    world.api.put(INSTANCES, an_instance(status=STATUS, locked={"reason": "audit"}))
    world.put(an_action())
    running = asyncio.create_task(world.actions.run())
    await world.settle()
    assert world.says() == ("False", "Locked")
    running.cancel()


@virtual_time
async def test_a_lock_that_is_set_later_does_not_stop_what_was_admitted() -> None:
    async with a_world(BOUND, an_action()) as world:
        world.put(an_instance(status=STATUS, locked={"reason": "audit"}))
        await world.settle()
        assert world.says() == ("False", "Admitted")


@virtual_time
async def test_two_snapshots_of_one_name_are_not_begun_both() -> None:
    other = an_action("Snapshot", "act-2", snapshot={"imageName": "sunday"}, annotations={ADMINISTER: "true"})
    async with a_world(BOUND, SNAPSHOT) as world:
        world.put(other)
        await world.settle()
        status = world.api.find(ACTIONS, Key("default", "act-2"))["status"]
        assert (status["phase"], status["conditions"][0]["reason"]) == ("Failed", "ImageExists")
        assert world.says() == ("False", "Admitted")


@virtual_time
async def test_an_admitted_action_fails_when_its_instance_is_gone_and_not_for_another_of_its_name() -> None:
    async with a_world(BOUND, an_action()) as world:
        world.drop(INSTANCES, WEB)
        world.put(BOUND, uid="another")
        await world.settle()
        assert world.action["status"]["phase"] == "Failed"
        assert world.says() == ("False", "InstanceDeleted")


@virtual_time
async def test_an_instance_that_the_cache_has_lost_sight_of_is_asked_for() -> None:
    async with a_world(BOUND, an_action()) as world:
        known = world.cache.instance(WEB)
        assert known is not None
        world.cache.instances.store.remove(WEB, known.version)
        await world.settle()
        assert world.says() == ("False", "Admitted")


@virtual_time
async def test_an_action_says_that_its_node_is_lost_and_goes_on_when_it_is_back() -> None:
    lost = STATUS | {"phase": "Unknown", "conditions": [a_condition("Ready", None, NODE_LOST, "nothing is heard")]}
    async with a_world(BOUND, an_action()) as world:
        world.put(an_instance(status=lost))
        await world.settle()
        assert (world.action["status"]["phase"], world.says()) == ("Pending", ("False", "NodeLost"))
        world.put(BOUND)
        await world.settle()
        assert world.says() == ("False", "Admitted")
        world.report(phase="Running", startTime=EPOCH, conditions=[a_condition("Complete", False, "Running")])
        world.put(an_instance(status=lost))
        await world.settle()
        assert (world.action["status"]["phase"], world.says()) == ("Running", ("False", "NodeLost"))
        world.put(BOUND)
        await world.settle()
        assert world.says() == ("False", "Running")


@virtual_time
async def test_what_an_action_came_to_is_told_on_its_instance() -> None:
    async with a_world(BOUND, an_action(annotations={CREATED_BY: "ann"})) as world:
        world.report(**done(world.time()))
        await world.settle()
        assert world.events.told == [("Instance", "ActionSucceeded", "Reboot (act-1, by ann)")]


@virtual_time
async def test_a_finished_action_is_deleted_in_time() -> None:
    async with a_world(BOUND, an_action(ttlSecondsAfterFinished=100)) as world:
        world.report(**done(world.time()))
        await world.settle(90)
        assert not world.gone
        await world.settle(20)
        assert world.gone


@virtual_time
async def test_a_new_leader_deletes_what_has_been_kept_for_long_enough() -> None:
    old = an_action(ttlSecondsAfterFinished=100, status=done(START - timedelta(days=1), "Failed"))
    async with a_world(old) as world:
        assert world.gone


@virtual_time
async def test_the_image_of_a_snapshot_says_where_it_is_and_what_of() -> None:
    async with a_world(BOUND, SNAPSHOT) as world:
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle()
        image = world.api.find(IMAGES, SUNDAY)
        assert image["spec"] == {
            "source": {"nodeName": "node-a", "sha256": "cd" * 32},
            "format": "qcow2",
            "minDisk": "4Gi",
            "minMemory": "0",
            "properties": {"architecture": "x86_64"},
        }
        assert image["metadata"]["labels"] == {OF_INSTANCE: "web-1"}
        assert image["metadata"]["annotations"] == {OF_ACTION: "act-1"}
        assert world.says("ImageCreated") == ("True", "Created")
        assert world.says() == ("True", "Rebooted")


@virtual_time
async def test_an_image_is_made_once_though_somebody_deletes_it() -> None:
    async with a_world(BOUND, SNAPSHOT) as world:
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle()
        world.cache.images.put(world.api.find(IMAGES, SUNDAY))
        world.drop(IMAGES, SUNDAY)
        await world.settle(600)
        assert (IMAGES.plural, SUNDAY) not in world.api.stored


@virtual_time
async def test_an_image_that_was_made_before_a_crash_is_found() -> None:
    lost = [True]

    def lose(verb: str) -> Trouble | None:
        return Trouble(lost=Unreachable("cut")) if verb == "create" and lost and lost.pop() else None

    async with a_world(BOUND, SNAPSHOT, trouble=lose) as world:
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle()
        assert world.api.requests == ["get", "patch", "create", "create", "get", "patch"]
        assert world.says("ImageCreated") == ("True", "Created")


@virtual_time
async def test_a_name_that_was_taken_meanwhile_is_told_and_used_when_it_is_free() -> None:
    async with a_world(BOUND, SNAPSHOT) as world:
        world.put(an_image("sunday"))
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle(600)
        assert world.says("ImageCreated") == ("False", "ImageExists")
        assert [reason for kind, reason, _ in world.events.told if kind == "InstanceAction"] == ["ImageExists"]
        world.drop(IMAGES, SUNDAY)
        await world.settle()
        assert world.says("ImageCreated") == ("True", "Created")


@virtual_time
async def test_an_image_that_the_api_server_refuses_is_told_and_tried_again() -> None:
    refusals = [True, True]

    def refuse(verb: str) -> Trouble | None:
        refused = verb == "create" and refusals and refusals.pop()
        return Trouble(refused=Forbidden(403, "Forbidden", "exceeded quota: images")) if refused else None

    async with a_world(BOUND, SNAPSHOT, trouble=refuse) as world:
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle()
        assert world.says("ImageCreated") == ("False", "ImageRefused")
        await world.settle(120)
        assert world.says("ImageCreated") == ("True", "Created")


@virtual_time
async def test_a_snapshot_that_is_not_to_be_kept_leaves_its_image_first() -> None:
    snapshot = an_action("Snapshot", snapshot={"imageName": "sunday"}, ttlSecondsAfterFinished=0)
    async with a_world(BOUND, snapshot) as world:
        world.report(**done(world.time()), snapshot=FILE)
        await world.settle()
        assert world.gone
        assert world.api.find(IMAGES, SUNDAY)


@virtual_time
async def test_what_somebody_else_wrote_meanwhile_is_read_and_judged_anew() -> None:
    conflicts = [True]

    def conflict(verb: str) -> Trouble | None:
        refused = verb == "patch" and conflicts and conflicts.pop()
        return Trouble(refused=Conflict(409, "Conflict", "modified")) if refused else None

    async with a_world(BOUND, an_action(), trouble=conflict) as world:
        assert world.api.requests == ["get", "get", "get", "patch"]
        assert world.says() == ("False", "Admitted")


@virtual_time
async def test_an_admission_that_nobody_answered_for_is_found_to_have_happened() -> None:
    lost = [True]

    def lose(verb: str) -> Trouble | None:
        return Trouble(lost=Unreachable("cut")) if verb == "patch" and lost and lost.pop() else None

    async with a_world(BOUND, an_action(), trouble=lose) as world:
        assert world.api.requests == ["get", "patch", "get", "patch", "get"], (
            "the second is refused, and leads to a look"
        )
        assert world.says() == ("False", "Admitted")


@virtual_time
async def test_a_standby_touches_nothing_and_knows_all_when_it_comes_to_lead() -> None:
    world = World()
    world.leads = False
    for obj in (BOUND, an_action()):
        world.put(obj)
    await world.settle()
    assert world.api.requests == []
    world.leads = True
    running = asyncio.create_task(world.actions.run())
    await world.settle()
    assert world.says() == ("False", "Admitted")
    running.cancel()
