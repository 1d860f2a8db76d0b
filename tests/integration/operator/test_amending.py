"""Bound Instances that ask for more, on a real API server: their nodes are played by the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hypernova_kube.resources import Object
from support.builders import a_cell, a_flavor, a_host_aggregate, a_hypervisor_status, a_quota
from support.operators import INSTANCES, Cloud, OperatorProcess

pytestmark = pytest.mark.usefixtures("operator")

TWO_CARDS = [{"name": "default"}, {"name": "default"}]


@pytest.fixture
async def sizes(cloud: Cloud) -> AsyncIterator[None]:
    """Flavors of 1 and 3 vCPUs, and one with two dedicated CPUs."""
    flavors = [
        a_flavor("small", vcpus=1, memory="1Gi", rootDisk="1Gi"),
        a_flavor("large", vcpus=3, memory="4Gi", rootDisk="1Gi"),
        a_flavor("pinned", vcpus=2, memory="1Gi", rootDisk="1Gi", cpu={"policy": "Dedicated"}),
    ]
    for flavor in flavors:
        await cloud.create(flavor)
    yield
    for flavor in flavors:
        await cloud.remove(flavor)


async def _is_given(cloud: Cloud, name: str = "web-1") -> None:
    """Its node's agent gives the guest what was granted."""
    instance = await cloud.sees(name, "granted", lambda status: "resize" in status)
    status = instance["status"]
    change = {"flavor": status["resize"]["flavor"], "resize": None, "phase": "Running"}
    change["allocation"] = status["resize"].get("allocation")
    await cloud.client.patch(INSTANCES, name, {"status": change}, cloud.namespace, subresource="status")


def _flavors(status: Object) -> tuple[str, str | None]:
    """The one that it has, and the one that is granted."""
    return status["flavor"]["name"], status.get("resize", {}).get("flavor", {}).get("name")


@pytest.mark.usefixtures("sizes")
async def test_a_resize_is_granted_where_the_instance_is_and_its_old_size_is_free_when_it_is_given(
    cloud: Cloud,
) -> None:
    host = await cloud.host(vcpus=4)
    quota = await cloud.create(a_quota(namespace=cloud.namespace, hard={"vcpus": 4}))
    web = await cloud.instance(flavor="large")
    await cloud.bound()
    await cloud.edit(web, flavor="small")
    await cloud.sees("web-1", "granted", lambda status: _flavors(status) == ("large", "small"))
    assert await cloud.says(web, "Resized", "False", "Granted")
    await cloud.instance("web-2", flavor="large")
    assert "4 vCPUs" in await cloud.refused("QuotaExceeded", "web-2")
    await _is_given(cloud)
    await cloud.bound("web-2", to=host.name)
    await cloud.sees("web-1", "done", lambda status: all(each["type"] != "Resized" for each in status["conditions"]))
    await cloud.status(quota, "full", lambda status: status.get("used", {}).get("vcpus") == 4)


@pytest.mark.usefixtures("sizes")
async def test_where_there_is_no_room_it_says_so_and_is_resized_once_there_is(cloud: Cloud) -> None:
    await cloud.host(vcpus=3)
    web = await cloud.instance(flavor="small")
    await cloud.instance("web-2", flavor="small")
    await cloud.bound()
    await cloud.bound("web-2")
    await cloud.edit(web, flavor="large")
    assert "lacks vCPUs (need 3, most free 2)" in await cloud.says(web, "Resized", "False", "NoRoomOnHost")
    assert len(await cloud.events("NoRoomOnHost")) == 1
    await cloud.finish("web-2")
    await cloud.sees("web-1", "granted", lambda status: _flavors(status) == ("small", "large"))


@pytest.mark.usefixtures("sizes")
async def test_a_resize_that_is_called_off_turns_round(cloud: Cloud) -> None:
    await cloud.host()
    web = await cloud.instance(flavor="small")
    await cloud.bound()
    await cloud.edit(web, flavor="pinned")
    assert "dedicated CPUs" in await cloud.says(web, "Resized", "False", "NoRoomOnHost")
    await cloud.edit(web, flavor="large")
    await cloud.sees("web-1", "granted", lambda status: _flavors(status) == ("small", "large"))
    await cloud.edit(web, flavor="small")
    await cloud.sees("web-1", "withdrawn", lambda status: _flavors(status) == ("large", "small"))
    await _is_given(cloud)
    instance = await cloud.sees("web-1", "as before", lambda status: _flavors(status) == ("small", None))
    assert instance["status"]["flavor"]["vcpus"] == 1


@pytest.mark.usefixtures("sizes")
async def test_what_is_packed_is_packed_anew_and_goes_with_the_old_size(cloud: Cloud) -> None:
    host = await cloud.host(dedicatedCpus="2-3")
    await host.report(a_hypervisor_status(cells=[a_cell(0, memory="16Gi")]))
    web = await cloud.instance(flavor="pinned")
    await cloud.bound()
    await cloud.edit(web, flavor="small")
    await _is_given(cloud)
    instance = await cloud.sees("web-1", "small", lambda status: _flavors(status) == ("small", None))
    assert "allocation" not in instance["status"]
    await cloud.edit(web, flavor="pinned")
    granted = await cloud.sees("web-1", "granted", lambda status: _flavors(status) == ("small", "pinned"))
    assert granted["status"]["resize"]["allocation"]["cells"][0]["cpus"] == [2, 3]


async def test_a_network_card_more_is_an_address_more_and_at_binding_there_are_as_many_as_cards(cloud: Cloud) -> None:
    await cloud.host()
    web = await cloud.instance()
    await cloud.instance("web-2", networks=TWO_CARDS)
    before = (await cloud.bound())["status"]["addresses"]
    others = (await cloud.bound("web-2"))["status"]["addresses"]
    await cloud.edit(web, networks=TWO_CARDS)
    after = (await cloud.sees("web-1", "with two cards", lambda status: len(status["addresses"]) == 2))["status"]
    assert after["addresses"][:1] == before
    assert len({each["ip"] for each in [*after["addresses"], *others]}) == 4
    assert len({each["mac"] for each in [*after["addresses"], *others]}) == 4


async def test_guests_see_the_cpu_model_that_the_aggregate_says_and_two_are_a_conflict(cloud: Cloud) -> None:
    host = await cloud.host()
    one = a_host_aggregate("milan", nodes=[host.name], cpuModel="EPYC-Milan")
    other = a_host_aggregate("rome", nodes=[host.name], cpuModel="EPYC-Rome")
    await cloud.create(one)
    await cloud.says(one, "Ready", "True")
    await cloud.instance()
    assert (await cloud.bound())["status"]["placement"]["cpuModel"] == "EPYC-Milan"
    await cloud.create(other)
    await cloud.says(one, "Conflict", "True", "HostWithSeveralCpuModels")
    await cloud.instance("web-2")
    assert "with two CPU models at once" in await cloud.refused("NoHostFits", "web-2")
    await cloud.remove(other)
    await cloud.bound("web-2")


@pytest.mark.usefixtures("sizes")
async def test_another_leader_goes_on_with_what_is_under_way(cloud: Cloud, operator: OperatorProcess) -> None:
    await cloud.host(vcpus=4)
    web = await cloud.instance(flavor="large")
    await cloud.bound()
    await cloud.edit(web, flavor="small")
    await cloud.sees("web-1", "granted", lambda status: _flavors(status) == ("large", "small"))
    operator.stop()
    await cloud.instance("web-2", flavor="large")
    operator.start()
    assert "lacks vCPUs (need 3, most free 1)" in await cloud.refused("NoHostFits", "web-2")
    await _is_given(cloud)
    await cloud.bound("web-2")
