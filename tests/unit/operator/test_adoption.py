"""Orphans: what they take is in the books, and one is adopted once, where its domain is, whatever breaks meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_api.meta import FINALIZER
from hypernova_kube.errors import Forbidden, Unreachable
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import ADOPT
from hypernova_operator.controllers.adoption import HYPERVISORS, Adopter
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.writes import INSTANCES, InstanceWrites
from hypernova_operator.metrics import Metrics
from support.builders import a_hypervisor, a_hypervisor_status, a_namespace, a_node, an_instance
from support.caches import sees
from support.fake_api import FakeApi, Trouble
from support.virtual_time import virtual_time

UID = "8c7e3a52-30a2-4b0c-9f55-1c2d3e4f5a6b"
WEB = Key("shop", "web-1")
NODE = Key("", "node-a")
GI = 2**30
STATUS = {
    "flavor": {"name": "m1.small", "vcpus": 2, "memory": "4Gi", "rootDisk": "10Gi"},
    "image": {"name": "debian-12", "namespace": "images", "sha256": "ab", "format": "qcow2", "url": "http://i/i"},
    "keyPairs": [{"name": "ops", "publicKey": "ssh-ed25519 AAAA"}],
    "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:00:00:07"}],
    "launchedAt": "2026-11-20T00:00:00Z",
}
RECORD = {"labels": {"app": "web"}, "spec": an_instance("web-1", "shop", keyPairs=["ops"])["spec"], "status": STATUS}


def an_orphan(record: object = RECORD, **parts: Any) -> Object:
    told = {"record": json.dumps(record)} if record is not None else {}
    return {"uid": UID, "namespace": "shop", "name": "web-1", "running": True} | told | parts


class Events:
    """Instead of an EventRecorder."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        self.warnings.append((reason, message))


class World:
    """A leader, and a node that has told of an orphan."""

    def __init__(
        self, *orphans: Object, said: str = "adopt", trouble: Callable[[str], Trouble | None] = lambda verb: None
    ) -> None:
        self.api = FakeApi()
        self.cache = Cache()
        self.events = Events()
        self.ledger = Ledger(self.cache, lambda: None)
        client: Any = self.api.client(trouble)
        events: Any = self.events
        self.adopter = Adopter(
            client,
            self.cache,
            self.ledger,
            InstanceWrites(client, self.cache, lambda: True),
            events,
            Metrics(),
            wall_clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )
        sees(self.cache, a_namespace("shop"), a_node())
        status = a_hypervisor_status(orphans=list(orphans) or [an_orphan()])
        annotations = {f"{ORPHAN_ANNOTATION}{UID}": said} if said else {}
        self.tell(a_hypervisor(status=status, annotations=annotations))

    def tell(self, hypervisor: Object) -> None:
        self.api.put(HYPERVISORS, hypervisor)
        self.cache.hypervisors.put(self.api.find(HYPERVISORS, NODE))
        self.cache.hosts.set_alive("node-a", True)

    def annotations(self) -> Object:
        found: Object = self.api.find(HYPERVISORS, NODE)["metadata"].get("annotations") or {}
        return found

    def instance(self) -> Object:
        return self.api.find(INSTANCES, WEB)

    def put(self, instance: Object) -> None:
        self.api.put(INSTANCES, instance)
        self.cache.instances.put(self.api.find(INSTANCES, WEB))

    def claimed(self) -> int:
        return self.ledger.table.claimed("node-a").vcpus


@virtual_time
async def test_an_instance_that_an_old_store_knows_as_unbound_is_bound_where_its_domain_is() -> None:
    world = World()
    instance = an_instance("web-1", "shop", finalizers=[FINALIZER])
    world.put(instance | {"metadata": instance["metadata"] | {"uid": UID}})
    assert await world.adopter.reconcile(NODE) is None
    status = world.instance()["status"]
    assert (status["nodeName"], status["addresses"]) == ("node-a", STATUS["addresses"])
    assert world.api.requests.count("create") == 0


def once(trouble: Trouble, verb: str, after: int = 0) -> Callable[[str], Trouble | None]:
    """Trouble for one such request, after so many that have none."""
    left, before = [trouble], [None] * after

    def ask(asked: str) -> Trouble | None:
        if asked != verb:
            return None
        return before.pop() if before else (left.pop() if left else None)

    return ask


@virtual_time
async def test_an_orphan_becomes_the_instance_that_it_was_where_it_is() -> None:
    world = World()
    assert await world.adopter.reconcile(NODE) is None
    instance = world.instance()
    assert instance["spec"] == RECORD["spec"]
    assert instance["metadata"]["labels"] == {"app": "web"}
    assert instance["metadata"]["finalizers"] == [FINALIZER]
    assert instance["metadata"]["annotations"] == {ADOPT: f"{UID}@node-a"}
    status = instance["status"]
    assert {name: status[name] for name in STATUS} == STATUS
    assert (status["nodeName"], status["domainUID"], status["phase"]) == ("node-a", UID, "Running")
    said = [(each["type"], each["status"], each["reason"]) for each in status["conditions"]]
    assert said == [("Scheduled", "True", "Adopted"), ("Ready", "Unknown", "Adopted")]
    assert world.annotations() == {}
    assert world.api.requests == ["get", "get", "create", "patch", "patch"]


@virtual_time
async def test_what_an_orphan_takes_is_in_the_books_before_and_after() -> None:
    world = World()
    assert world.claimed() == 2
    assert str(world.ledger.addresses.assign("somebody", 6)[5].ip) == "10.60.0.8"
    await world.adopter.reconcile(NODE)
    world.tell(a_hypervisor(status=a_hypervisor_status()))
    assert world.claimed() == 2
    assert world.ledger.addresses.release(world.instance()["metadata"]["uid"])


@virtual_time
async def test_an_orphan_that_goes_claims_nothing_any_more() -> None:
    world = World(said="")
    world.tell(a_hypervisor(status=a_hypervisor_status()))
    assert world.claimed() == 0


@virtual_time
async def test_an_orphan_whose_domain_goes_claims_nothing_for_the_files_that_it_leaves() -> None:
    world = World(said="")
    rest = {"uid": UID, "namespace": "", "name": "", "running": False}
    world.tell(a_hypervisor(status=a_hypervisor_status(orphans=[rest])))
    assert world.claimed() == 0
    assert world.ledger.orphans == {UID: "node-a"}, "an Instance of that UID is still not to be bound elsewhere"
    assert str(world.ledger.addresses.assign("somebody", 6)[5].ip) == "10.60.0.7"


@virtual_time
async def test_without_an_administrators_word_nothing_is_done() -> None:
    for said in ("", "remove", "Adopt"):
        world = World(said=said)
        assert await world.adopter.reconcile(NODE) is None
        assert world.api.requests == []


@pytest.mark.parametrize(
    ("orphan", "reason"),
    [
        (an_orphan(None), "OrphanNotRemembered"),
        (an_orphan(["no", "object"]), "OrphanNotRemembered"),
        (an_orphan({"spec": {}}), "OrphanNotRemembered"),
        (an_orphan(RECORD | {"spec": {"flavor": 5}}), "OrphanNotRemembered"),
        (an_orphan(record=None) | {"record": "{not json"}, "OrphanNotRemembered"),
        (an_orphan(namespace="gone"), "NamespaceNotFound"),
    ],
    ids=["no record", "a list", "no status", "no spec", "no JSON", "no namespace"],
)
def test_one_that_cannot_be_adopted_is_told_once_and_the_annotation_stays(orphan: Object, reason: str) -> None:
    @virtual_time
    async def test() -> None:
        world = World(orphan)
        for _ in range(2):
            assert await world.adopter.reconcile(NODE) is not None
        assert [reason for reason, _ in world.events.warnings] == [reason]
        assert len(world.annotations()) == 1
        assert "create" not in world.api.requests

    test()


@virtual_time
async def test_another_instance_of_that_name_is_not_touched() -> None:
    world = World()
    world.put(an_instance("web-1", "shop"))
    before = world.instance()
    assert await world.adopter.reconcile(NODE) is not None
    assert [reason for reason, _ in world.events.warnings] == ["InstanceExists"]
    assert world.instance() == before
    assert len(world.annotations()) == 1


@virtual_time
async def test_an_address_that_was_given_to_somebody_else_is_not_had_twice() -> None:
    world = World(said="")
    world.ledger.addresses.release(f"orphan {UID} on node-a")
    world.ledger.addresses.assign("somebody", 6)
    world.tell(
        a_hypervisor(
            status=a_hypervisor_status(orphans=[an_orphan()]), annotations={f"{ORPHAN_ANNOTATION}{UID}": "adopt"}
        )
    )
    assert await world.adopter.reconcile(NODE) is not None
    assert [reason for reason, _ in world.events.warnings] == ["OrphanFound", "AddressTaken"]
    assert "10.60.0.7" in world.events.warnings[1][1]


@virtual_time
async def test_what_the_api_server_refuses_is_told() -> None:
    refused = Forbidden(403, "Forbidden", "spec.scheduling.nodeName is for administrators")
    world = World(trouble=once(Trouble(refused=refused), "create"))
    assert await world.adopter.reconcile(NODE) is not None
    assert [reason for reason, _ in world.events.warnings] == ["AdoptionRefused"]
    assert await world.adopter.reconcile(NODE) is None
    assert world.instance()["status"]["nodeName"] == "node-a"


@pytest.mark.parametrize(
    ("verb", "after"), [("create", 0), ("patch", 0), ("patch", 1)], ids=["creation", "status", "annotation"]
)
@pytest.mark.parametrize(
    "trouble",
    [Trouble(lost=Unreachable("cut")), Trouble(refused=Unreachable("down")), Trouble(after=60.0)],
    ids=["the answer is lost", "the server is away", "the answer takes for ever"],
)
def test_adoption_goes_on_from_wherever_it_broke(trouble: Trouble, verb: str, after: int) -> None:
    @virtual_time
    async def test() -> None:
        world = World(trouble=once(trouble, verb, after))
        with pytest.raises((Unreachable, TimeoutError)):
            await world.adopter.reconcile(NODE)
        world.cache.hypervisors.put(world.api.find(HYPERVISORS, NODE))
        assert await world.adopter.reconcile(NODE) is None
        assert world.api.requests.count("create") == 1
        assert world.instance()["status"]["domainUID"] == UID
        assert world.annotations() == {}

    test()
