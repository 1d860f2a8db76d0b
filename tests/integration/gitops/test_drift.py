"""A directory applied again changes nothing, and no comparison finds a difference, whatever has been written since."""

from __future__ import annotations

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hack.devcluster.install import mutates
from hypernova_api.meta import FINALIZER
from support.gitops import Town
from support.waiting import eventually_async

HOW = {
    "Argo CD's server-side apply": ("--server-side", "--field-manager=argocd-controller"),
    "Flux's server-side apply": ("--server-side", "--field-manager=kustomize-controller"),
    "client-side apply": (),
}


@pytest.mark.parametrize(
    ("overlay", "by"),
    [
        ("staging", "Argo CD's server-side apply"),
        ("production", "Flux's server-side apply"),
        ("production", "client-side apply"),
    ],
)
async def test_what_is_applied_again_is_as_it_was(gitops_cluster: Cluster, town: Town, overlay: str, by: str) -> None:
    how = HOW[by]
    parts = [f"{overlay}/cluster", f"{overlay}/project"]
    objects = [obj for part in parts for obj in await town.objects(part)]
    await town.apply(parts, *how)
    await town.settled(objects)

    async def unchanged() -> bool:
        """Also by somebody else meanwhile, who tells in a status what goes on: then it is tried again."""
        before = await town.revisions(objects)
        await town.apply(parts, *how)
        return bool(await town.revisions(objects) == before)

    await eventually_async(unchanged, "a second apply to change nothing", 30)
    for part in parts:
        assert await town.kubectl("diff", *how, f"--kustomize={town.folder(part)}") == ""
    # There was something to find: both are put on by admission, and all of this has been defaulted or told.
    web = await town.get(next(obj for obj in objects if obj["metadata"]["name"] == "web-1"))
    assert web["metadata"]["finalizers"] == [FINALIZER]
    if mutates(gitops_cluster.admin):
        assert "compute.hypernova.dev/created-by" in web["metadata"]["annotations"]
    assert web["status"]["phase"] == "Running"
    assert web["spec"]["restartPolicy"] == "Always"


async def test_a_comparison_finds_what_somebody_has_changed_by_hand(town: Town) -> None:
    part, how = "staging/project", HOW["Argo CD's server-side apply"]
    with pytest.raises(ClusterError, match='namespaces "shop" not found'):
        await town.kubectl("diff", *how, f"--kustomize={town.folder(part)}")
    await town.apply(["staging/cluster", part], *how)
    patch = '{"spec": {"powerState": "Running"}}'
    await town.kubectl("patch", "instance", "web-2", "--namespace=shop", "--type=merge", f"--patch={patch}")
    with pytest.raises(ClusterError) as difference:
        await town.kubectl("diff", *how, "--force-conflicts", f"--kustomize={town.folder(part)}")
    assert str(difference.value).endswith((": exit status 1", ": "))  # found, and nothing went wrong
    await town.apply([part], *how, "--force-conflicts")
    web = await town.get(next(obj for obj in await town.objects(part) if obj["metadata"]["name"] == "web-2"))
    assert web["spec"]["powerState"] == "Stopped"


async def test_kubectl_waits_for_each_kind_by_the_condition_that_it_has(town: Town) -> None:
    for part in ("production/cluster", "production/project"):
        await town.kubectl("apply", "--server-side", f"--kustomize={town.folder(part)}")
    for resource, wanted in (
        ("instance", "condition=Ready"),
        ("instancegroup", "condition=Satisfied"),
        ("computequota", "condition=Exceeded=false"),
        ("hostaggregate", "condition=Ready"),
        ("availabilityzone", "condition=Available"),
        ("hypervisor", "condition=Ready"),
        ("flavor", "create"),
    ):
        everyone = ("m1.small",) if wanted == "create" else ("--all",)
        await town.kubectl("wait", f"--for={wanted}", resource, *everyone, "--namespace=shop", "--timeout=60s")


async def test_a_power_state_that_the_directory_does_not_name_is_left_to_others(town: Town) -> None:
    how = HOW["Flux's server-side apply"]
    parts = ["production/cluster", "production/project"]
    await town.apply(parts, *how)
    patch = '{"spec": {"powerState": "Stopped"}}'
    await town.kubectl("patch", "instance", "web-1", "--namespace=shop", "--type=merge", f"--patch={patch}")
    assert await town.kubectl("diff", *how, f"--kustomize={town.folder(parts[1])}") == ""
    await town.apply(parts, *how)
    web = await town.get(next(obj for obj in await town.objects(parts[1]) if obj["metadata"]["name"] == "web-1"))
    assert web["spec"]["powerState"] == "Stopped"
