"""Binding against an API server that loses answers, conflicts and hangs: one host each, one write each."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_api.meta import FINALIZER
from hypernova_kube.errors import Forbidden, Unreachable
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.controllers.binding import LISTEN_SECONDS, LOOK_AGAIN_SECONDS, RETELL_SECONDS, Binder
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.waiting import Waiting
from hypernova_operator.controllers.writes import INSTANCES, InstanceWrites
from hypernova_operator.metrics import Metrics
from hypernova_operator.scheduler import Resources
from support.builders import (
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_node,
    a_quota,
    a_zone,
    an_image,
    an_instance,
    stored,
)
from support.caches import sees
from support.fake_api import FakeApi, Trouble
from support.virtual_time import now, virtual_time

WEB = Key("default", "web-1")
LONG = 60.0


class Events:
    """Instead of an EventRecorder."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        self.warnings.append((reason, message))


class World:
    """An operator's deciding half over an API server in memory. News reaches the cache only by `see`."""

    def __init__(self, trouble: Callable[[str], Trouble | None] = lambda verb: None, vcpus: int = 1) -> None:
        self.api = FakeApi()
        self.leads = self.sure = True
        self.cache = Cache()
        self.woken: list[Key] = []
        self.waiting = Waiting()
        self.events = Events()
        self.ledger = Ledger(self.cache, lambda: self.woken.extend(self.waiting.for_room()))
        writes: Any = InstanceWrites(self.api.client(trouble), self.cache, lambda: self.leads)
        self.metrics = Metrics()
        self.binder = Binder(
            self.cache,
            self.ledger,
            self.waiting,
            writes,
            self.events,
            self.metrics,
            self.woken.append,
            is_sure=lambda: self.sure,
            clock=now,
            wall_clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
            rng=random.Random(0),
        )
        self.cache.flavors.put(stored(a_flavor(rootDisk="0")))
        self.cache.images.put(stored(an_image()))
        self.add_host("node-a", vcpus)

    def add_host(self, name: str, vcpus: int = 1, **spec: Any) -> None:
        status = a_hypervisor_status(vcpus=vcpus)
        spec = {"overcommit": {"cpu": 1, "memory": 1, "disk": 1}} | spec
        known = self.cache.hypervisors.store.get(Key("", name))
        version = str(known.version + 1 if known else 1)
        self.cache.nodes.put(stored(a_node(name)))
        self.cache.hypervisors.put(stored(a_hypervisor(name, status=status, **spec), resourceVersion=version))
        self.cache.hosts.set_alive(name, True)

    def create(self, name: str = "web-1", **parts: Any) -> Key:
        instance = an_instance(name, **{"finalizers": [FINALIZER]} | parts)
        self.api.put(INSTANCES, instance | {"metadata": instance["metadata"] | {"generation": 1}})
        key = Key("default", name)
        self.see(key)
        return key

    def see(self, key: Key = WEB) -> None:
        """The watch catches up with one object."""
        self.cache.instances.put(self.stored(key))

    def stored(self, key: Key = WEB) -> Object:
        return self.api.find(INSTANCES, key)

    def status(self, key: Key = WEB) -> Object:
        status: Object = self.stored(key).get("status", {})
        return status

    def touch(self, key: Key = WEB, **metadata: Any) -> None:
        """Somebody else writes."""
        obj = self.stored(key)
        self.api.put(INSTANCES, obj | {"metadata": obj["metadata"] | metadata})

    @property
    def writes(self) -> int:
        return Counter(self.api.requests)["patch"]

    def claimed(self, host: str = "node-a") -> int:
        return self.ledger.table.claimed(host).vcpus


def once(trouble: Trouble, verb: str = "patch") -> Callable[[str], Trouble | None]:
    """Trouble for the first such request only."""
    left = [trouble]
    return lambda asked: left.pop() if asked == verb and left else None


@virtual_time
async def test_an_instance_is_bound_in_one_write() -> None:
    world = World()
    assert await world.binder.reconcile(world.create()) is None
    assert world.status()["nodeName"] == "node-a"
    assert world.api.requests == ["patch"]
    assert world.claimed() == 1


@virtual_time
async def test_an_instance_whose_domain_some_host_has_already_gets_no_second_one() -> None:
    world = World()
    world.add_host("node-b")
    world.create()
    orphan = {"uid": world.stored()["metadata"]["uid"], "namespace": "default", "name": "web-1", "running": True}
    known = world.cache.hypervisors.store.get(Key("", "node-b"))
    assert known is not None
    hypervisor = a_hypervisor("node-b", status=a_hypervisor_status(orphans=[orphan]))
    world.cache.hypervisors.put(stored(hypervisor, resourceVersion=str(known.version + 1)))
    await world.binder.reconcile(WEB)
    (told,) = [each for each in world.status()["conditions"] if each["type"] == "Scheduled"]
    assert "nodeName" not in world.status()
    assert (told["reason"], "node-b" in told["message"]) == ("DomainExists", True)
    hypervisor = a_hypervisor("node-b", status=a_hypervisor_status())
    world.cache.hypervisors.put(stored(hypervisor, resourceVersion=str(known.version + 2)))
    world.see()
    await world.binder.reconcile(WEB)
    assert world.status()["nodeName"]


@virtual_time
async def test_a_bound_instance_is_left_alone_even_if_the_watch_lags() -> None:
    world = World()
    world.create()
    before = world.stored()
    await world.binder.reconcile(WEB)
    world.cache.instances.put(before)
    await world.binder.reconcile(WEB)
    assert world.writes == 1


@virtual_time
async def test_a_conflict_is_met_with_what_is_true_now() -> None:
    world = World()
    world.create()
    world.touch(labels={"edited": "meanwhile"})
    await world.binder.reconcile(WEB)
    assert world.status()["nodeName"] == "node-a"
    assert world.stored()["metadata"]["labels"] == {"edited": "meanwhile"}
    assert world.claimed() == 1


@virtual_time
async def test_an_instance_somebody_else_bound_is_claimed_where_it_is() -> None:
    world = World()
    world.add_host("node-b")
    world.create()
    elsewhere = {"nodeName": "node-b", "flavor": {"name": "m1.small", "vcpus": 1, "memory": "512Mi"}}
    world.api.put(INSTANCES, world.stored() | {"status": elsewhere})
    await world.binder.reconcile(WEB)
    assert world.status() == elsewhere
    assert (world.claimed("node-a"), world.claimed("node-b")) == (0, 1)


@virtual_time
async def test_an_instance_deleted_meanwhile_claims_nothing() -> None:
    world = World()
    world.create()
    del world.api.stored[INSTANCES.plural, WEB]
    assert await world.binder.reconcile(WEB) is None
    assert world.cache.instance(WEB) is None
    assert world.claimed() == 0


@pytest.mark.parametrize(
    "trouble",
    [Trouble(lost=Unreachable("cut")), Trouble(after=LONG)],
    ids=["the answer is lost", "the answer takes for ever"],
)
def test_a_bind_that_was_written_unheard_holds_its_claim_and_is_not_repeated(trouble: Trouble) -> None:
    @virtual_time
    async def test() -> None:
        world = World(once(trouble))
        world.create()
        with pytest.raises((Unreachable, TimeoutError)):
            await world.binder.reconcile(WEB)
        assert world.claimed() == 1
        await world.binder.reconcile(world.create("web-2"))
        assert "nodeName" not in world.status(Key("default", "web-2")), "the last slot is taken, unheard or not"
        assert await world.binder.reconcile(WEB) is None
        assert world.status()["nodeName"] == "node-a"
        assert world.claimed() == 1
        assert world.writes == 2, "web-1's bind and web-2's refusal"

    test()


@virtual_time
async def test_a_bind_that_never_arrived_is_decided_anew() -> None:
    world = World(once(Trouble(refused=Unreachable("no route"))))
    world.create()
    with pytest.raises(Unreachable):
        await world.binder.reconcile(WEB)
    world.add_host("node-a", maintenance=True)
    world.add_host("node-b")
    await world.binder.reconcile(WEB)
    assert world.status()["nodeName"] == "node-b"
    assert (world.claimed("node-a"), world.claimed("node-b")) == (0, 1)


@virtual_time
async def test_what_the_api_server_refuses_is_told_and_tried_again() -> None:
    world = World(once(Trouble(refused=Forbidden(403, "Forbidden", "not yours"))))
    world.create()
    with pytest.raises(Forbidden):
        await world.binder.reconcile(WEB)
    assert world.events.warnings == [
        ("BindFailed", "not bound to node node-a, tried again in a while: not yours (403 Forbidden)")
    ]
    await world.binder.reconcile(WEB)
    assert world.status()["nodeName"] == "node-a"


@virtual_time
async def test_who_does_not_lead_does_not_write() -> None:
    world = World()
    world.leads = False
    assert await world.binder.reconcile(world.create()) is None
    assert world.api.requests == []
    assert world.claimed() == 0


@virtual_time
async def test_two_racing_for_the_last_slot_get_one_host() -> None:
    world = World(vcpus=1)
    keys = [world.create("web-1"), world.create("web-2")]
    for key in keys:
        await world.binder.reconcile(key)
    assert [world.status(key).get("nodeName") for key in keys] == ["node-a", None]
    assert world.status(keys[1])["conditions"][0]["message"] == ("0/1 hosts fit: 1 lacks vCPUs (need 1, most free 0)")


@virtual_time
async def test_why_an_instance_waits_is_written_once() -> None:
    world = World(vcpus=0)
    world.create()
    for _ in range(3):
        again = await world.binder.reconcile(WEB)
        assert again is not None
        assert LOOK_AGAIN_SECONDS / 2 <= again <= LOOK_AGAIN_SECONDS
        world.see()
    assert world.writes == 1
    assert world.events.warnings == [("NoHostFits", "0/1 hosts fit: 1 lacks vCPUs (need 1, most free 0)")]
    assert world.status()["phase"] == "Pending"


@virtual_time
async def test_nobody_is_told_that_no_host_fits_before_all_agents_could_be_heard() -> None:
    world = World(vcpus=0)
    world.sure = False
    world.create()
    assert await world.binder.reconcile(WEB) == LISTEN_SECONDS
    assert (world.writes, world.events.warnings) == (0, [])
    world.add_host("node-b", vcpus=1)
    assert WEB in world.woken, "it waits for room like any other"
    world.add_host("node-b", vcpus=0)
    world.sure = True
    await world.binder.reconcile(WEB)
    assert world.status()["conditions"][0]["reason"] == "NoHostFits"


@virtual_time
async def test_what_has_nothing_to_do_with_hosts_is_told_before_all_agents_could_be_heard() -> None:
    world = World()
    world.sure = False
    world.cache.flavors.remove(stored(a_flavor(), resourceVersion="2"))
    await world.binder.reconcile(world.create())
    assert world.status()["conditions"][0]["reason"] == "FlavorNotFound"


@virtual_time
async def test_new_numbers_are_not_written_more_often_than_people_read() -> None:
    world = World(vcpus=0)
    await world.binder.reconcile(world.create())
    world.add_host("node-b", vcpus=0)
    assert await world.binder.reconcile(WEB) == RETELL_SECONDS
    assert world.writes == 1


@virtual_time
async def test_a_new_reason_is_written_at_once() -> None:
    world = World(vcpus=0)
    await world.binder.reconcile(world.create())
    world.cache.flavors.remove(stored(a_flavor(), resourceVersion="2"))
    await world.binder.reconcile(WEB)
    assert world.status()["conditions"][0]["reason"] == "FlavorNotFound"
    assert world.writes == 2


@virtual_time
async def test_room_goes_to_the_first_in_line_and_then_to_the_next() -> None:
    world = World(vcpus=0)
    keys = [world.create(f"web-{number}") for number in range(3)]
    for key in keys:
        await world.binder.reconcile(key)
    world.woken.clear()
    world.add_host("node-b", vcpus=2)
    assert set(world.woken) == {keys[0]}, "the others' turn comes when the first has got its place"
    bound = []
    while world.woken:
        key = world.woken.pop(0)
        await world.binder.reconcile(key)
        bound += [key] if "nodeName" in world.status(key) and key not in bound else []
    assert bound == keys[:2]


@virtual_time
async def test_the_end_of_an_instance_makes_room() -> None:
    world = World(vcpus=1)
    first, second = world.create("web-1"), world.create("web-2")
    await world.binder.reconcile(first)
    await world.binder.reconcile(second)
    world.woken.clear()
    world.touch(first, deletionTimestamp="2026-11-21T00:00:00Z")
    world.see(first)
    assert world.woken == [], "its domain may still run"
    world.cache.instances.remove(world.stored(first))
    assert world.woken == [second]
    await world.binder.reconcile(second)
    assert world.status(second)["nodeName"] == "node-a"


@virtual_time
async def test_an_unbound_instance_that_is_deleted_loses_our_finalizer() -> None:
    world = World()
    world.create(finalizers=["other", FINALIZER])
    world.touch(deletionTimestamp="2026-11-21T00:00:00Z")
    world.see()
    await world.binder.reconcile(WEB)
    assert world.stored()["metadata"]["finalizers"] == ["other"]
    await world.binder.reconcile(WEB)
    assert world.writes == 1


@virtual_time
async def test_the_finalizer_of_a_bound_instance_is_its_agents() -> None:
    world = World()
    world.create()
    world.touch(deletionTimestamp="2026-11-21T00:00:00Z")
    world.see()
    world.api.put(INSTANCES, world.stored() | {"status": {"nodeName": "node-a"}})  # as we are about to write
    await world.binder.reconcile(WEB)
    assert world.stored()["metadata"]["finalizers"] == [FINALIZER]


@virtual_time
async def test_an_instance_without_our_finalizer_gets_it_before_it_is_bound() -> None:
    seen: list[tuple[list[str], bool]] = []
    world = World()
    put = world.api.put
    world.api.put = lambda resource, obj: (
        seen.append((obj["metadata"].get("finalizers", []), "nodeName" in obj.get("status", {}))) or put(resource, obj)
    )
    world.create(finalizers=["other"])
    await world.binder.reconcile(WEB)
    assert seen == [(["other"], False), (["other", FINALIZER], False), (["other", FINALIZER], True)]


@virtual_time
async def test_a_host_is_given_away_only_after_the_end_of_the_claim() -> None:
    world = World()
    world.create()
    await world.binder.reconcile(WEB)
    assert world.ledger.table.claimed("node-a") == Resources(1, 512 * 2**20, 0)
    world.cache.instances.remove(world.stored())
    assert world.ledger.table.claimed("node-a") == Resources()
    assert not world.ledger.addresses.release(world.stored()["metadata"]["uid"])


def scheduled(world: World, key: Key) -> tuple[str, str]:
    condition = next(each for each in world.status(key)["conditions"] if each["type"] == "Scheduled")
    return condition["reason"], condition["message"]


async def bind_all(world: World, *keys: Key) -> list[str]:
    """Where each is after one look at each."""
    for key in keys:
        await world.binder.reconcile(key)
    return [world.status(key).get("nodeName", "") for key in keys]


@virtual_time
async def test_members_of_a_group_that_come_at_once_are_apart_before_anything_is_written() -> None:
    world = World(lambda verb: Trouble(before=1.0), vcpus=8)
    world.add_host("node-b", vcpus=8)
    sees(world.cache, a_group())
    keys = [world.create(f"web-{number}", scheduling={"group": "web"}) for number in range(4)]
    await asyncio.gather(*(world.binder.reconcile(key) for key in keys))
    assert sorted(world.status(key).get("nodeName", "") for key in keys) == ["", "", "node-a", "node-b"]


@virtual_time
async def test_a_quota_is_not_overdrawn_by_many_who_come_at_once() -> None:
    world = World(lambda verb: Trouble(before=1.0), vcpus=100)
    sees(world.cache, a_quota(hard={"instances": 7}))
    keys = [world.create(f"web-{number}") for number in range(20)]
    await asyncio.gather(*(world.binder.reconcile(key) for key in keys))
    assert [bool(world.status(key).get("nodeName")) for key in keys].count(True) == 7
    assert scheduled(world, keys[19]) == (
        "QuotaExceeded",
        "ComputeQuota default/limits allows 7 instances, 7 are used and this one needs 1; delete some or ask for more",
    )


@virtual_time
async def test_what_is_given_back_to_a_quota_goes_to_who_waits_for_it() -> None:
    world = World(vcpus=8)
    sees(world.cache, a_quota(hard={"instances": 1}))
    first, second = world.create("web-1"), world.create("web-2")
    assert await bind_all(world, first, second) == ["node-a", ""]
    world.woken.clear()
    world.cache.instances.remove(world.stored(first))
    assert world.woken == [second]
    assert await bind_all(world, second) == ["node-a"]


@virtual_time
async def test_a_larger_quota_wakes_who_waits_for_it() -> None:
    world = World(vcpus=8)
    sees(world.cache, a_quota(hard={"instances": 0}))
    await world.binder.reconcile(world.create())
    world.woken.clear()
    sees(world.cache, a_quota(hard={"instances": 1}))
    assert world.woken == [WEB]


@virtual_time
async def test_a_bind_that_came_to_nothing_is_given_back_to_the_quota() -> None:
    world = World(once(Trouble(refused=Unreachable("no route"))), vcpus=8)
    sees(world.cache, a_quota(hard={"instances": 1}))
    first, second = world.create("web-1"), world.create("web-2")
    with pytest.raises(Unreachable):
        await world.binder.reconcile(first)
    assert await bind_all(world, second, first) == ["", "node-a"], "until it is known what happened, it counts"


@virtual_time
async def test_one_that_must_be_apart_from_another_waits_for_no_write_of_it() -> None:
    world = World(lambda verb: Trouble(before=1.0), vcpus=8)
    world.add_host("node-b", vcpus=8)
    db, web = world.create("db"), world.create("web-1", scheduling={"differentHostFrom": ["db"]})
    await asyncio.gather(world.binder.reconcile(db), world.binder.reconcile(web))
    assert world.status(db)["nodeName"] != world.status(web)["nodeName"]


@virtual_time
async def test_after_a_restart_everything_that_was_given_away_is_known() -> None:
    before = World(vcpus=8)
    cells = [{"id": 0, "cores": ["0", "1", "2", "3"], "memory": "8Gi"}]
    status = a_hypervisor_status(vcpus=8, cells=cells)
    pinned = a_flavor("pinned", rootDisk="0", cpu={"policy": "Dedicated"})
    host = a_hypervisor(status=status, dedicatedCpus="2-3")
    sees(before.cache, pinned, a_group(policy="Affinity"), host)
    spec = {"flavor": "pinned", "scheduling": {"group": "web"}}
    keys = [before.create(f"web-{number}", **spec) for number in range(2)]
    await bind_all(before, *keys)
    claims = [before.ledger.table.claim_of(before.stored(key)["metadata"]["uid"]) for key in keys]
    assert sorted(cpu for claim in claims if claim for cell in claim.allocation.cells for cpu in cell.cpus) == [2, 3]

    after = World(vcpus=8)
    after.api = before.api
    for key in keys:
        after.see(key)
    assert [after.ledger.table.claim_of(after.stored(key)["metadata"]["uid"]) for key in keys] == claims
    assert after.ledger.table.members("default/web") == {"node-a": 2}
    assert after.ledger.quotas.used(records.compute_quota(stored(a_quota()))).total.instances == 2


@virtual_time
async def test_how_an_instance_was_placed_is_told_with_it() -> None:
    world = World(vcpus=8)
    world.add_host("node-b", vcpus=4)
    world.add_host("node-c", maintenance=True)
    sees(world.cache, a_zone(), a_host_aggregate(nodeSelector={}, availabilityZone="az1"))
    await world.binder.reconcile(world.create(availabilityZone="az1"))
    status = world.status()
    assert status["availabilityZone"] == "az1"
    placement = status["placement"]
    assert placement["time"] == "2026-11-21T00:00:00Z"
    assert (placement["hostsConsidered"], placement["hostsPassed"]) == (3, 2)
    assert [each["nodeName"] for each in placement["candidates"]] == ["node-a", "node-b"]
    assert placement["overcommit"] == {"cpu": 1, "memory": 1, "disk": 1}


@virtual_time
async def test_what_filters_rule_out_is_counted() -> None:
    world = World(vcpus=0)
    world.add_host("node-b", maintenance=True)
    await world.binder.reconcile(world.create())
    counted = {
        sample.labels["filter"]: sample.value
        for metric in world.metrics.filtered_hosts.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counted == {"EnoughVcpus": 1, "NotInMaintenance": 1}


async def phases(world: World, *phases: str) -> None:
    for phase in phases:
        world.api.put(INSTANCES, world.stored() | {"status": world.status() | {"phase": phase}})
        world.see()


@virtual_time
async def test_builds_count_while_they_last_and_failures_until_one_succeeds() -> None:
    world = World(vcpus=8)
    await world.binder.reconcile(world.create())
    table = world.ledger.table
    row = table.row("node-a")
    assert row is not None
    assert (table.builds[row], table.failures[row]) == (1, 0)
    await phases(world, "Failed")
    assert (table.builds[row], table.failures[row]) == (0, 1)
    await phases(world, "Building", "Failed")
    assert table.failures[row] == 2
    await phases(world, "Building", "Running")
    assert (table.builds[row], table.failures[row]) == (0, 0)
    await phases(world, "Failed")
    assert table.failures[row] == 0, "that was no build"
    await phases(world, "Running")
    assert (table.builds[row], table.instances[row]) == (0, 1)


@virtual_time
async def test_the_end_of_a_build_makes_room_where_builds_are_limited() -> None:
    world = World(vcpus=8)
    sees(world.cache, a_host_aggregate(maxBuildsPerHost=1))
    first, second = world.create("web-1"), world.create("web-2")
    assert await bind_all(world, first, second) == ["node-a", ""]
    world.woken.clear()
    await phases(world, "Running")
    assert world.woken == [second]
    assert await bind_all(world, second) == ["node-a"]


@virtual_time
async def test_room_is_kept_for_the_case_that_a_host_fails() -> None:
    world = World(vcpus=2)
    world.add_host("node-b", vcpus=2)
    sees(world.cache, a_host_aggregate(nodeSelector={}, reserve={"hosts": 1}))
    keys = [world.create(f"web-{number}") for number in range(3)]
    places = await bind_all(world, *keys)
    assert [bool(place) for place in places] == [True, True, False]
    assert "HostAggregate rack-1" in scheduled(world, keys[2])[1]
    world.woken.clear()
    sees(world.cache, a_host_aggregate(nodeSelector={}))
    assert keys[2] in world.woken
    assert await bind_all(world, keys[2]) != [""]


@virtual_time
async def test_the_next_in_line_gets_its_turn_when_the_first_now_wants_something_else() -> None:
    world = World(vcpus=0)
    apart = world.create("apart", scheduling={"differentHostFrom": ["db"]})
    plain = world.create("plain")
    await bind_all(world, apart, plain)
    sees(world.cache, an_instance("db", status={"nodeName": "node-a"}))
    world.woken.clear()
    await world.binder.reconcile(apart)
    assert world.woken == [plain]
