"""What aggregates, zones and groups do to Instances on a real API server, and what is told of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from hypernova_kube.resources import NODES, Object
from support.builders import a_cell, a_flavor, a_group, a_hypervisor_status, a_zone
from support.builders import a_host_aggregate as an_aggregate
from support.operators import RESOURCES, Cloud, FakeAgent
from support.waiting import eventually_async

pytestmark = pytest.mark.usefixtures("operator")


async def in_zone(cloud: Cloud, zone: str, *hosts: FakeAgent, **spec: Any) -> Object:
    """A zone with these hosts; returns the aggregate."""
    await cloud.create(a_zone(zone))
    return await cloud.create(
        an_aggregate(f"agg-{zone}", nodes=[host.name for host in hosts], availabilityZone=zone, **spec)
    )


def nodes_of(instances: list[Object]) -> list[str]:
    return [each["status"]["nodeName"] for each in instances if "nodeName" in each["status"]]


async def test_an_instance_goes_to_the_zone_it_asks_for_and_says_where_it_is(cloud: Cloud) -> None:
    hosts = [await cloud.host(), await cloud.host()]
    for zone, host in zip(("az1", "az2"), hosts, strict=True):
        await cloud.says(await in_zone(cloud, zone, host), "Ready", "True")
    await cloud.instance("web-1", availabilityZone="az2")
    status = (await cloud.bound("web-1"))["status"]
    assert (status["nodeName"], status["availabilityZone"]) == (hosts[1].name, "az2")
    placement = status["placement"]
    assert (placement["hostsConsidered"], placement["hostsPassed"]) == (2, 1)
    assert [each["nodeName"] for each in placement["candidates"]] == [hosts[1].name]
    await cloud.instance("web-2", availabilityZone="az3")
    assert "az3" in await cloud.refused("AvailabilityZoneNotFound", "web-2")
    aggregate = await in_zone(cloud, "az3", hosts[0])
    await cloud.edit(an_aggregate("agg-az1"), availabilityZone=None)
    await cloud.bound("web-2", to=hosts[0].name)
    assert aggregate["metadata"]["name"] == "agg-az3"


async def test_a_node_in_two_zones_takes_nothing_until_that_is_solved_and_both_aggregates_say_so(cloud: Cloud) -> None:
    host = await cloud.host()
    one = await in_zone(cloud, "az1", host)
    other = await in_zone(cloud, "az2", host)
    for aggregate, elsewhere in ((one, "agg-az2"), (other, "agg-az1")):
        words = await cloud.says(aggregate, "Conflict", "True", "HostInSeveralZones")
        assert host.name in words
        assert elsewhere in words
    await cloud.instance()
    await cloud.refused("NoHostFits", message="zones at once")
    await cloud.edit(other, nodes=["elsewhere"])
    assert (await cloud.bound())["status"]["availabilityZone"] == "az1"
    await cloud.says(one, "Conflict", "False")
    await cloud.says(other, "Conflict", "False")


async def test_an_aggregate_that_means_nothing_says_why(cloud: Cloud) -> None:
    host = await cloud.host()
    empty = await cloud.create(an_aggregate("empty", nodeSelector={"matchLabels": {"rack": "none"}}))
    assert "nodeSelector" in await cloud.says(empty, "Ready", "False", "NoHostSelected")
    await cloud.client.patch(NODES, host.name, {"metadata": {"labels": {"rack": "none"}}})
    await cloud.says(empty, "Ready", "True")
    unzoned = await cloud.create(an_aggregate("unzoned", nodes=[host.name], availabilityZone="az9"))
    assert "az9" in await cloud.says(unzoned, "Ready", "False", "AvailabilityZoneNotFound")
    await cloud.create(a_zone("az9"))
    await cloud.says(unzoned, "Ready", "True")


async def test_isolation_that_contradicts_itself_is_told_on_both(cloud: Cloud) -> None:
    host = await cloud.host()
    selectors = [{"matchLabels": {"kubernetes.io/metadata.name": name}} for name in (cloud.namespace, "default")]
    one, other = [
        await cloud.create(an_aggregate(f"kept-{n}", nodes=[host.name], projects={"namespaceSelector": selector}))
        for n, selector in enumerate(selectors)
    ]
    assert "kept-1" in await cloud.says(one, "Conflict", "True", "ContradictoryIsolation")
    assert "kept-0" in await cloud.says(other, "Conflict", "True", "ContradictoryIsolation")
    await cloud.instance()
    await cloud.refused("NoHostFits", message="kept for other namespaces")
    await cloud.remove(other)
    await cloud.bound()
    await cloud.says(one, "Conflict", "False")


async def test_an_aggregate_and_a_zone_tell_what_they_have_and_follow_it(cloud: Cloud) -> None:
    hosts = [await cloud.host(vcpus=4, memory="8Gi", disk="100Gi") for _ in range(2)]
    aggregate = await in_zone(cloud, "az1", *hosts, reserve={"hosts": 1})
    await cloud.says(a_zone("az1"), "Available", "True")
    await cloud.says(aggregate, "FailoverHeadroom", "True")
    await cloud.instance()
    await cloud.bound()
    status = await cloud.status(aggregate, "of one Instance", lambda status: status["instances"] == 1)
    assert status["nodes"] == sorted(host.name for host in hosts)
    assert status["hosts"] == {"total": 2, "usable": 2}
    assert status["capacity"] == {"vcpus": 8, "memory": "16Gi", "disk": "200Gi"}
    assert status["free"] == {"vcpus": 7, "memory": "15872Mi", "disk": "200Gi"}
    for host in hosts:
        await host.edit(maintenance=True)
    await cloud.says(a_zone("az1"), "Available", "False", "NoUsableHost")
    await cloud.says(aggregate, "FailoverHeadroom", "False")


async def test_what_is_written_to_a_cloud_at_rest_is_nothing(cloud: Cloud) -> None:
    host = await cloud.host()
    aggregate = await in_zone(cloud, "az1", host, reserve={"hosts": 1})
    await cloud.create(a_group("web", cloud.namespace))
    await cloud.instance(scheduling={"group": "web"}, availabilityZone="az1")
    await cloud.instance("refused", flavor="none")
    await cloud.refused("FlavorNotFound", "refused")
    await cloud.says(a_group("web", cloud.namespace), "Satisfied", "True")
    await cloud.status(aggregate, "of no Instance", lambda status: status["instances"] == 0)
    before = await cloud.writes()
    # Another aggregate is looked at in the same rounds: by the second of its writes, these have been, too.
    marker = await cloud.create(an_aggregate("marker", nodes=[host.name]))
    await cloud.says(marker, "Ready", "True")
    await cloud.edit(marker, nodes=["elsewhere"])
    await cloud.says(marker, "Ready", "False")
    after = await cloud.writes()
    written = {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}
    assert written == {"POST hostaggregates": 1, "PATCH hostaggregates": 1, "PATCH hostaggregates/status": 2}


async def test_a_hard_group_holds_when_twenty_come_at_once(cloud: Cloud) -> None:
    hosts = [await cloud.host(vcpus=20) for _ in range(5)]
    group = await cloud.create(a_group("web", cloud.namespace))
    await asyncio.gather(*(cloud.instance(f"web-{n}", scheduling={"group": "web"}) for n in range(20)))
    instances = await cloud.settled(Bound=5, NoHostFits=15)
    assert sorted(nodes_of(instances)) == sorted(host.name for host in hosts)
    status = await cloud.status(group, "of five", lambda status: status["count"] == 5)
    assert status["hosts"] == 5
    await cloud.says(group, "Satisfied", "True")
    # Room that a member gives back goes to one of those who wait.
    leaving = next(each["metadata"]["name"] for each in instances if "nodeName" in each["status"])
    await cloud.finish(leaving)
    await cloud.settled(Bound=5, NoHostFits=14)


async def test_an_affine_group_stays_together_when_many_come_at_once(cloud: Cloud) -> None:
    for _ in range(3):
        await cloud.host(vcpus=4)
    await cloud.create(a_group("web", cloud.namespace, policy="Affinity"))
    await asyncio.gather(*(cloud.instance(f"web-{n}", scheduling={"group": "web"}) for n in range(6)))
    assert sorted(Counter(nodes_of(await cloud.settled(Bound=4, NoHostFits=2))).values()) == [4]


async def test_a_group_made_anew_with_another_policy_moves_nobody_and_says_that_it_does_not_hold(cloud: Cloud) -> None:
    for _ in range(2):
        await cloud.host()
    group = await cloud.create(a_group("web", cloud.namespace))
    for name in ("web-1", "web-2"):
        await cloud.instance(name, scheduling={"group": "web"})
    before = [await cloud.bound(name) for name in ("web-1", "web-2")]
    await cloud.remove(group)
    await cloud.create(a_group("web", cloud.namespace, policy="Affinity"))
    assert "on 2 nodes" in await cloud.says(group, "Satisfied", "False")
    assert nodes_of([await cloud.bound(name) for name in ("web-1", "web-2")]) == nodes_of(before)


async def test_instances_wait_for_whom_they_must_be_with(cloud: Cloud) -> None:
    for _ in range(3):
        await cloud.host()
    await cloud.instance("near", scheduling={"sameHostAs": ["db"]})
    assert '"db"' in await cloud.refused("InstanceNotFound", "near")
    await cloud.instance("db", flavor="late")
    await cloud.refused("InstanceNotBound", "near")
    await cloud.instance("far", scheduling={"differentHostFrom": ["db"]})
    await cloud.bound("far")
    await cloud.create(a_flavor("late", rootDisk="0"))
    try:
        node = (await cloud.bound("db"))["status"]["nodeName"]
        await cloud.bound("near", to=node)
    finally:
        await cloud.remove(a_flavor("late"))


async def test_a_host_that_shrinks_below_what_runs_on_it_takes_no_more_and_keeps_what_it_has(cloud: Cloud) -> None:
    host = await cloud.host(vcpus=4)
    for number in range(3):
        await cloud.instance(f"old-{number}")
    before = [await cloud.bound(f"old-{number}") for number in range(3)]
    aggregate = await cloud.create(an_aggregate("rack", nodes=[host.name]))
    await host.report(a_hypervisor_status(vcpus=2))
    status = await cloud.status(aggregate, "of 2 vCPUs", lambda status: status["capacity"]["vcpus"] == 2)
    assert status["free"]["vcpus"] == 0, "never less than nothing"
    await cloud.instance("new")
    await cloud.refused("NoHostFits", "new", message="lacks vCPUs (need 1, most free 0)")
    assert [await cloud.get(f"old-{number}") for number in range(3)] == before


async def test_a_host_whose_agent_reports_nonsense_is_not_used_until_it_makes_sense(cloud: Cloud) -> None:
    host = await cloud.host()
    # What the API server can tell from one object it refuses itself; this takes knowing what hosts are.
    await host.report(a_hypervisor_status(cells=[a_cell(0), a_cell(1, cores=["3"])]))
    await cloud.usable(0)
    await cloud.instance()
    await cloud.refused("NoHostFits", message="reports impossible facts (CPU 3 twice)")
    events = await eventually_async(lambda: cloud.events("ImpossibleFacts", "default"), "an Event on the Hypervisor")
    assert host.name in [event["involvedObject"]["name"] for event in events]
    await host.report(a_hypervisor_status(cells=[a_cell(0), a_cell(1)]))
    await cloud.bound()


async def test_a_flavor_for_others_is_told_until_the_namespace_is_one_of_them(cloud: Cloud) -> None:
    await cloud.host()
    name = f"gold-{cloud.namespace}"
    selector = {"matchLabels": {"tier": "gold"}}
    await cloud.create(a_flavor(name, rootDisk="0", access={"namespaceSelector": selector}))
    await cloud.instance(flavor=name)
    assert cloud.namespace in await cloud.refused("FlavorNotAllowed")
    await cloud.client.patch(RESOURCES["Namespace"], cloud.namespace, {"metadata": {"labels": {"tier": "gold"}}})
    await cloud.bound()


async def drifted(cloud: Cloud, words: str) -> None:
    async def look() -> bool:
        instance = await cloud.get()
        conditions = (instance or {}).get("status", {}).get("conditions", [])
        return any(
            (each["type"], each["status"]) == ("PlacementDrift", "True" if words else "False")
            and words in each["message"]
            for each in conditions
        )

    await eventually_async(look, f"the drift: {words or 'none'}")


async def test_a_placed_instance_stays_and_shows_what_does_not_fit_any_more(cloud: Cloud) -> None:
    host = await cloud.host()
    aggregate = await in_zone(cloud, "az1", host)
    await cloud.says(aggregate, "Ready", "True")
    await cloud.create(a_group("web", cloud.namespace))
    flavor = f"going-{cloud.namespace}"
    await cloud.create(a_flavor(flavor, rootDisk="0"))
    await cloud.client.patch(NODES, host.name, {"metadata": {"labels": {"disk": "ssd"}}})
    scheduling = {"group": "web", "nodeSelector": {"disk": "ssd"}}
    await cloud.instance(flavor=flavor, availabilityZone="az1", scheduling=scheduling)
    before = (await cloud.bound())["status"]

    await cloud.client.patch(NODES, host.name, {"metadata": {"labels": {"disk": "hdd"}}})
    await drifted(cloud, "disk")
    await cloud.client.patch(NODES, host.name, {"metadata": {"labels": {"disk": "ssd"}}})
    await drifted(cloud, "")
    await cloud.remove(aggregate)
    await drifted(cloud, "not in zone az1")
    await cloud.remove(a_flavor(flavor))
    await drifted(cloud, f"its flavor {flavor} is gone")
    await cloud.remove(a_zone("az1"))
    await drifted(cloud, "its zone az1 is gone")
    await cloud.remove(a_group("web", cloud.namespace))
    await drifted(cloud, "its group web is gone")

    after = (await cloud.bound())["status"]
    assert {**after, "conditions": after["conditions"][:2]} == before, "nothing else has changed"
    assert [each["message"] for each in await eventually_async(lambda: cloud.events("PlacementDrift"), "Events")]

    await in_zone(cloud, "az1", host)
    await cloud.create(a_group("web", cloud.namespace))
    await cloud.create(a_flavor(flavor, rootDisk="0"))
    await drifted(cloud, "")


async def test_packed_cpus_are_nobody_elses(cloud: Cloud) -> None:
    name = f"pinned-{cloud.namespace}"
    await cloud.create(a_flavor(name, vcpus=2, rootDisk="0", cpu={"policy": "Dedicated"}))
    host = await cloud.host(dedicatedCpus="2-5")
    await host.report(a_hypervisor_status(cells=[a_cell(0), a_cell(1)]))
    for n in range(2):
        await cloud.instance(f"web-{n}", flavor=name)
    instances = [await cloud.bound(f"web-{n}") for n in range(2)]
    cells = [cell for each in instances for cell in each["status"]["allocation"]["cells"]]
    assert sorted(cpu for cell in cells for cpu in cell["cpus"]) == [2, 3, 4, 5]
    await cloud.instance("late", flavor=name)
    await cloud.refused("NoHostFits", "late", message="dedicated CPUs")
