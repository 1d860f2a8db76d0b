"""Hosts that are lost: said so, at a bounded rate, by who could hear; nothing goes before its node is fenced."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_api.meta import FINALIZER
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.liveness import AGENT_SECONDS, DEAF_SECONDS, Liveness
from hypernova_operator.cache.records import AGENT_LOST, NODE_LOST
from hypernova_operator.controllers.lost import HYPERVISORS, PAUSE_SECONDS, WORKERS, LostHosts
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.writes import INSTANCES, InstanceWrites
from hypernova_operator.metrics import Metrics
from support.builders import a_condition, a_hypervisor, a_hypervisor_status, a_node, a_taint, an_instance
from support.caches import sees, sees_gone
from support.fake_api import FakeApi
from support.virtual_time import now, virtual_time

WEB = Key("default", "web-1")
NODE = Key("", "node-a")
OFF = a_taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")


class World:
    """A leader, and a node whose agent may fall silent. To be made in virtual time."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.cache = Cache()
        self.leads = True
        self.liveness = Liveness(self.cache.hosts, now)
        client: Any = self.api.client()
        self.lost = LostHosts(
            client,
            self.cache,
            Placed(self.cache.instances.store),
            self.liveness,
            InstanceWrites(client, self.cache, lambda: self.leads),
            Metrics(),
            wall_clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )
        self.renewals = 0
        self.beats = True
        self.hears = True
        sees(self.cache, a_node())
        self.store(HYPERVISORS, a_hypervisor(status=a_hypervisor_status()), NODE)

    async def live(self, seconds: float) -> None:
        """The leader's Lease is renewed each second, the agent's every ten, for as long as we hear."""
        for second in range(int(seconds)):
            if self.hears:
                self._renewed("hypernova-operator", f"leader-{now()}")
                if self.beats and second % 10 == 0:
                    self.renewals += 1
                    self._renewed(f"{LEASE_PREFIX}node-a", f"2026-11-21T00:00:{self.renewals:02}.123456Z")
            self.liveness.look()
            await asyncio.sleep(1)

    async def works(self, seconds: float) -> None:
        """The controller runs for a while."""
        running = asyncio.create_task(self.lost.run())
        await self.live(seconds)
        running.cancel()
        await asyncio.wait([running])

    def bound(self, name: str = "web-1", **metadata: Any) -> Key:
        status = {"phase": "Running", "nodeName": "node-a", "conditions": [a_condition("Ready"), a_condition("Other")]}
        instance = an_instance(name, status=status, finalizers=["other", FINALIZER])
        key = Key("default", name)
        self.store(INSTANCES, instance | {"metadata": instance["metadata"] | metadata}, key)
        return key

    def store(self, resource: Any, obj: Object, key: Key) -> None:
        self.api.put(resource, obj)
        kept = self.cache.instances if resource is INSTANCES else self.cache.hypervisors
        kept.put(self.api.find(resource, key))

    def ready(self, key: Key = WEB) -> tuple[str, str, str]:
        """Phase, reason and message."""
        status = self.api.find(INSTANCES, key)["status"]
        condition = next(each for each in status["conditions"] if each["type"] == "Ready")
        return status["phase"], condition["reason"], condition["message"]

    def _renewed(self, name: str, token: str) -> None:
        spec = {"holderIdentity": "x", "leaseDurationSeconds": 40, "acquireTime": "long ago", "renewTime": token}
        self.liveness.on_change(Change(Key("hn", name), None, {"metadata": {"name": name}, "spec": spec}))


DELETING = {"deletionTimestamp": "2026-11-21T00:00:00Z"}


@virtual_time
async def test_an_agent_that_is_heard_of_is_not_lost() -> None:
    world = World()
    world.bound()
    await world.works(100)
    assert world.api.requests == []


@virtual_time
async def test_instances_of_a_silent_agent_are_unknown_within_a_minute_and_stay_where_they_are() -> None:
    world = World()
    world.bound()
    await world.live(50)
    world.beats = False
    await world.works(50)  # the last beat is 9 s ago
    assert world.ready() == (
        "Unknown",
        NODE_LOST,
        "node node-a has not been heard of since 2026-11-21T00:00:05Z: the guest may well run on, so nothing is "
        "started elsewhere; bring the node back, or, when it is off for sure, taint it "
        "node.kubernetes.io/out-of-service or delete the Node",
    )
    status = world.api.find(INSTANCES, WEB)["status"]
    assert status["nodeName"] == "node-a"
    assert [each["type"] for each in status["conditions"]] == ["Ready", "Other"]
    writes = world.api.requests.count("patch")
    await world.works(30)
    assert world.api.requests.count("patch") == writes, "it is told once"


@virtual_time
async def test_the_hypervisor_of_a_silent_agent_is_not_ready_any_more() -> None:
    world = World()
    await world.live(50)
    world.beats = False
    await world.works(50)
    conditions = world.api.find(HYPERVISORS, NODE)["status"]["conditions"]
    assert [(each["status"], each["reason"]) for each in conditions] == [("Unknown", AGENT_LOST)]
    assert "2026-11-21T00:00:05Z" in conditions[0]["message"]
    assert world.api.requests == ["get", "patch"]


@virtual_time
async def test_what_an_agent_says_that_is_back_is_left_alone() -> None:
    world = World()
    world.bound()
    await world.live(50)
    world.beats = False
    await world.works(50)
    world.beats = True
    await world.live(11)
    running = world.api.find(INSTANCES, WEB)
    running["status"] |= {"phase": "Running", "conditions": [a_condition("Ready")]}
    world.store(INSTANCES, running, WEB)
    before = list(world.api.requests)
    await world.works(20)
    assert world.api.requests == before
    assert world.ready()[0] == "Running"


@virtual_time
async def test_an_agent_that_writes_all_but_its_lease_is_not_contradicted_for_ever() -> None:
    world = World()
    world.bound()
    await world.live(50)
    world.beats = False
    await world.works(50)
    running = world.api.find(INSTANCES, WEB)
    running["status"] |= {"phase": "Running", "conditions": [a_condition("Ready")]}
    world.store(INSTANCES, running, WEB)
    world.store(HYPERVISORS, a_hypervisor(status=a_hypervisor_status()), NODE)
    before = list(world.api.requests)
    await world.works(50)
    assert world.api.requests == before
    world.beats = True
    await world.live(20)
    world.beats = False
    await world.works(50)
    assert world.ready()[0] == "Unknown", "it is silent for another time"


@virtual_time
async def test_while_nobody_can_be_heard_nobody_is_lost_and_then_each_gets_its_time() -> None:
    world = World()
    world.bound()
    await world.live(50)
    world.hears = False
    await world.works(600)
    assert not world.liveness.is_lost("node-a")
    world.hears, world.beats = True, False
    await world.works(AGENT_SECONDS - 2)
    assert world.api.requests == []
    await world.works(5)
    assert world.ready()[0] == "Unknown"


@virtual_time
async def test_who_begins_to_listen_takes_nobody_for_lost_before_a_whole_lease_is_over() -> None:
    world = World()
    world.bound()
    world.beats = False
    await world.works(AGENT_SECONDS - 1)
    assert world.api.requests == []
    await world.works(5)
    assert world.ready()[:2] == ("Unknown", NODE_LOST), "of whom there is no Lease at all"
    assert "not been heard of: " in world.ready()[2]


@virtual_time
async def test_a_host_that_registers_is_not_lost_before_its_first_lease_is_overdue() -> None:
    world = World()
    await world.works(100)
    new = Key("", "node-b")
    world.store(HYPERVISORS, a_hypervisor("node-b", status=a_hypervisor_status()), new)
    await world.works(AGENT_SECONDS - 1)
    assert world.api.requests == []
    await world.works(5)
    assert world.api.find(HYPERVISORS, new)["status"]["conditions"][0]["reason"] == AGENT_LOST


@virtual_time
async def test_a_lease_that_is_deleted_is_silence_not_death() -> None:
    world = World()
    await world.live(100)
    world.liveness.on_change(Change(Key("hn", f"{LEASE_PREFIX}node-a"), {}, None))
    world.beats = False
    await world.live(AGENT_SECONDS - 2)
    assert not world.liveness.is_lost("node-a")
    await world.live(3)
    assert world.liveness.is_lost("node-a")


@virtual_time
async def test_one_that_is_being_deleted_stays_until_its_node_is_fenced_and_it_is_said_first() -> None:
    world = World()
    world.bound(**DELETING)
    await world.live(50)
    world.beats = False
    await world.works(60)
    phase, reason, message = world.ready()
    assert (phase, reason) == ("Deleting", NODE_LOST)
    assert "it goes when the node is back and has cleaned up" in message
    assert world.api.find(INSTANCES, WEB)["metadata"]["finalizers"] == ["other", FINALIZER]

    sees(world.cache, a_node(taints=[OFF]))
    await world.works(5)
    assert "is fenced: nothing of it runs there any more" in world.ready()[2]
    assert world.api.find(INSTANCES, WEB)["metadata"]["finalizers"] == ["other"]


@virtual_time
async def test_a_node_that_is_no_more_is_fenced() -> None:
    world = World()
    world.bound(**DELETING)
    world.bound("stays")
    await world.live(50)
    world.beats = False
    sees_gone(world.cache, a_node())
    await world.works(60)
    assert world.api.find(INSTANCES, WEB)["metadata"]["finalizers"] == ["other"]
    stays = Key("default", "stays")
    assert "the guest is off" in world.ready(stays)[2]
    assert world.api.find(INSTANCES, stays)["metadata"]["finalizers"] == ["other", FINALIZER]


@virtual_time
async def test_a_fence_alone_ends_nothing_while_its_agent_is_heard_of() -> None:
    world = World()
    world.bound(**DELETING)
    sees(world.cache, a_node(taints=[OFF]))
    await world.works(100)
    assert world.api.requests == []


@virtual_time
async def test_a_rack_that_fails_is_told_at_a_bounded_rate_and_in_time() -> None:
    world = World()
    for number in range(1000):
        world.bound(f"web-{number}")
    await world.live(50)
    world.beats = False
    running = asyncio.create_task(world.lost.run())
    written = []
    for _ in range(51):
        await world.live(1)
        written.append(world.api.requests.count("patch"))
    running.cancel()
    assert written[-1] == 1001
    most = max(after - before for before, after in pairwise(written))
    assert most <= WORKERS / PAUSE_SECONDS + 3


@virtual_time
async def test_a_standby_writes_nothing() -> None:
    world = World()
    world.leads = False
    world.bound()
    await world.live(50)
    world.beats = False
    await world.works(60)
    assert world.api.requests == []


def test_silence_of_the_watch_is_noticed_well_before_an_agent_counts_as_lost() -> None:
    assert DEAF_SECONDS < AGENT_SECONDS / 2
