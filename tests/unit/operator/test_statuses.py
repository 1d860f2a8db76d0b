"""What aggregates, zones, groups and quotas are said to mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_api.conditions import find
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.cache.records import Amount
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.quotas import Tally
from hypernova_operator.controllers.statuses import aggregates, groups, quotas, zones
from hypernova_operator.controllers.statuses.followed import Statuses
from support.builders import (
    a_group,
    a_host_aggregate,
    a_hypervisor_status,
    a_namespace,
    a_quota,
    a_zone,
    an_image,
    an_instance,
    stored,
)
from support.caches import a_host_of, sees, sees_gone
from support.fake_api import FakeApi, Trouble
from support.virtual_time import virtual_time

GI = 2**30
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
EXACT = {"overcommit": {"cpu": 1}}


class World:
    """Cache and books, told of objects."""

    def __init__(self, *objects: Object) -> None:
        self.cache = Cache()
        self.ledger = Ledger(self.cache, lambda: None)
        sees(self.cache, *objects)

    def aggregate(self, name: str = "rack-1") -> aggregates.HostAggregateStatus:
        record = self.cache.aggregates.store.get(Key("", name))
        assert record is not None
        return aggregates.status(record, self.cache, self.ledger.table, NOW)

    def zone(self, name: str = "az1") -> zones.AvailabilityZoneStatus:
        record = self.cache.zone(name)
        assert record is not None
        return zones.status(record, self.ledger.table, NOW)


def condition(status: Any, type_: str) -> tuple[str, str, str] | None:
    found = find(status.conditions, type_)
    return found and (found.status, found.reason, found.message)


def placed(name: str, node: str = "node-a", **parts: Any) -> Object:
    flavor = {"name": "m1.small", "vcpus": 2, "memory": "1Gi", "rootDisk": "10Gi"}
    return an_instance(name, status={"nodeName": node, "flavor": flavor}, **parts)


def test_an_aggregate_is_its_hosts_and_what_is_left_of_them() -> None:
    world = World(
        a_host_aggregate(nodes=["node-b", "node-a", "node-z"]),
        *a_host_of("node-a", **EXACT),
        *a_host_of("node-b", maintenance=True, **EXACT),
        *a_host_of("node-c"),
        placed("web-1"),
        placed("web-2"),
        placed("elsewhere", "node-c"),
    )
    status = world.aggregate()
    assert status.to_wire() | {"conditions": []} == {
        "observedGeneration": 1,
        "nodes": ["node-a", "node-b"],
        "hosts": {"total": 2, "usable": 1},
        "instances": 2,
        "capacity": {"vcpus": 8, "memory": "16Gi", "disk": "100Gi"},
        "free": {"vcpus": 4, "memory": "14Gi", "disk": "80Gi"},
        "conditions": [],
    }
    assert condition(status, "Ready") == ("True", "Ready", "")
    assert condition(status, "Conflict") == ("False", "NoConflict", "")
    assert condition(status, "FailoverHeadroom") is None


def test_what_is_claimed_beyond_what_a_host_has_is_not_taken_from_the_others() -> None:
    small = a_hypervisor_status(vcpus=1, memory="16Gi", disk="100Gi")
    world = World(
        a_host_aggregate(nodeSelector={}),
        *a_host_of("node-a", status=small, **EXACT),
        *a_host_of("node-b", **EXACT),
        placed("web-1"),
    )
    free = world.aggregate().free
    assert free is not None
    assert free.vcpus == 8


def test_the_sum_of_a_large_cloud_is_exact_to_the_mebibyte() -> None:
    vast = a_hypervisor_status(vcpus=4096, memory="1Ei", disk="1Ei")
    world = World(
        a_host_aggregate(nodeSelector={}),
        *(obj for number in range(40) for obj in a_host_of(f"node-{number}", status=vast)),
    )
    capacity = world.aggregate().capacity
    assert capacity is not None
    assert (capacity.vcpus, capacity.memory) == (40 * 4 * 4096, "40Ei")


def test_of_many_hosts_the_first_are_named() -> None:
    world = World(
        a_host_aggregate(nodeSelector={}),
        *(obj for number in range(1030) for obj in a_host_of(f"node-{number:04}")),
    )
    status = world.aggregate()
    assert status.hosts is not None
    assert (status.hosts.total, len(status.nodes), status.nodes[-1]) == (1030, 1024, "node-1023")


def test_an_aggregate_without_hosts_or_zone_says_what_to_do() -> None:
    world = World(a_host_aggregate(nodes=["node-z"]))
    ready = condition(world.aggregate(), "Ready")
    assert ready is not None
    assert ready[:2] == ("False", "NoHostSelected")
    sees(world.cache, a_host_aggregate(nodes=["node-z"], availabilityZone="az9"))
    ready = condition(world.aggregate(), "Ready")
    assert ready is not None
    assert ready[:2] == ("False", "AvailabilityZoneNotFound")
    assert 'there is no AvailabilityZone "az9"' in ready[2]


def test_a_host_in_two_zones_is_a_conflict_of_both() -> None:
    world = World(
        a_host_aggregate("one", availabilityZone="az1"),
        a_host_aggregate("other", availabilityZone="az2"),
        a_host_aggregate("neither"),
        *a_host_of(),
    )
    assert condition(world.aggregate("one"), "Conflict") == (
        "True",
        "HostInSeveralZones",
        "host node-a is in zone az1 by this aggregate and in zone az2 by HostAggregate other: it takes nothing new "
        "until one of them lets it go",
    )
    conflict = condition(world.aggregate("other"), "Conflict")
    assert conflict is not None
    assert "in zone az1 by HostAggregate one" in conflict[2]
    assert condition(world.aggregate("neither"), "Conflict") == ("False", "NoConflict", "")
    hosts = world.aggregate("one").hosts
    assert hosts is not None
    assert (hosts.total, hosts.usable) == (1, 0)


def test_a_host_with_two_cpu_models_is_a_conflict_of_both() -> None:
    world = World(
        a_host_aggregate("one", cpuModel="EPYC"),
        a_host_aggregate("other", cpuModel="EPYC-Milan"),
        a_host_aggregate("same", cpuModel="EPYC"),
        a_host_aggregate("neither"),
        *a_host_of(),
    )
    assert condition(world.aggregate("one"), "Conflict") == (
        "True",
        "HostWithSeveralCpuModels",
        "guests on host node-a are to see CPU model EPYC by this aggregate and EPYC-Milan by HostAggregate other: it "
        "takes nothing new until one of them lets it go",
    )
    conflict = condition(world.aggregate("other"), "Conflict")
    assert conflict is not None
    assert "EPYC by HostAggregate one and EPYC by HostAggregate same" in conflict[2]
    assert condition(world.aggregate("neither"), "Conflict") == ("False", "NoConflict", "")
    hosts = world.aggregate("same").hosts
    assert hosts is not None
    assert (hosts.total, hosts.usable) == (1, 0)


def selecting(**labels: str) -> Object:
    return {"matchLabels": labels}


def test_aggregates_that_keep_a_host_for_nobody_are_a_conflict_of_both() -> None:
    world = World(
        a_namespace("gold", {"tier": "gold"}),
        a_namespace("silver", {"tier": "silver"}),
        a_host_aggregate("one", projects={"namespaceSelector": selecting(tier="gold")}),
        a_host_aggregate("other", projects={"namespaceSelector": selecting(tier="silver")}),
        a_host_aggregate("open"),
        *a_host_of(),
    )
    assert condition(world.aggregate("one"), "Conflict") == (
        "True",
        "ContradictoryIsolation",
        "host node-a takes no Instance: this aggregate and HostAggregate other keep it for different namespaces; let "
        "one of them let it go, or admit the same",
    )
    assert condition(world.aggregate("other"), "Conflict") != condition(world.aggregate("open"), "Conflict")
    assert condition(world.aggregate("open"), "Conflict") == ("False", "NoConflict", "")
    sees(world.cache, a_namespace("both", {"tier": "gold", "also": "silver"}))
    sees(world.cache, a_host_aggregate("other", projects={"namespaceSelector": selecting(also="silver")}))
    assert condition(world.aggregate("one"), "Conflict") == ("False", "NoConflict", "")


def test_one_aggregate_alone_contradicts_nobody_even_if_nobody_is_admitted_yet() -> None:
    world = World(
        a_namespace("silver"),
        a_host_aggregate(projects={"namespaceSelector": selecting(tier="gold")}),
        *a_host_of(),
    )
    assert condition(world.aggregate(), "Conflict") == ("False", "NoConflict", "")


def test_isolation_by_images_can_contradict_itself_as_well() -> None:
    world = World(
        an_image("windows", labels={"os": "windows"}),
        an_image("linux", labels={"os": "linux"}),
        a_host_aggregate("one", images={"selector": selecting(os="windows")}),
        a_host_aggregate("other", images={"selector": selecting(os="linux")}),
        *a_host_of(),
    )
    conflict = condition(world.aggregate("one"), "Conflict")
    assert conflict is not None
    assert "different Images" in conflict[2]


def test_a_zone_is_available_when_a_host_of_it_is_usable_and_says_nothing_of_hosts() -> None:
    world = World(a_zone())
    assert condition(world.zone(), "Available") == (
        "False",
        "NoHost",
        "no HostAggregate puts a host into the zone: set the spec.availabilityZone of one that has hosts",
    )
    sees(world.cache, a_host_aggregate(availabilityZone="az1"), *a_host_of())
    assert world.zone().available
    assert condition(world.zone(), "Available") == ("True", "Available", "")
    world.cache.hosts.set_alive("node-a", False)
    assert not world.zone().available
    unavailable = condition(world.zone(), "Available")
    assert unavailable is not None
    assert unavailable[1] == "NoUsableHost"
    assert "node-a" not in str(world.zone().to_wire())


def test_headroom_is_there_until_the_others_could_not_take_over() -> None:
    world = World(
        a_zone(reserve={"hosts": 1}),
        a_host_aggregate(nodeSelector={}, availabilityZone="az1", reserve={"hosts": 1}),
        *a_host_of("node-a", **EXACT),
        *a_host_of("node-b", **EXACT),
    )
    for status in (world.zone(), world.aggregate()):
        headroom = condition(status, "FailoverHeadroom")
        assert headroom is not None
        assert headroom[:2] == ("True", "Absorbable")
    sees(world.cache, *(placed(f"web-{number}", "node-a") for number in range(4)), placed("web-4", "node-b"))
    assert condition(world.aggregate(), "FailoverHeadroom") == (
        "False",
        "NotAbsorbable",
        "1 host may fail, and the others would lack vCPUs (8 must be free, 6 are): add hosts, or move Instances away",
    )
    sees(world.cache, *a_host_of("node-b", maintenance=True))
    alone = condition(world.zone(), "FailoverHeadroom")
    assert alone is not None
    assert alone[:2] == ("False", "TooFewHosts")
    sees(world.cache, a_zone())
    assert condition(world.zone(), "FailoverHeadroom") is None


def members(*nodes: str) -> dict[Key, str]:
    return {Key("default", f"web-{number}"): node for number, node in enumerate(nodes)}


SATISFIED = {
    "no members": ({"policy": "AntiAffinity"}, members(), "True"),
    "all apart": ({"policy": "AntiAffinity"}, members("a", "b"), "True"),
    "two on one": ({"policy": "AntiAffinity"}, members("a", "a"), "False"),
    "two on one, which is allowed": ({"policy": "AntiAffinity", "maxPerHost": 2}, members("a", "a"), "True"),
    "three on one, where two are allowed": ({"policy": "AntiAffinity", "maxPerHost": 2}, members(*"aaa"), "False"),
    "all together": ({"policy": "Affinity"}, members("a", "a"), "True"),
    "one astray": ({"policy": "Affinity"}, members("a", "a", "b"), "False"),
    "together as far as that was to be had": ({"policy": "SoftAffinity"}, members("a", "b"), "False"),
    "apart as far as that was to be had": ({"policy": "SoftAntiAffinity"}, members("a", "a", "b"), "False"),
    "softly apart": ({"policy": "SoftAntiAffinity"}, members("a", "b"), "True"),
}


@pytest.mark.parametrize(("spec", "where", "satisfied"), list(SATISFIED.values()), ids=list(SATISFIED))
def test_a_group_is_satisfied_with(spec: Object, where: dict[Key, str], satisfied: str) -> None:
    status = groups.status(records.instance_group(stored(a_group(**spec))), where, NOW)
    found = condition(status, "Satisfied")
    assert found is not None
    assert found[0] == satisfied
    assert bool(found[2]) == (satisfied == "False"), "what is wrong is said"
    assert (status.count, status.hosts) == (len(where), len(set(where.values())))


def test_a_group_names_its_members_and_their_nodes() -> None:
    status = groups.status(records.instance_group(stored(a_group())), members("b", "a"), NOW)
    assert [(member.name, member.node_name) for member in status.members] == [("web-0", "b"), ("web-1", "a")]


def a_tally(**users: Amount) -> Tally:
    tally = Tally()
    for user, amount in users.items():
        tally.add(user, amount)
    return tally


def test_a_quota_tells_what_is_used_and_by_whom_where_users_are_limited() -> None:
    tally = a_tally(alice=Amount(1, 2, GI, 0), bob=Amount(3, 3, GI, GI))
    quota = records.compute_quota(stored(a_quota(hard={"instances": 4}, perUser={"instances": 3})))
    status = quotas.status(quota, tally, NOW).to_wire()
    assert status["used"] == {"instances": 4, "vcpus": 5, "memory": "2Gi", "disk": "1Gi"}
    assert [(each["user"], each["used"]["instances"]) for each in status["users"]] == [("bob", 3), ("alice", 1)]
    assert status["conditions"][0]["status"] == "False"
    for_all = records.compute_quota(stored(a_quota()))
    assert quotas.status(for_all, tally, NOW).users == []


def test_a_quota_below_what_is_used_says_by_how_much() -> None:
    tally = a_tally(alice=Amount(3, 6, 4 * GI, 0), bob=Amount(1, 1, GI, 0))
    quota = records.compute_quota(
        stored(a_quota(hard={"instances": 1, "memory": "1Gi", "vcpus": 7}, perUser={"instances": 2}))
    )
    assert condition(quotas.status(quota, tally, NOW), "Exceeded") == (
        "True",
        "OverLimit",
        "4 instances used of 1 instance, 5Gi of memory used of 1Gi of memory, by alice 3 instances used of 2 "
        "instances: nothing is taken away, and nothing new is given",
    )


def test_a_truth_that_stays_keeps_its_time() -> None:
    world = World(a_zone(), a_host_aggregate(availabilityZone="az1"), *a_host_of())
    before = world.zone().to_wire()
    sees(world.cache, a_zone(status=before))
    record = world.cache.zone("az1")
    assert record is not None
    later = zones.status(record, world.ledger.table, datetime(2027, 1, 1, tzinfo=UTC))
    assert later.to_wire() == before


class Written:
    """Statuses as they are written, over an API server in memory. News reaches the cache only by `see`."""

    def __init__(self, trouble: Callable[[str], Trouble | None] = lambda verb: None) -> None:
        self.api = FakeApi()
        self.leads = True
        self.cache = Cache()
        ledger = Ledger(self.cache, lambda: None)
        client: Any = self.api.client(trouble)
        statuses = Statuses(client, self.cache, ledger, Placed(self.cache.instances.store), lambda: self.leads)
        self.running = asyncio.create_task(statuses.run())

    def put(self, *objects: Object) -> None:
        """Somebody writes, and the watch tells."""
        for obj in objects:
            kept = next(kept for kept in self.cache.kinds if kept.resource.kind == obj["kind"])
            metadata = {"generation": 1} | obj["metadata"]
            kept.put(self.api.put(kept.resource, obj | {"metadata": metadata}))
            if obj["kind"] == "Hypervisor":
                self.cache.hosts.set_alive(metadata["name"], True)

    def status(self, kept: Any, name: str, namespace: str = "") -> Object:
        status: Object = self.api.find(kept.resource, Key(namespace, name)).get("status", {})
        return status

    def writes(self) -> int:
        return self.api.requests.count("patch")


async def a_while() -> None:
    await asyncio.sleep(10)


@virtual_time
async def test_what_has_changed_is_written_once_and_then_nothing() -> None:
    world = Written()
    world.put(a_zone(), a_host_aggregate(availabilityZone="az1"), *a_host_of(), a_group(), a_quota())
    await a_while()
    assert world.writes() == 4, "aggregate, zone, group and quota"
    await a_while()
    assert world.writes() == 4
    world.put(placed("web-1", scheduling={"group": "web"}))
    await a_while()
    assert world.status(world.cache.aggregates, "rack-1")["instances"] == 1
    assert world.status(world.cache.groups, "web", "default")["count"] == 1
    assert world.status(world.cache.quotas, "limits", "default")["used"]["vcpus"] == 2
    assert world.writes() == 7, "of the zone, nothing is different"
    world.running.cancel()


@virtual_time
async def test_who_does_not_lead_writes_nothing() -> None:
    world = Written()
    world.leads = False
    world.put(a_zone())
    await a_while()
    assert world.writes() == 0
    world.running.cancel()


@virtual_time
async def test_a_write_that_comes_to_nothing_is_tried_again() -> None:
    troubles = [Trouble(refused=Unreachable("cut"))]
    world = Written(lambda verb: troubles.pop() if verb == "patch" and troubles else None)
    world.put(a_zone())
    await a_while()
    assert world.status(world.cache.zones, "az1")["available"] is False
    world.running.cancel()


@virtual_time
async def test_a_conflict_waits_for_what_was_not_seen() -> None:
    world = Written()
    unseen = world.api.put(world.cache.zones.resource, a_zone() | {"metadata": {"name": "az1", "generation": 2}})
    older = unseen | {"metadata": unseen["metadata"] | {"resourceVersion": "0"}}
    world.cache.zones.store.put(records.availability_zone(older | {"metadata": older["metadata"] | {"generation": 1}}))
    await a_while()
    assert world.status(world.cache.zones, "az1") == {}
    world.cache.zones.put(unseen)
    await a_while()
    assert world.status(world.cache.zones, "az1")["observedGeneration"] == 2
    world.running.cancel()


def test_where_members_are_follows_what_they_say() -> None:
    world = World()
    where = Placed(world.cache.instances.store)
    sees(world.cache, placed("a", "node-a", scheduling={"group": "web"}), placed("b", "node-a"), an_instance("c"))
    assert where.on_node("node-a") == [Key("default", "a"), Key("default", "b")]
    assert where.in_group(Key("default", "web")) == {Key("default", "a"): "node-a"}
    sees(world.cache, placed("a", "node-b", scheduling={"group": "web"}))
    sees_gone(world.cache, placed("b"))
    assert where.on_node("node-a") == []
    assert where.in_group(Key("default", "web")) == {Key("default", "a"): "node-b"}
    sees_gone(world.cache, placed("a"))
    assert where.in_group(Key("default", "web")) == {}
