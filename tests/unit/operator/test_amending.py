"""Bound Instances that ask for more, on an API server that loses answers and conflicts: claimed once, written once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

import pytest

from hypernova_api import conditions
from hypernova_api.conditions import Condition
from hypernova_api.meta import FINALIZER
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Key, Object
from hypernova_operator.addresses import Addresses
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Amount
from hypernova_operator.controllers.amending import RETELL_SECONDS, Amender
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.writes import INSTANCES, InstanceWrites
from hypernova_operator.metrics import Metrics
from support.builders import (
    a_condition,
    a_flavor,
    a_hypervisor,
    a_hypervisor_status,
    a_namespace,
    a_node,
    a_quota,
    an_image,
    an_instance,
)
from support.caches import sees
from support.fake_api import FakeApi, Trouble
from support.virtual_time import now, virtual_time

WEB = Key("default", "web-1")
GI = 2**30
FLAVORS = {
    "small": a_flavor("small", vcpus=1, memory="1Gi", rootDisk="10Gi"),
    "large": a_flavor("large", vcpus=3, memory="4Gi", rootDisk="10Gi"),
    "huge": a_flavor("huge", vcpus=6, memory="8Gi", rootDisk="10Gi"),
    "wide": a_flavor("wide", vcpus=5, memory="1Gi", rootDisk="10Gi"),
    "deep": a_flavor("deep", vcpus=1, memory="1Gi", rootDisk="20Gi"),
    "flat": a_flavor("flat", vcpus=1, memory="1Gi", rootDisk="5Gi"),
    "images": a_flavor("images", vcpus=1, memory="1Gi", rootDisk="0"),
}


class Events:
    """Instead of an EventRecorder."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        self.warnings.append((reason, message))


class World:
    """The operator's half that is about bound Instances, and the node of one. News reaches the cache only by `see`."""

    def __init__(self, trouble: Callable[[str], Trouble | None] = lambda verb: None, vcpus: int = 8) -> None:
        self.api = FakeApi()
        self.leads = True
        self.events = Events()
        self._trouble = trouble
        self._vcpus = vcpus
        self.lead()

    def lead(self) -> None:
        """Another operator leads: it knows what is stored."""
        self.cache = Cache()
        self.ledger = Ledger(self.cache, lambda: None)
        client: Any = self.api.client(self._trouble)
        events: Any = self.events
        self.amender = Amender(
            client,
            self.cache,
            self.ledger,
            InstanceWrites(client, self.cache, lambda: self.leads),
            events,
            Metrics(),
            clock=now,
            wall_clock=lambda: datetime(2026, 11, 21, tzinfo=UTC),
            rng=random.Random(0),
        )
        exact = {"cpu": 1, "memory": 1, "disk": 1}
        status = a_hypervisor_status(vcpus=self._vcpus, memory="16Gi")
        sees(self.cache, a_namespace(), a_node(), a_hypervisor(status=status, overcommit=exact), *FLAVORS.values())
        sees(self.cache, an_image())
        for resource, key in list(self.api.stored):
            if resource == INSTANCES.plural:
                self.see(key)

    def bound(self, name: str = "web-1", flavor: str = "small", **parts: Any) -> Key:
        """An Instance that is bound and runs."""
        key = Key("default", name)
        number = len(self.api.stored) + 2
        has = FLAVORS[flavor]["spec"]
        status = {
            "phase": "Running",
            "nodeName": "node-a",
            "flavor": {"name": flavor, **has},
            "image": {
                "name": "debian-12",
                "namespace": "default",
                "sha256": "ab",
                "format": "qcow2",
                "url": "http://i/i",
            },
            "addresses": [{"network": "default", "ip": f"10.60.0.{number}", "mac": f"52:54:00:00:00:{number:02x}"}],
            "conditions": [a_condition("Ready")],
        }
        instance = an_instance(name, **{"finalizers": [FINALIZER], "flavor": flavor, "status": status} | parts)
        self.api.put(INSTANCES, instance)
        self.see(key)
        return key

    def edit(self, key: Key = WEB, **spec: Any) -> None:
        """What a user does."""
        obj = self.stored(key)
        metadata = obj["metadata"] | {"generation": obj["metadata"]["generation"] + 1}
        self.api.put(INSTANCES, obj | {"metadata": metadata, "spec": obj["spec"] | spec})
        self.see(key)

    def write(self, key: Key = WEB, **status: Any) -> None:
        """What its node's agent does; None takes a field away."""
        obj = self.stored(key)
        after = {name: value for name, value in (obj["status"] | status).items() if value is not None}
        self.api.put(INSTANCES, obj | {"status": after})

    def finish(self, key: Key = WEB) -> None:
        """The guest has what was granted."""
        resize = self.status(key)["resize"]
        self.write(key, flavor=resize["flavor"], allocation=resize.get("allocation"), resize=None)
        self.see(key)

    def see(self, key: Key = WEB) -> None:
        """The watch catches up with one object."""
        self.cache.instances.put(self.stored(key))

    def gone(self, key: Key) -> None:
        """The Instance is no more."""
        self.cache.instances.remove(self.api.stored.pop((INSTANCES.plural, key)))

    def stored(self, key: Key = WEB) -> Object:
        return self.api.find(INSTANCES, key)

    def status(self, key: Key = WEB) -> Object:
        status: Object = self.stored(key)["status"]
        return status

    def resized(self, key: Key = WEB) -> tuple[str, str] | None:
        """Reason and message of the condition."""
        said = conditions.find(map(Condition.model_validate, self.status(key)["conditions"]), "Resized")
        return (said.reason, said.message) if said is not None else None

    def pending(self, key: Key = WEB) -> str | None:
        resize = self.status(key).get("resize")
        return resize["flavor"]["name"] if resize else None

    @property
    def writes(self) -> int:
        return self.api.requests.count("patch")

    def claimed(self) -> tuple[int, int]:
        """vCPUs and memory in Gi on the host."""
        resources = self.ledger.table.claimed("node-a")
        return resources.vcpus, resources.memory // GI

    def used(self, quota: Object) -> Amount:
        record = self.cache.quotas.store.get(Key("default", quota["metadata"]["name"]))
        assert record is not None
        return self.ledger.quotas.used(record).total


def once(trouble: Trouble, verb: str = "patch") -> Callable[[str], Trouble | None]:
    left = [trouble]
    return lambda asked: left.pop() if asked == verb and left else None


@virtual_time
async def test_an_instance_that_asks_for_nothing_is_left_alone() -> None:
    world = World()
    assert await world.amender.reconcile(world.bound()) is None
    assert world.api.requests == []


@virtual_time
async def test_another_flavor_is_granted_in_one_write_and_both_count_until_the_guest_has_it() -> None:
    world = World()
    quota = a_quota()
    sees(world.cache, quota)
    world.edit(world.bound(), flavor="large")
    assert await world.amender.reconcile(WEB) is None
    assert world.writes == 1
    assert world.status()["flavor"]["name"] == "small"
    assert world.status()["resize"] == {"flavor": {"name": "large", "vcpus": 3, "memory": "4Gi", "rootDisk": "10Gi"}}
    assert world.resized() == ("Granted", "flavor large is granted; node node-a is giving it to the guest")
    assert world.claimed() == (3, 4)
    assert world.used(quota) == Amount(1, 3, 4 * GI, 10 * GI)

    world.finish()
    assert world.claimed() == (3, 4)
    assert await world.amender.reconcile(WEB) is None
    assert world.resized() is None
    assert world.writes == 2
    assert await world.amender.reconcile(WEB) is None
    assert world.writes == 2


@virtual_time
async def test_a_smaller_flavor_holds_what_it_had_until_the_guest_has_it() -> None:
    world = World()
    world.edit(world.bound(flavor="large"), flavor="small")
    await world.amender.reconcile(WEB)
    assert (world.pending(), world.claimed()) == ("small", (3, 4))
    world.finish()
    assert world.claimed() == (1, 1)


@virtual_time
async def test_a_condition_that_its_node_has_dropped_is_not_looked_for() -> None:
    world = World()
    world.edit(world.bound(), flavor="large")
    await world.amender.reconcile(WEB)
    world.write(conditions=[a_condition("Ready")])
    world.finish()
    await world.amender.reconcile(WEB)
    assert world.writes == 1


@virtual_time
async def test_where_there_is_no_room_it_is_told_why_and_keeps_what_it_has() -> None:
    world = World(vcpus=4)
    world.bound("neighbour", "small")
    world.edit(world.bound(), flavor="huge")
    again = await world.amender.reconcile(WEB)
    assert again is not None
    assert world.resized() == (
        "NoRoomOnHost",
        "node node-a has no room for flavor huge: it lacks vCPUs (need 6, most free 3)",
    )
    assert (world.pending(), world.claimed()) == (None, (2, 2))
    assert [reason for reason, _ in world.events.warnings] == ["NoRoomOnHost"]
    await world.amender.reconcile(WEB)
    assert (world.writes, len(world.events.warnings)) == (1, 1)


@virtual_time
async def test_it_is_granted_once_there_is_room() -> None:
    world = World(vcpus=4)
    neighbour = world.bound("neighbour", "large")
    world.edit(world.bound(), flavor="large")
    await world.amender.reconcile(WEB)
    assert world.resized() is not None
    world.gone(neighbour)
    await world.amender.reconcile(WEB)
    assert (world.pending(), world.claimed()) == ("large", (3, 4))


@virtual_time
async def test_other_numbers_of_the_same_refusal_are_not_told_at_once() -> None:
    world = World(vcpus=4)
    neighbour = world.bound("neighbour", "small")
    world.edit(world.bound(), flavor="huge")
    await world.amender.reconcile(WEB)
    world.gone(neighbour)
    again = await world.amender.reconcile(WEB)
    assert again is not None
    assert 0 < again <= RETELL_SECONDS
    assert world.writes == 1


@pytest.mark.parametrize(
    ("flavor", "reason", "words"),
    [
        ("flat", "DiskCannotShrink", "the root disk has 10Gi, and flavor flat only 5Gi"),
        ("images", "DiskCannotShrink", "the root disk has 10Gi, and flavor images the size of the image"),
        ("none", "FlavorNotFound", 'there is no Flavor "none"'),
    ],
)
def test_what_cannot_be_is_told(flavor: str, reason: str, words: str) -> None:
    @virtual_time
    async def test() -> None:
        world = World()
        world.edit(world.bound(), flavor=flavor)
        assert await world.amender.reconcile(WEB) is not None
        said = world.resized()
        assert said is not None
        assert said[0] == reason
        assert words in said[1]
        world.edit(flavor="small")
        assert await world.amender.reconcile(WEB) is None
        assert world.resized() is None

    test()


@virtual_time
async def test_quotas_are_asked_for_the_growth_alone() -> None:
    world = World()
    quota = a_quota(hard={"instances": 1, "vcpus": 3})
    sees(world.cache, quota)
    world.edit(world.bound(), flavor="large")
    await world.amender.reconcile(WEB)
    assert world.pending() == "large"
    world.finish()
    world.edit(flavor="huge")
    await world.amender.reconcile(WEB)
    said = world.resized()
    assert said is not None
    assert said[0] == "QuotaExceeded"
    assert world.used(quota) == Amount(1, 3, 4 * GI, 10 * GI)


@virtual_time
async def test_a_resize_that_is_called_off_is_gone_back_the_way_it_came_and_counted_until_then() -> None:
    world = World()
    world.edit(world.bound(), flavor="large")
    await world.amender.reconcile(WEB)
    world.edit(flavor="small")
    assert await world.amender.reconcile(WEB) is None
    assert (world.status()["flavor"]["name"], world.pending()) == ("large", "small")
    assert world.resized() == ("Withdrawn", "flavor large is not asked for any more; node node-a takes it back")
    assert world.claimed() == (3, 4)
    world.lead()
    assert world.claimed() == (3, 4)
    world.finish()
    assert world.claimed() == (1, 1)
    await world.amender.reconcile(WEB)
    assert (world.status()["flavor"]["name"], world.pending(), world.resized()) == ("small", None, None)


@virtual_time
async def test_asked_for_again_it_turns_round_once_more() -> None:
    world = World()
    world.edit(world.bound(), flavor="large")
    for flavor in ("large", "small", "large", "small", "large"):
        world.edit(flavor=flavor)
        await world.amender.reconcile(WEB)
        assert (world.pending(), world.claimed()) == (flavor, (3, 4))
    world.finish()
    assert world.status()["flavor"]["name"] == "large"


@virtual_time
async def test_of_a_disk_that_may_have_grown_already_nothing_is_taken_back() -> None:
    world = World()
    world.edit(world.bound(), flavor="deep")
    await world.amender.reconcile(WEB)
    world.edit(flavor="small")
    await world.amender.reconcile(WEB)
    said = world.resized()
    assert said is not None
    assert said[0] == "DiskCannotShrink"
    assert world.pending() == "deep"
    world.edit(flavor="deep")
    await world.amender.reconcile(WEB)
    assert world.resized() == ("Granted", "flavor deep is granted; node node-a is giving it to the guest")
    assert world.pending() == "deep"


@virtual_time
async def test_a_third_flavor_takes_the_place_of_one_that_is_under_way_and_all_count() -> None:
    world = World()
    world.edit(world.bound(), flavor="large")
    await world.amender.reconcile(WEB)
    world.edit(flavor="wide")
    await world.amender.reconcile(WEB)
    # The guest may have all of large already, which is more than small in everything.
    assert (world.status()["flavor"]["name"], world.pending(), world.claimed()) == ("large", "wide", (5, 4))
    assert world.status()["resize"] == {"flavor": {"name": "wide", **FLAVORS["wide"]["spec"]}}


@virtual_time
async def test_a_third_flavor_waits_where_neither_of_two_says_what_the_guest_may_have() -> None:
    world = World()
    world.edit(world.bound(flavor="large"), flavor="wide")
    await world.amender.reconcile(WEB)
    assert (world.pending(), world.claimed()) == ("wide", (5, 4))
    world.edit(flavor="huge")
    await world.amender.reconcile(WEB)
    said = world.resized()
    assert said is not None
    assert said[0] == "ResizeUnderWay"
    assert (world.pending(), world.claimed()) == ("wide", (5, 4))
    world.finish()
    await world.amender.reconcile(WEB)
    assert (world.pending(), world.claimed()) == ("huge", (6, 8))


@pytest.mark.parametrize(
    "trouble",
    [Trouble(lost=Unreachable("cut")), Trouble(after=60.0)],
    ids=["the answer is lost", "the answer takes for ever"],
)
def test_a_grant_that_was_written_unheard_holds_its_claim_and_is_not_repeated(trouble: Trouble) -> None:
    @virtual_time
    async def test() -> None:
        world = World(once(trouble))
        world.edit(world.bound(), flavor="large")
        with pytest.raises((Unreachable, TimeoutError)):
            await world.amender.reconcile(WEB)
        assert world.claimed() == (3, 4)
        assert await world.amender.reconcile(WEB) is None
        assert (world.writes, world.pending(), world.claimed()) == (1, "large", (3, 4))

    test()


@virtual_time
async def test_a_grant_that_was_refused_claims_nothing_until_it_is_tried_again() -> None:
    world = World(once(Trouble(refused=Unreachable("down"))))
    world.edit(world.bound(), flavor="large")
    with pytest.raises(Unreachable):
        await world.amender.reconcile(WEB)
    assert world.claimed() == (3, 4), "it may have been written"
    world.edit(flavor="small")
    await world.amender.reconcile(WEB)
    assert (world.pending(), world.claimed()) == (None, (1, 1))


@virtual_time
async def test_what_its_node_writes_at_the_same_time_is_kept() -> None:
    world = World(once(Trouble(before=1.0)))
    world.edit(world.bound(), flavor="large")

    reconciling = asyncio.create_task(world.amender.reconcile(WEB))
    await asyncio.sleep(0.5)
    world.write(restartCount=7)
    await reconciling
    assert world.status()["restartCount"] == 7
    assert (world.pending(), world.claimed()) == ("large", (3, 4))


@virtual_time
async def test_another_leader_counts_what_is_under_way() -> None:
    world = World()
    world.edit(world.bound(flavor="wide"), flavor="large")
    await world.amender.reconcile(WEB)
    world.lead()
    assert world.claimed() == (5, 4)


@virtual_time
async def test_an_instance_that_is_being_deleted_gets_nothing() -> None:
    world = World()
    world.edit(world.bound(), flavor="large")
    obj = world.stored()
    world.api.put(INSTANCES, obj | {"metadata": obj["metadata"] | {"deletionTimestamp": "2026-11-21T00:00:00Z"}})
    world.see()
    assert await world.amender.reconcile(WEB) is None
    assert world.writes == 0


@virtual_time
async def test_a_finalizer_that_an_update_has_left_out_is_put_back_before_anything_is_granted() -> None:
    world = World()
    world.edit(world.bound(finalizers=["other"]), flavor="large")
    before = len(world.api.history)
    await world.amender.reconcile(WEB)
    written = [event.object for _, event in world.api.history[before:]]
    assert [each["metadata"]["finalizers"] for each in written] == [["other", FINALIZER]] * 2
    assert ["resize" in each["status"] for each in written] == [False, True]
    assert world.claimed() == (3, 4)


@virtual_time
async def test_a_finalizer_is_put_back_onto_the_instance_as_it_is_stored() -> None:
    world = World()
    world.bound(finalizers=[])
    obj = world.stored()
    world.api.put(INSTANCES, obj | {"metadata": obj["metadata"] | {"finalizers": ["new"]}})  # not seen yet
    assert await world.amender.reconcile(WEB) is None
    assert world.stored()["metadata"]["finalizers"] == ["new", FINALIZER]


@virtual_time
async def test_once_deletion_has_begun_no_finalizer_is_put_back() -> None:
    world = World()
    world.bound(finalizers=["other"])
    obj = world.stored()
    world.api.put(INSTANCES, obj | {"metadata": obj["metadata"] | {"deletionTimestamp": "2026-11-21T00:00:00Z"}})
    world.see()
    assert await world.amender.reconcile(WEB) is None
    assert world.writes == 0


@virtual_time
async def test_a_standby_writes_nothing() -> None:
    world = World()
    world.leads = False
    world.edit(world.bound(finalizers=[]), flavor="large")
    assert await world.amender.reconcile(WEB) is None
    assert (world.writes, world.claimed()) == (0, (1, 1))


# Network cards

TWO = [{"name": "default"}, {"name": "default"}]


@virtual_time
async def test_a_further_card_gets_an_address_and_the_first_keeps_its_own() -> None:
    world = World()
    before = world.stored(world.bound())["status"]["addresses"]
    world.edit(networks=TWO)
    assert await world.amender.reconcile(WEB) is None
    after = world.status()["addresses"]
    assert after[:1] == before
    assert len({each["ip"] for each in after}) == len({each["mac"] for each in after}) == 2
    assert world.writes == 1


@virtual_time
async def test_of_fewer_cards_its_node_lets_go_and_the_address_is_free_then() -> None:
    world = World()
    world.edit(world.bound(), networks=TWO)
    await world.amender.reconcile(WEB)
    two = world.status()["addresses"]
    world.edit(networks=None)
    await world.amender.reconcile(WEB)
    assert world.status()["addresses"] == two
    world.write(addresses=two[:1])
    world.see()
    assert str(world.ledger.addresses.assign("somebody")[0].ip) == two[1]["ip"]


@virtual_time
async def test_where_no_address_is_free_the_rest_goes_on() -> None:
    world = World()
    world.ledger.addresses = pool = Addresses(IPv4Network("10.60.0.0/29"))
    pool.assign("everybody", 5)
    world.edit(world.bound(), networks=TWO, flavor="large")
    assert await world.amender.reconcile(WEB) is not None
    assert [reason for reason, _ in world.events.warnings] == ["NoAddressFree"]
    assert (world.pending(), len(world.status()["addresses"])) == ("large", 1)
    await world.amender.reconcile(WEB)
    assert len(world.events.warnings) == 1
    pool.release("everybody")
    assert await world.amender.reconcile(WEB) is None
    assert len(world.status()["addresses"]) == 2
