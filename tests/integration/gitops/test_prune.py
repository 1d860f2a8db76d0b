"""What has left the directory leaves the cluster, guest and all; what must not, stays."""

from __future__ import annotations

import pytest
import yaml

from hypernova_kube.resources import Object
from support.gitops import Town

PARTS = ["production/cluster", "production/project"]
KINDS = ("Image", "Instance", "InstanceGroup", "KeyPair")
BY_LABEL = (
    "--selector=app.kubernetes.io/part-of=shop",
    *(f"--prune-allowlist=compute.hypernova.dev/v1alpha1/{kind}" for kind in KINDS),
)
HOW = {
    # Flux deletes in the background, Argo CD in the foreground unless it is told otherwise.
    "by label, as Flux deletes": (*BY_LABEL, "--cascade=background"),
    "by label, as Argo CD deletes": (*BY_LABEL, "--cascade=foreground"),
    "by what the set was before": ("--server-side", "--namespace=shop", "--applyset=shop"),
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
async def test_an_instance_that_has_left_is_gone_with_its_guest_and_the_others_run_on(
    town: Town, how: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECTL_APPLYSET", "true")
    catalog, project = [await town.objects(part) for part in PARTS]

    async def apply(objects: list[Object]) -> str:
        listed = yaml.safe_dump_all(objects)
        return str(await town.kubectl("apply", "--prune", *how, "--wait=false", "--filename=-", given=listed))

    await town.apply(PARTS[:1], "--server-side")
    await apply(project)
    await town.settled(catalog + project)
    before = town.domains()
    web = next(obj for obj in project if obj["metadata"]["name"] == "web-2")
    uid = (await town.get(web))["metadata"]["uid"]
    assert uid in before

    kept = [obj for obj in project if obj is not web]
    pruned = [line for line in (await apply(kept)).splitlines() if line.endswith("pruned")]
    assert pruned == ["instance.compute.hypernova.dev/web-2 pruned"]
    await town.gone(web)
    assert town.domains() == before - {uid}
    await town.settled(catalog + kept)


async def test_a_whole_project_goes_in_whatever_order_its_parts_are_deleted(town: Town) -> None:
    objects = [obj for part in PARTS for obj in await town.objects(part)]
    await town.apply(PARTS, "--server-side")
    await town.settled(objects)
    # The namespace first, and with it all that is in it, the Flavor while Instances of it are there.
    for obj in objects:
        await town.kubectl("delete", "--ignore-not-found", "--wait=false", "--filename=-", given=yaml.safe_dump(obj))
    for obj in objects:
        await town.gone(obj)
    assert town.domains() == set()
