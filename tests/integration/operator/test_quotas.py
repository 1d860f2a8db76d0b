"""Quotas on a real API server: kept exactly, told with numbers, and known again after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from support.builders import a_cell, a_flavor, a_group, a_hypervisor_status, a_quota
from support.operators import Cloud, OperatorProcess


@pytest.mark.usefixtures("operator")
async def test_of_twenty_at_once_exactly_as_many_are_bound_as_the_quota_allows(cloud: Cloud) -> None:
    await cloud.host(vcpus=30)
    quota = await cloud.create(a_quota("limits", cloud.namespace, hard={"instances": 7}))
    await cloud.says(quota, "Exceeded", "False")
    await asyncio.gather(*(cloud.instance(f"web-{number}") for number in range(20)))
    await cloud.settled(Bound=7, QuotaExceeded=13)
    status = await cloud.status(quota, "used up", lambda status: status["used"]["instances"] == 7)
    assert status["used"] == {"instances": 7, "vcpus": 7, "memory": "3584Mi", "disk": "0"}


@pytest.mark.usefixtures("operator")
async def test_a_quota_below_its_use_takes_nothing_away_and_gives_nothing_new(cloud: Cloud) -> None:
    await cloud.host(vcpus=30)
    quota = await cloud.create(a_quota("limits", cloud.namespace, hard={"instances": 3}))
    await cloud.says(quota, "Exceeded", "False")
    for number in range(3):
        await cloud.instance(f"web-{number}")
        await cloud.bound(f"web-{number}")
    await cloud.edit(quota, hard={"instances": 1})
    assert "3 instances used of 1 instance" in await cloud.says(quota, "Exceeded", "True")
    await cloud.instance("late")
    message = (
        f"ComputeQuota {cloud.namespace}/limits allows 1 instance, 3 are used and this one needs 1; delete some or ask "
        "for more"
    )
    assert await cloud.refused("QuotaExceeded", "late") == message
    for number in range(3):
        await cloud.finish(f"web-{number}")
    await cloud.bound("late")
    await cloud.says(quota, "Exceeded", "False")


@pytest.mark.usefixtures("operator")
async def test_who_waits_goes_on_when_the_quota_grows_or_goes(cloud: Cloud) -> None:
    await cloud.host(vcpus=30)
    quota = await cloud.create(a_quota("limits", cloud.namespace, hard={"vcpus": 0}))
    await cloud.says(quota, "Exceeded", "False")
    for name in ("web-1", "web-2"):
        await cloud.instance(name)
        assert "allows 0 vCPUs" in await cloud.refused("QuotaExceeded", name)
    await cloud.edit(quota, hard={"vcpus": 1})
    await cloud.settled(Bound=1, QuotaExceeded=1)
    await cloud.remove(quota)
    for name in ("web-1", "web-2"):
        await cloud.bound(name)


async def test_a_restarted_operator_knows_quotas_groups_and_what_was_packed(
    cloud: Cloud, clean_cluster: Cluster, tmp_path: Path
) -> None:
    operator = OperatorProcess(clean_cluster, tmp_path, "operator")
    operator.start()
    try:
        pinned = await cloud.create(
            a_flavor(f"pinned-{cloud.namespace}", vcpus=2, rootDisk="0", cpu={"policy": "Dedicated"})
        )
        spec = {"flavor": pinned["metadata"]["name"], "scheduling": {"group": "web"}}
        host = await cloud.host(dedicatedCpus="2-5")
        await host.report(a_hypervisor_status(cells=[a_cell(0), a_cell(1)]))
        await cloud.create(a_group("web", cloud.namespace, maxPerHost=2))
        quota = await cloud.create(a_quota("limits", cloud.namespace, hard={"vcpus": 4}))
        await cloud.says(quota, "Exceeded", "False")
        await cloud.instance("first", **spec)
        first = await cloud.bound("first")
        operator.stop()
        await cloud.instance("second", **spec)
        operator.start()
        second = await cloud.bound("second")
        cpus = [each["status"]["allocation"]["cells"][0]["cpus"] for each in (first, second)]
        assert sorted(cpus[0] + cpus[1]) == [2, 3, 4, 5]
        await cloud.instance("third")
        assert "allows 4 vCPUs, 4 are used" in await cloud.refused("QuotaExceeded", "third")
        await cloud.edit(quota, hard={"vcpus": 9})
        await cloud.bound("third")
        await cloud.instance("fourth", scheduling={"group": "web"})
        assert "group" in await cloud.refused("NoHostFits", "fourth")
        assert (await cloud.get("first")) == first
    finally:
        operator.stop()
