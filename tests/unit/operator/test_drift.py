"""Who would not be placed where it is any more, how that is told, and who is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.controllers import drift
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.writes import INSTANCES
from support.builders import (
    a_condition,
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor_status,
    a_namespace,
    a_node,
    a_taint,
    a_zone,
    an_image,
    an_instance,
    stored,
)
from support.caches import a_host_of, sees, sees_gone
from support.fake_api import FakeApi, Trouble
from support.virtual_time import virtual_time

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
WEB = Key("default", "web-1")
FLAVOR = {"name": "m1.small", "vcpus": 1, "memory": "512Mi"}
IMAGE = {"name": "debian-12", "namespace": "default", "url": "http://x", "sha256": "ab" * 32, "format": "qcow2"}


def placed(flavor: Object | None = None, image: Object | None = None, **parts: Any) -> Object:
    status = {
        "phase": "Running",
        "nodeName": "node-a",
        "flavor": FLAVOR | (flavor or {}),
        "image": IMAGE | (image or {}),
        "conditions": [a_condition("Scheduled"), a_condition("Ready")],
    }
    return an_instance(status=status, **parts)


GOLD = {"matchLabels": {"tier": "gold"}}
HOST = a_host_of()
CASES: dict[str, tuple[Object, list[Object], list[str]]] = {
    "nothing has changed": (placed(), [*HOST], []),
    "its host is full, disabled, in maintenance": (
        placed(),
        [*a_host_of(maintenance=True, disabled={"reason": "fan"}, status=a_hypervisor_status(vcpus=0))],
        [],
    ),
    "a taint came after it": (placed(), [a_node(taints=[a_taint("gpu")]), HOST[1]], []),
    "its host left its zone": (
        placed(availabilityZone="az1"),
        [*HOST, a_zone(), a_host_aggregate(availabilityZone="az2")],
        ["not in zone az1"],
    ),
    "it asked for no zone": (placed(), [*HOST, a_host_aggregate(availabilityZone="az2")], []),
    "its zone is gone": (
        placed(availabilityZone="az1"),
        [*HOST, a_host_aggregate(availabilityZone="az1")],
        ["its zone az1 is gone"],
    ),
    "its group is gone": (placed(scheduling={"group": "web"}), [*HOST], ["its group web is gone"]),
    "its group is there, and crowded": (placed(scheduling={"group": "web"}), [*HOST, a_group()], []),
    "its flavor is gone": (placed(flavor={"name": "m1.gone"}), [*HOST], ["its flavor m1.gone is gone"]),
    "it is to have a flavor that is gone": (an_instance(flavor="m1.gone", status=placed()["status"]), [*HOST], []),
    "its image is gone": (placed(), [*HOST], []),
    "its host lost a label": (placed(scheduling={"nodeSelector": {"disk": "ssd"}}), [*HOST], ["disk"]),
    "its host lost a trait": (placed(flavor={"traits": {"required": ["CUSTOM_A"]}}), [*HOST], ["CUSTOM_A"]),
    "its host is in no aggregate like it asked for": (
        placed(flavor={"aggregateRequirements": [{"key": "disk", "operator": "=", "values": ["ssd"]}]}),
        [*HOST, a_host_aggregate(metadata={"disk": "hdd"})],
        ["disk"],
    ),
    "its image needs what its host is not": (
        placed(image={"properties": {"architecture": "aarch64"}}),
        [*HOST],
        ["aarch64"],
    ),
    "its host is kept for others": (
        placed(),
        [*HOST, a_namespace(), a_host_aggregate(projects={"namespaceSelector": GOLD})],
        ["kept for other namespaces"],
    ),
    "its namespace is confined to others": (
        placed(),
        [
            *HOST,
            a_namespace(labels={"tier": "gold"}),
            a_host_aggregate("gold", nodes=["node-z"], projects={"namespaceSelector": GOLD, "confine": True}),
        ],
        ["gold"],
    ),
    "its image is for others": (
        placed(),
        [*HOST, an_image(), a_host_aggregate(images={"selector": GOLD})],
        ["kept for other Images"],
    ),
    "its host is gone": (placed(availabilityZone="az1"), [a_zone()], []),
    "it must be with others who are elsewhere": (placed(scheduling={"sameHostAs": ["db"]}), [*HOST], []),
}


@pytest.mark.parametrize(("instance", "objects", "expected"), list(CASES.values()), ids=list(CASES))
def test_what_has_drifted(instance: Object, objects: list[Object], expected: list[str]) -> None:
    cache = Cache()
    ledger = Ledger(cache, lambda: None)
    sees(cache, a_flavor(), *objects, instance)
    found = cache.instance(WEB)
    assert found is not None
    reasons = drift.reasons(found, cache, ledger.table)
    assert len(reasons) == len(expected), reasons
    assert all(words in reason for words, reason in zip(expected, reasons, strict=True)), reasons


def test_the_sentence_names_the_node_and_all_reasons() -> None:
    cache = Cache()
    sees(cache, placed())
    instance = cache.instance(WEB)
    assert instance is not None
    assert drift.message(instance, ["not in zone az1", "its group web is gone"]) == (
        "it would not be placed on node node-a any more: not in zone az1, its group web is gone"
    )
    assert drift.message(instance, []) == ""


def said(obj: Object, told: str) -> Object | None:
    return drift.patch(obj, told, NOW)


def test_drift_is_told_beside_what_the_agent_says_and_on_condition_of_it() -> None:
    obj = stored(placed(), resourceVersion="42", generation=3)
    assert said(obj, "") is None, "who never drifted need not hear that it does not"
    patch = said(obj, "not in zone az1")
    assert patch is not None
    assert patch["metadata"] == {"resourceVersion": "42"}
    assert patch["status"]["conditions"] == [
        *obj["status"]["conditions"],
        {
            "type": "PlacementDrift",
            "status": "True",
            "reason": "HostFitsNoMore",
            "message": "not in zone az1",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-11-21T08:30:00Z",
        },
    ]
    drifted = obj | {"status": obj["status"] | patch["status"]}
    assert said(drifted, "not in zone az1") is None
    other = said(drifted, "its zone az1 is gone")
    assert other is not None
    over = said(drifted, "")
    assert over is not None
    assert [each["status"] for each in over["status"]["conditions"]] == ["True", "True", "False"]
    assert said(obj | {"status": obj["status"] | over["status"]}, "") is None


class Events:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        assert (involved["kind"], reason) == ("Instance", "PlacementDrift")
        self.warnings.append(message)


class World:
    """Drift over an API server in memory, with one Instance that is placed."""

    def __init__(self, instance: Object, trouble: Callable[[str], Trouble | None] = lambda verb: None) -> None:
        self.api = FakeApi()
        self.leads = True
        self.cache = Cache()
        self.events: Any = Events()
        ledger = Ledger(self.cache, lambda: None)
        client: Any = self.api.client(trouble)
        where = Placed(self.cache.instances.store)
        self.drift = drift.Drift(
            client, self.cache, ledger.table, where, self.events, lambda: self.leads, wall_clock=lambda: NOW
        )
        sees(self.cache, *HOST, a_flavor(), a_zone())
        instance["metadata"]["generation"] = 1
        self.cache.instances.put(self.api.put(INSTANCES, instance))

    async def __aenter__(self) -> World:
        self.running = asyncio.create_task(self.drift.run())
        await self.settle()
        self.api.requests.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()

    async def settle(self) -> None:
        await asyncio.sleep(5)

    def conditions(self) -> dict[str, str]:
        conditions = self.api.find(INSTANCES, WEB)["status"]["conditions"]
        return {each["type"]: each["status"] for each in conditions}


IN_AZ1 = a_host_aggregate(availabilityZone="az1")
IN_AZ2 = a_host_aggregate(availabilityZone="az2")


@virtual_time
async def test_drift_is_shown_once_and_taken_back_once() -> None:
    async with World(placed(availabilityZone="az1")) as world:
        assert world.conditions()["PlacementDrift"] == "True", "found when we came to lead: it is in no zone"
        sees(world.cache, IN_AZ1)
        await world.settle()
        assert world.conditions() == {"Scheduled": "True", "Ready": "True", "PlacementDrift": "False"}
        sees(world.cache, a_node(labels={"rack": "7"}))
        await world.settle()
        sees(world.cache, IN_AZ2)
        await world.settle()
        assert world.conditions()["PlacementDrift"] == "True"
        assert world.api.requests == ["get", "patch"] * 2
        assert len(world.events.warnings) == 2


@virtual_time
async def test_the_agents_writes_and_ours_do_not_overwrite_each_other() -> None:
    world = World(placed(availabilityZone="az1"))
    sees(world.cache, IN_AZ1)
    async with world:
        obj = world.api.find(INSTANCES, WEB)  # the agent writes, and no watch has told yet
        obj["status"]["conditions"][1] = a_condition("Ready", False, "Stopped")
        world.api.put(INSTANCES, obj)
        sees(world.cache, IN_AZ2)
        await world.settle()
        assert world.conditions() == {"Scheduled": "True", "Ready": "False", "PlacementDrift": "True"}


@virtual_time
async def test_a_conflict_is_met_with_what_is_true_then() -> None:
    world = World(placed(availabilityZone="az1"))
    sees(world.cache, IN_AZ1)
    async with world:
        read, written = world.api.find, []

        def read_before_the_agent_writes(resource: Any, key: Key) -> Object:
            found = read(resource, key)
            if not written:
                written.append(world.api.put(resource, found | {"status": found["status"] | {"phase": "Stopped"}}))
            return found

        world.api.find = read_before_the_agent_writes
        sees(world.cache, IN_AZ2)
        await world.settle()
        assert world.conditions()["PlacementDrift"] == "True"
        assert world.api.find(INSTANCES, WEB)["status"]["phase"] == "Stopped"


@virtual_time
async def test_what_was_not_written_is_tried_again() -> None:
    troubles: list[Trouble] = []
    world = World(placed(availabilityZone="az1"), lambda verb: troubles.pop() if verb == "patch" and troubles else None)
    sees(world.cache, IN_AZ1)
    async with world:
        troubles.append(Trouble(refused=Unreachable("cut")))
        sees(world.cache, IN_AZ2)
        await world.settle()
        assert world.conditions()["PlacementDrift"] == "True"


@virtual_time
async def test_who_does_not_lead_leaves_it_to_who_does() -> None:
    world = World(placed(availabilityZone="az1"))
    world.leads = False
    async with world:
        sees(world.cache, IN_AZ2)
        await world.settle()
        assert "PlacementDrift" not in world.conditions()


CHANGES: dict[str, tuple[Object, list[Object], list[Object], list[Object]]] = {
    "a zone": (placed(availabilityZone="az1"), [IN_AZ1], [], [a_zone()]),
    "a group": (placed(scheduling={"group": "web"}), [a_group()], [], [a_group()]),
    "a namespace's labels": (
        placed(),
        [a_namespace(labels={"tier": "gold"}), a_host_aggregate(projects={"namespaceSelector": GOLD})],
        [a_namespace()],
        [],
    ),
    "an image's labels": (
        placed(),
        [an_image(labels={"tier": "gold"}), a_host_aggregate(images={"selector": GOLD})],
        [an_image()],
        [],
    ),
    "whom an aggregate elsewhere confines": (
        placed(),
        [a_namespace(labels={"tier": "gold"})],
        [a_host_aggregate("gold", nodes=["node-z"], projects={"namespaceSelector": GOLD, "confine": True})],
        [],
    ),
    "what the host can do": (
        placed(flavor={"traits": {"required": ["CUSTOM_A"]}}),
        [*a_host_of(traits=["CUSTOM_A"])],
        [*a_host_of()],
        [],
    ),
}


@pytest.mark.parametrize(("instance", "before", "seen", "gone"), list(CHANGES.values()), ids=list(CHANGES))
def test_who_is_concerned_is_looked_at_when_this_changes(
    instance: Object, before: list[Object], seen: list[Object], gone: list[Object]
) -> None:
    @virtual_time
    async def test() -> None:
        world = World(instance)
        sees(world.cache, *before)
        async with world:
            assert "PlacementDrift" not in world.conditions()
            sees(world.cache, *seen)
            sees_gone(world.cache, *gone)
            await world.settle()
            assert world.conditions()["PlacementDrift"] == "True"

    test()


@virtual_time
async def test_a_flavor_that_is_deleted_is_told_to_those_who_have_it_and_taken_back() -> None:
    async with World(placed()) as world:
        sees(world.cache, a_flavor("other"))
        sees_gone(world.cache, a_flavor("other"))
        await world.settle()
        assert world.api.requests == []
        sees_gone(world.cache, a_flavor())
        await world.settle()
        assert world.conditions()["PlacementDrift"] == "True"
        sees(world.cache, a_flavor())
        await world.settle()
        assert world.conditions()["PlacementDrift"] == "False"
