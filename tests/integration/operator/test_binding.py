"""An operator on a real API server: who is bound, who is told why not, and with how many writes."""

from __future__ import annotations

import asyncio

import pytest

from hack.devcluster.install import mutates
from hypernova_api.meta import FINALIZER
from support.builders import a_flavor, a_hypervisor_status, a_key_pair, an_image
from support.operators import INSTANCES, RESOURCES, Cloud, OperatorProcess, scheduled
from support.waiting import eventually_async

pytestmark = pytest.mark.usefixtures("operator")


async def test_an_instance_is_bound_with_everything_its_agent_needs(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.create(a_key_pair(namespace=cloud.namespace))
    created = await cloud.instance(keyPairs=["ops"])
    instance = await cloud.bound()
    status = instance["status"]
    assert status["phase"] == "Building"
    assert status["nodeName"] == host.name
    assert status["flavor"] == {
        "name": "m1.small",
        "vcpus": 1,
        "memory": "512Mi",
        "rootDisk": "0",
        "lockedMemory": False,
    }
    assert status["image"] == {
        "name": "debian-12",
        "namespace": cloud.namespace,
        "format": "qcow2",
        **an_image()["spec"]["source"],
    }
    assert status["keyPairs"] == [{"name": "ops", **a_key_pair()["spec"]}]
    assert [address["network"] for address in status["addresses"]] == ["default"]
    assert status["observedGeneration"] == 1
    assert scheduled(status)["status"] == "True"
    assert scheduled(status)["reason"] == "Bound"
    assert instance["metadata"]["finalizers"] == [FINALIZER]
    assert instance["spec"] == created["spec"]


async def test_a_bind_is_one_write_and_then_there_are_none(cloud: Cloud, operator: OperatorProcess) -> None:
    await cloud.host()
    await cloud.host()
    before, operators_before = await cloud.writes(), _operators_writes(operator)
    for number in range(10):
        await cloud.instance(f"web-{number}")
    for number in range(10):
        await cloud.bound(f"web-{number}")
    # A sweep and a renewal of every Lease later, nothing more has been written.
    renewals = operator.metric("hypernova_kube_requests_total", verb="update", resource="leases")
    await eventually_async(
        lambda: operator.metric("hypernova_kube_requests_total", verb="update", resource="leases") > renewals + 2,
        "the leader's Lease to be renewed",
    )
    written = {name: count - before.get(name, 0) for name, count in (await cloud.writes()).items()}
    # Where no policy writes the finalizer, the operator does.
    finalizers = 0 if mutates(cloud.cluster.admin) else 10
    assert {name: count for name, count in written.items() if count} == {
        "POST instances": 10,  # the user's
        "PATCH instances/status": 10,
    } | ({"PATCH instances": finalizers} if finalizers else {})
    assert _operators_writes(operator) - operators_before == 10 + finalizers


def _operators_writes(operator: OperatorProcess) -> float:
    """All writes of the operator in its life, but for its Lease."""
    return sum(
        operator.metric("hypernova_kube_requests_total", verb=verb, resource=resource)
        for verb in ("create", "update", "patch", "delete")
        for resource in ("instances", "instances/status", "events")
    )


async def test_addresses_are_unique_and_come_back(cloud: Cloud) -> None:
    await cloud.host()
    for name in ("a", "b", "c"):
        await cloud.instance(name)
    addresses = {name: (await cloud.bound(name))["status"]["addresses"][0] for name in ("a", "b", "c")}
    assert len({address["ip"] for address in addresses.values()}) == 3
    assert len({address["mac"] for address in addresses.values()}) == 3
    await cloud.delete("b")
    await cloud.client.patch(INSTANCES, "b", {"metadata": {"finalizers": None}}, cloud.namespace)  # as its agent would
    await cloud.gone("b")

    async def b_again() -> bool:
        await cloud.instance("d")
        again = (await cloud.bound("d"))["status"]["addresses"][0]["ip"] == addresses["b"]["ip"]
        await cloud.delete("d")
        await cloud.client.patch(INSTANCES, "d", {"metadata": {"finalizers": None}}, cloud.namespace)
        await cloud.gone("d")
        return again

    await eventually_async(b_again, "the address of b to be given again")


@pytest.mark.parametrize(
    ("spec", "missing", "reason"),
    [
        ({"flavor": "m1.late"}, a_flavor("m1.late"), "FlavorNotFound"),
        ({"image": {"name": "late"}}, an_image("late"), "ImageNotFound"),
        ({"keyPairs": ["late"]}, a_key_pair("late"), "KeyPairNotFound"),
    ],
    ids=["flavor", "image", "key pair"],
)
async def test_what_is_missing_is_named_and_when_it_appears_the_instance_is_bound(
    cloud: Cloud, spec: dict[str, object], missing: dict[str, object], reason: str
) -> None:
    await cloud.host()
    await cloud.instance(**spec)
    assert "late" in await cloud.refused(reason)
    events = await eventually_async(lambda: cloud.events(reason), "an Event")
    assert [(event["type"], event["involvedObject"]["name"]) for event in events] == [("Warning", "web-1")]
    if "namespace" in missing["metadata"]:
        missing = {**missing, "metadata": {"name": "late", "namespace": cloud.namespace}}
    await cloud.create(missing)
    await cloud.bound()


async def test_without_hosts_the_instance_says_how_to_get_one(cloud: Cloud) -> None:
    await cloud.instance()
    assert await cloud.refused("NoHostFits") == (
        "there are no hosts: label each node that has KVM and libvirt, `kubectl label node NODE "
        "compute.hypernova.dev/hypervisor=true`, and see that a node agent runs there"
    )
    await cloud.host()
    await cloud.bound()


async def test_a_flavor_larger_than_any_host_gets_the_sentence(cloud: Cloud) -> None:
    await cloud.host(vcpus=4, memory="6Gi")
    await cloud.host(vcpus=4, memory="4Gi")
    await cloud.host(vcpus=1, memory="64Gi")
    await cloud.host(maintenance=True)
    name = f"m1.large-{cloud.namespace}"
    await cloud.create(a_flavor(name, vcpus=2, memory="8Gi", rootDisk="0"))
    await cloud.instance(flavor=name)
    sentence = (
        "0/4 hosts fit: 2 lack memory (need 8Gi, most free 6Gi), 1 in maintenance, 1 lacks vCPUs (need 2, most free 1)"
    )
    assert await cloud.refused("NoHostFits", message=sentence) == sentence


async def test_two_instances_racing_for_the_last_slot_get_one_host(cloud: Cloud) -> None:
    await cloud.host(vcpus=1)
    names = ["web-1", "web-2"]
    await asyncio.gather(*(cloud.instance(name) for name in names))
    await cloud.settled(Bound=1, NoHostFits=1)


async def test_many_at_once_fill_hosts_to_the_brim_and_not_beyond(cloud: Cloud) -> None:
    hosts = [await cloud.host(vcpus=vcpus) for vcpus in (3, 5, 8)]
    await asyncio.gather(*(cloud.instance(f"web-{number}") for number in range(24)))
    places = [each["status"].get("nodeName", "") for each in await cloud.settled(Bound=16, NoHostFits=8)]
    assert [places.count(host.name) for host in hosts] == [3, 5, 8]
    assert places.count("") == 8


async def test_room_that_is_given_back_goes_to_who_waits(cloud: Cloud) -> None:
    await cloud.host(vcpus=1)
    await cloud.instance("first")
    await cloud.bound("first")
    await cloud.instance("second")
    await cloud.refused("NoHostFits", "second")
    await cloud.delete("first")
    await cloud.client.patch(INSTANCES, "first", {"metadata": {"finalizers": None}}, cloud.namespace)
    await cloud.bound("second")


async def test_a_node_that_loses_its_label_takes_none_and_keeps_what_it_has(cloud: Cloud) -> None:
    host = await cloud.host()
    await cloud.instance("old")
    before = await cloud.bound("old")
    await host.label(hypervisor=False)
    await cloud.usable(0)
    await cloud.instance("new")
    assert await cloud.refused("NoHostFits", "new", message="without the node label") == (
        "0/1 hosts fit: 1 without the node label compute.hypernova.dev/hypervisor=true"
    )
    assert await cloud.get("old") == before
    await host.label(hypervisor=True)
    await cloud.bound("new", to=host.name)


@pytest.mark.parametrize(
    ("spec", "cleared", "words"),
    [
        ({"maintenance": True}, {"maintenance": False}, "1 in maintenance"),
        ({"disabled": {"reason": "fan is dying"}}, {"disabled": None}, "1 disabled (fan is dying)"),
    ],
    ids=["maintenance", "disabled"],
)
async def test_what_the_administrator_closes_takes_none_until_it_is_opened(
    cloud: Cloud, spec: dict[str, object], cleared: dict[str, object], words: str
) -> None:
    host = await cloud.host(**spec)
    await cloud.instance()
    assert await cloud.refused("NoHostFits", message=words) == f"0/1 hosts fit: {words}"
    await host.edit(**cleared)
    await cloud.bound()


async def test_a_host_that_is_not_ready_takes_none_until_it_is(cloud: Cloud) -> None:
    host = await cloud.host()
    await host.report(a_hypervisor_status(ready=False))
    await cloud.usable(0)
    await cloud.instance()
    await cloud.refused("NoHostFits", message=f"not ready, PoolInactive: {host.name}")
    await host.report(a_hypervisor_status())
    await cloud.bound()


async def test_a_host_whose_agent_falls_silent_takes_none_until_it_speaks(cloud: Cloud) -> None:
    host = await cloud.host(duration=3)
    await cloud.instance("old")
    await cloud.bound("old")
    await host.fall_silent()
    # Nothing but its silence tells; so one that waits is told by the clock, and a new one finds the host closed.
    await cloud.create(a_flavor(f"all-{cloud.namespace}", vcpus=8, memory="1Gi", rootDisk="0"))
    await cloud.instance("large", flavor=f"all-{cloud.namespace}")
    await cloud.refused("NoHostFits", "large", message=f"no heartbeat: {host.name}")
    await cloud.instance("new")
    await cloud.refused("NoHostFits", "new", message=f"no heartbeat: {host.name}")
    host.beat()
    await host.report(a_hypervisor_status(vcpus=8))
    await cloud.bound("new")


async def test_an_unbound_instance_that_is_deleted_is_gone(cloud: Cloud) -> None:
    await cloud.instance()
    await cloud.refused("NoHostFits")
    await cloud.delete()
    await cloud.gone()


async def test_a_bound_instance_that_is_deleted_is_left_to_its_agent(cloud: Cloud) -> None:
    await cloud.host()
    await cloud.instance("bound")
    await cloud.bound("bound")
    await cloud.delete("bound")
    # By when one that was deleted later is gone, the operator has seen to this one, too.
    await cloud.instance("unbound", flavor="none")
    await cloud.refused("FlavorNotFound", "unbound")
    await cloud.delete("unbound")
    await cloud.gone("unbound")
    instance = await cloud.get("bound")
    assert instance is not None
    assert instance["metadata"]["finalizers"] == [FINALIZER]


async def test_an_instance_made_anew_under_its_name_is_bound_anew(cloud: Cloud) -> None:
    await cloud.host(vcpus=1)
    uids = set()
    for _ in range(3):
        await cloud.instance()
        uids.add((await cloud.bound())["metadata"]["uid"])
        await cloud.delete()
        await cloud.client.patch(INSTANCES, "web-1", {"metadata": {"finalizers": None}}, cloud.namespace)
        await cloud.gone()
    assert len(uids) == 3


async def test_where_admission_adds_no_finalizer_the_operator_does_before_it_binds(cloud: Cloud) -> None:
    await cloud.instance()
    await cloud.refused("NoHostFits")
    await cloud.client.patch(INSTANCES, "web-1", {"metadata": {"finalizers": None}}, cloud.namespace)
    await cloud.host()
    instance = await cloud.bound()
    assert instance["metadata"]["finalizers"] == [FINALIZER]


async def test_an_image_too_large_for_the_flavor_is_told(cloud: Cloud) -> None:
    await cloud.host()
    await cloud.create(an_image("large", cloud.namespace, minMemory="4Gi"))
    await cloud.instance(image={"name": "large"})
    assert "memory (has 512Mi, needs 4Gi)" in await cloud.refused("FlavorTooSmall")
    await cloud.client.patch(RESOURCES["Image"], "large", {"spec": {"minMemory": "256Mi"}}, cloud.namespace)
    await cloud.bound()


async def test_somebody_who_writes_all_the_time_delays_but_does_not_double_a_bind(cloud: Cloud) -> None:
    host = await cloud.host(vcpus=20)
    names = [f"web-{number}" for number in range(10)]
    storming = True

    async def storm(name: str) -> None:
        count = 0
        while storming:
            count += 1
            labels = {"labels": {"count": str(count)}}
            await cloud.client.patch(INSTANCES, name, {"metadata": labels}, cloud.namespace)

    for name in names:
        await cloud.instance(name)
    storms = [asyncio.create_task(storm(name)) for name in names]
    try:
        bound = [await cloud.bound(name, seconds=60) for name in names]
    finally:
        storming = False
        await asyncio.gather(*storms)
    assert {instance["status"]["nodeName"] for instance in bound} == {host.name}
    assert len({instance["status"]["addresses"][0]["ip"] for instance in bound}) == 10
    after = [await cloud.get(name) for name in names]
    assert [instance["status"] for instance in bound] == [instance["status"] for instance in after if instance]
