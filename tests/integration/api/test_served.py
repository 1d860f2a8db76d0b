"""The API server takes our CRDs, policies and roles without a complaint, and serves what they promise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_api.instance import Instance
from hypernova_api.kinds import KINDS
from hypernova_api.meta import GROUP, Kind
from hypernova_kube.client import Client, WatchEvent
from hypernova_kube.resources import Resource
from support.builders import an_instance
from support.waiting import eventually

CRDS = Path(__file__).parents[3] / "crds"
INSTANCES = Resource.of(Instance)


def test_the_files_are_taken_without_a_warning(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--warnings-as-errors", f"--filename={CRDS}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_kind_is_established_and_structural(kind: type[Kind], cluster: Cluster) -> None:
    definition = cluster.admin.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{GROUP}")

    conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


def test_the_policies_expressions_have_no_type_error(cluster: Cluster) -> None:
    def checked() -> dict[str, Any] | None:
        policy = cluster.admin.get(
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
            "/instance-created-by.compute.hypernova.dev"
        )
        status: dict[str, Any] = policy.get("status", {})
        return status if status.get("observedGeneration") == policy["metadata"]["generation"] else None

    assert eventually(checked, "the policy to be type-checked")["typeChecking"] == {}


@pytest.mark.parametrize("field", Instance.selectable)
async def test_every_selectable_field_selects(field: str, objects: Any, client: Client) -> None:
    values = {".spec.flavor": "large", ".spec.image.name": "other", ".status.phase": "Failed", ".status.nodeName": "b"}
    made = await objects.create(an_instance("chosen", flavor="large", image={"name": "other"}))
    await objects.create(an_instance("ordinary"))
    await objects.patch(made, {"status": {"phase": "Failed", "nodeName": "b"}}, "status")

    found = await client.list(
        INSTANCES, namespace=objects.namespace, field_selector=f"{field.removeprefix('.')}={values[field]}"
    )

    assert [item["metadata"]["name"] for item in found.items] == ["chosen"]


async def test_a_watch_by_node_name_sees_instances_come_and_go(objects: Any, client: Client) -> None:
    first, second = await objects.create(an_instance("first")), await objects.create(an_instance("second"))
    selector = {"namespace": objects.namespace, "field_selector": "status.nodeName=node-a"}
    start = await client.list(INSTANCES, **selector)
    watch = client.watch(INSTANCES, resource_version=start.resource_version, timeout_seconds=60, **selector)

    async with aclosing(watch) as events:
        await objects.patch(second, {"status": {"nodeName": "node-b"}}, "status")
        await objects.patch(first, {"status": {"nodeName": "node-a"}}, "status")
        assert await next_change(events) == ("ADDED", "first")
        await objects.patch(first, {"status": {"phase": "Running"}}, "status")
        assert await next_change(events) == ("MODIFIED", "first")
        await objects.patch(first, {"status": {"nodeName": "node-b"}}, "status")
        assert await next_change(events) == ("DELETED", "first")


async def next_change(events: AsyncIterator[WatchEvent]) -> tuple[str, str]:
    async for event in events:
        if event.type != "BOOKMARK":
            return event.type, event.object["metadata"]["name"]
    raise AssertionError("the watch ended")


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("view", ["get instances", "list images"], ["create instances", "delete keypairs"]),
        (
            "edit",
            ["get instances", "create instances", "patch images", "delete keypairs"],
            ["patch instances --subresource=status"],
        ),
        ("admin", ["get instances", "create instances", "delete images"], ["patch instances --subresource=status"]),
    ],
)
def test_kubernetes_own_roles_cover_our_kinds(
    role: str, may: list[str], may_not: list[str], cluster: Cluster, namespace: str
) -> None:
    cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", "--user=ann", f"--namespace={namespace}")

    def allowed(deed: str) -> bool:
        try:
            answer = cluster.kubectl("auth", "can-i", *deed.split(), "--as=ann", f"--namespace={namespace}")
        except ClusterError:  # kubectl's exit status for a no
            return False
        return answer == "yes\n"

    eventually(lambda: allowed(may[0]), "Kubernetes to aggregate the roles")
    assert [deed for deed in may if not allowed(deed)] == []
    assert [deed for deed in may_not if allowed(deed)] == []


def test_flavors_are_for_everybody_to_see_and_for_nobody_to_make(cluster: Cluster) -> None:
    anybody = ["--as=ann", "--as-group=system:authenticated"]

    assert json.loads(cluster.kubectl("get", "flavors", "--output=json", *anybody))["kind"] == "List"
    with pytest.raises(ClusterError, match='cannot create resource "flavors"'):
        cluster.kubectl("create", "--filename=-", *anybody, input=json.dumps(A_FLAVOR))


A_FLAVOR = {
    "apiVersion": f"{GROUP}/v1alpha1",
    "kind": "Flavor",
    "metadata": {"name": "mine"},
    "spec": {"vcpus": 1, "memory": "1Gi"},
}
