"""Whatever order a directory is applied in, it comes to the same; only a namespace must be there first."""

from __future__ import annotations

import json
import random

import pytest

from hack.devcluster.errors import ClusterError
from hypernova_kube.resources import Object
from support.gitops import Town
from support.waiting import eventually_async

PARTS = ("production/cluster", "production/project")
MISSING = {
    "FlavorNotFound": "Flavor",
    "ImageNotFound": "Image",
    "KeyPairNotFound": "KeyPair",
    "AvailabilityZoneNotFound": "AvailabilityZone",
    "InstanceGroupNotFound": "InstanceGroup",
    "NoHostFits": "HostAggregate",
}
"""What an Instance of the examples waits for, by the reason that it says."""


async def apply_one_by_one(town: Town, objects: list[Object]) -> list[str]:
    """As a tool does that tries again what was refused, in the same order; what the API server said of each refusal."""
    refusals: list[str] = []
    while objects:
        left = []
        for obj in objects:
            try:
                await town.kubectl("apply", "--server-side", "--filename=-", given=json.dumps(obj))
            except ClusterError as error:
                refusals.append(str(error))
                left.append(obj)
        assert len(left) < len(objects), refusals
        objects = left
    return refusals


@pytest.mark.parametrize("seed", [None, 1, 2], ids=["backwards", "shuffled 1", "shuffled 2"])
async def test_any_order_converges_and_nothing_but_a_missing_namespace_is_refused(town: Town, seed: int | None) -> None:
    objects = [obj for part in PARTS for obj in await town.objects(part)]
    order = objects[::-1]
    if seed is not None:
        random.Random(seed).shuffle(order)
    refusals = await apply_one_by_one(town, order)
    assert [each for each in refusals if 'namespaces "shop" not found' not in each and '"images"' not in each] == []
    await town.settled(objects, 60)


async def test_an_instance_names_each_thing_it_waits_for_and_runs_when_all_are_there(town: Town) -> None:
    objects = [obj for part in PARTS for obj in await town.objects(part)]
    web = next(obj for obj in objects if obj["metadata"]["name"] == "web-1")
    await apply_one_by_one(town, [obj for obj in objects if obj["kind"] in ("Namespace", "Instance")])
    seen: list[str] = []

    async def another_reason() -> str | None:
        told = (await town.stored(web) or {}).get("status", {}).get("conditions", [])
        reason = next((each["reason"] for each in told if each["type"] == "Scheduled"), None)
        return reason if reason not in seen else None

    while (reason := await eventually_async(another_reason, f"something else than {seen}")) != "Bound":
        seen.append(reason)
        await apply_one_by_one(town, [obj for obj in objects if obj["kind"] == MISSING[reason]])
    assert set(seen) == set(MISSING)
    # Without a quota there was no limit; now there is one, and what runs counts.
    await apply_one_by_one(town, [obj for obj in objects if obj["kind"] == "ComputeQuota"])
    await town.settled(objects, 60)


async def test_a_project_is_applied_with_no_more_rights_than_its_people_have_and_held_up_by_a_lock(town: Town) -> None:
    catalog, project = PARTS
    await town.apply([catalog], "--server-side")
    deployer = f"--kubeconfig={town.account('shop', 'deployer')}"
    apply = ("apply", "--server-side", "--field-manager=kustomize-controller", deployer)
    await town.kubectl(*apply, f"--kustomize={town.folder(project)}")
    await town.settled([obj for part in PARTS for obj in await town.objects(part)])
    database = next(obj for obj in await town.objects(project) if obj["metadata"]["name"] == "db-1")
    assert (await town.kubectl(*apply, "--filename=-", given=json.dumps(database))).endswith("serverside-applied\n")

    database["spec"]["powerState"] = "Stopped"
    with pytest.raises(ClusterError, match=r"the Instance is locked \(holds the orders\)"):
        await town.kubectl(*apply, "--filename=-", given=json.dumps(database))
    with pytest.raises(ClusterError, match=r"the Instance is locked \(holds the orders\)"):
        await town.kubectl("delete", "instance", "db-1", "--namespace=shop", deployer)
    quota = next(obj for obj in await town.objects(catalog) if obj["kind"] == "ComputeQuota")
    with pytest.raises(ClusterError, match="forbidden"):
        await town.kubectl(*apply, "--filename=-", given=json.dumps(quota))
