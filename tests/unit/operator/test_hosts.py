"""How hosts are joined of Nodes, Hypervisors, aggregates and heartbeats."""

from __future__ import annotations

import pytest

from hypernova_api.overcommit import Ratios
from hypernova_operator.cache import Cache, records
from hypernova_operator.cache.aggregates import NO_LIMITS, Limits, Together, together
from hypernova_operator.cache.hosts import join
from hypernova_operator.scheduler import NOTHING, Host, Resources
from support.builders import a_host_aggregate, a_hypervisor, a_hypervisor_status, a_node, stored
from support.caches import a_cache, a_host_of, sees, sees_gone
from support.scheduling import a_host

GI = 2**30


def hypervisor(**parts: object) -> records.Hypervisor:
    return records.hypervisor(stored(a_hypervisor(**{"status": a_hypervisor_status()} | parts)))


NODE = records.node(stored(a_node()))
BARE_NODE = records.node(stored(a_node(hypervisor=False)))
TOTAL = Resources(32, 16 * GI, 100 * GI)
ALONE = Together()

JOINS = {
    "a labelled node whose agent is alive and ready": (
        (NODE, hypervisor(), True),
        (True, "", False, "", TOTAL),
    ),
    "an agent that fell silent": ((NODE, hypervisor(), False), (True, "no heartbeat", False, "", TOTAL)),
    "an agent that is not ready": (
        (NODE, hypervisor(status=a_hypervisor_status(ready=False)), True),
        (True, "not ready, PoolInactive", False, "", TOTAL),
    ),
    "an agent that has not reported": (
        (NODE, hypervisor(status={}), True),
        (True, "has not reported yet", False, "", NOTHING),
    ),
    "an agent that has never found libvirt": (
        (NODE, hypervisor(status={"conditions": a_hypervisor_status(ready=False)["conditions"]}), True),
        (True, "not ready, PoolInactive", False, "", NOTHING),
    ),
    "a labelled node that never had an agent": ((NODE, None, False), (True, "never registered", False, "", NOTHING)),
    "a node that lost its label": ((BARE_NODE, hypervisor(), True), (False, "", False, "", TOTAL)),
    "a node that is gone": ((None, hypervisor(), False), (False, "no heartbeat", False, "", TOTAL)),
    "what the administrator says": (
        (NODE, hypervisor(maintenance=True, disabled={"reason": "fan"}), True),
        (True, "", True, "fan", TOTAL),
    ),
}


@pytest.mark.parametrize(("parts", "expected"), list(JOINS.values()), ids=list(JOINS))
def test_a_host_is_joined_of(
    parts: tuple[records.Node | None, records.Hypervisor | None, bool], expected: tuple[object, ...]
) -> None:
    host = join("node-a", *parts, ALONE)
    assert host is not None
    assert (host.labelled, host.trouble, host.maintenance, host.disabled, host.total) == expected


def test_a_node_that_is_none_of_ours_is_no_host() -> None:
    assert join("node-a", BARE_NODE, None, False, ALONE) is None


def test_a_host_gives_out_its_allocatable_times_the_ratios_that_hold_for_it() -> None:
    def total(*aggregates: object, **spec: object) -> Resources:
        host = a_cache(*aggregates, *a_host_of(**spec)).hosts["node-a"]
        return host.total

    def an_aggregate(name: str, **overcommit: float) -> object:
        return a_host_aggregate(name, overcommit=overcommit)

    assert total() == Resources(32, 16 * GI, 100 * GI)
    assert total(overcommit={"cpu": 1.5, "memory": 2, "disk": 1}) == Resources(12, 32 * GI, 100 * GI)
    several = an_aggregate("a", cpu=8, disk=2), an_aggregate("b", cpu=2)
    assert total(*several) == Resources(16, 16 * GI, 200 * GI)
    assert total(*several, overcommit={"cpu": 1}) == Resources(8, 16 * GI, 200 * GI)
    odd = a_hypervisor_status(vcpus=3, memory="16Gi", disk="100Gi")
    assert total(status=odd, overcommit={"cpu": 1.5}).vcpus == 4, "never more than there is"


def an_aggregate(name: str, **parts: object) -> records.HostAggregate:
    return records.host_aggregate(stored(a_host_aggregate(name, **parts)))


def test_of_what_several_aggregates_say_the_smallest_holds() -> None:
    said = together(
        [
            an_aggregate(
                "b", maxInstancesPerHost=5, weightMultipliers={"freeDisk": 2, "builds": -3}, overcommit={"cpu": 2}
            ),
            an_aggregate("a", maxInstancesPerHost=9, weightMultipliers={"freeDisk": 1}, availabilityZone="az1"),
        ],
        Limits(3, 4),
    )
    assert [each.name for each in said.aggregates] == ["a", "b"]
    assert said.zones == ("az1",)
    assert said.limits == Limits(5, 4), "the setting holds where no aggregate says anything"
    assert said.multipliers == {"freeDisk": 1, "builds": -3}
    assert said.ratios == Ratios(2, 1, 1)


def test_the_cpu_model_that_guests_see_is_what_the_aggregates_say_if_they_agree() -> None:
    def model(*names: str) -> str:
        aggregates = [an_aggregate(str(n), cpuModel=name) for n, name in enumerate(names)]
        said = together([*aggregates, an_aggregate("silent")], NO_LIMITS)
        return a_host(cpu_models=said.cpu_models).cpu_model

    assert model() == ""
    assert model("EPYC", "EPYC") == "EPYC"
    assert model("EPYC", "EPYC-Milan") == ""


def test_two_zones_are_both_shown_and_two_aggregates_of_one_are_not() -> None:
    def zones(*names: str) -> tuple[str, ...]:
        return together([an_aggregate(str(n), availabilityZone=name) for n, name in enumerate(names)], NO_LIMITS).zones

    assert zones("az2", "az1") == ("az1", "az2")
    assert zones("az1", "az1") == ("az1",)


def names(cache: Cache, host: str = "node-a") -> list[str]:
    return [aggregate.name for aggregate in cache.hosts[host].aggregates]


RACK_1 = {"matchLabels": {"rack": "1"}}


def test_a_host_is_in_the_aggregates_that_name_or_select_it() -> None:
    cache = a_cache(
        a_host_aggregate("by-label", nodeSelector=RACK_1),
        a_host_aggregate("by-name", nodes=["node-a", "node-z"]),
        a_host_aggregate("all", nodeSelector={}),
        a_host_aggregate("none", nodes=["node-z"]),
        *a_host_of(labels={"rack": "1"}),
    )
    assert names(cache) == ["all", "by-label", "by-name"]


def test_a_host_comes_and_goes_with_its_labels_and_with_what_aggregates_say() -> None:
    cache = a_cache(a_host_aggregate("rack", nodeSelector=RACK_1), *a_host_of())
    assert names(cache) == []
    sees(cache, a_node(labels={"rack": "1"}))
    assert names(cache) == ["rack"]
    sees(cache, a_host_aggregate("rack", nodeSelector={"matchLabels": {"rack": "2"}}))
    assert names(cache) == []
    sees(cache, a_host_aggregate("rack", nodes=["node-a"], availabilityZone="az1"))
    assert (names(cache), cache.hosts["node-a"].zone) == (["rack"], "az1")
    sees(cache, a_host_aggregate("rack", nodes=["node-a"], availabilityZone="az2"))
    assert cache.hosts["node-a"].zone == "az2"
    sees_gone(cache, a_host_aggregate("rack"))
    assert (names(cache), cache.hosts["node-a"].zone) == ([], "")


def test_a_host_that_comes_after_its_aggregate_and_a_node_that_comes_again_are_in_it() -> None:
    cache = a_cache(a_host_aggregate("rack", nodeSelector=RACK_1))
    sees(cache, *a_host_of(labels={"rack": "1"}))
    assert names(cache) == ["rack"]
    sees_gone(cache, a_node())
    assert names(cache) == [], "a Node that is gone has no labels"
    sees(cache, a_node(labels={"rack": "1"}))
    assert names(cache) == ["rack"]


def test_only_the_hosts_that_a_change_is_about_are_told() -> None:
    cache = a_cache(
        a_host_aggregate("one", nodes=["node-a"]),
        a_host_aggregate("other", nodes=["node-b"]),
        *a_host_of("node-a"),
        *a_host_of("node-b"),
        *a_host_of("node-c"),
    )
    told: list[str] = []
    cache.hosts.subscribe(lambda name, old, new: told.append(name))
    sees(cache, a_host_aggregate("one", nodes=["node-a"], availabilityZone="az1"))
    assert told == ["node-a"]
    sees(cache, a_host_aggregate("one", nodes=["node-c"], availabilityZone="az1"))
    assert sorted(told[1:]) == ["node-a", "node-c"]


def test_hosts_of_the_same_aggregates_share_what_is_said_of_them() -> None:
    cache = a_cache(a_host_aggregate("all", nodeSelector={}), *a_host_of("node-a"), *a_host_of("node-b"))
    assert cache.hosts["node-a"].aggregates is cache.hosts["node-b"].aggregates


def test_hosts_tell_each_difference_once() -> None:
    cache, news = Cache(), []
    cache.hosts.subscribe(lambda name, old, new: news.append((name, _trouble(old), _trouble(new))))
    cache.nodes.put(stored(a_node()))
    cache.hypervisors.put(stored(a_hypervisor(status=a_hypervisor_status())))
    cache.hosts.set_alive("node-a", True)
    cache.hosts.set_alive("node-a", True)
    cache.nodes.put(stored(a_node(), resourceVersion="2"))
    cache.hypervisors.remove(stored(a_hypervisor(), resourceVersion="3"))
    cache.nodes.remove(stored(a_node(), resourceVersion="4"))
    assert news == [
        ("node-a", None, "never registered"),
        ("node-a", "never registered", "no heartbeat"),
        ("node-a", "no heartbeat", ""),
        ("node-a", "", "never registered"),
        ("node-a", "never registered", None),
    ]


def _trouble(host: Host | None) -> str | None:
    return host and host.trouble
