"""The API server takes our CRDs, policies and roles without a complaint, and serves what they promise."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hack.devcluster.install import kinds_and_policies
from hypernova_api.instance import Instance
from hypernova_api.kinds import KINDS
from hypernova_api.meta import GROUP, Kind
from hypernova_kube.client import Client, WatchEvent
from hypernova_kube.resources import Object, Resource
from support.builders import a_flavor, a_zone, an_instance
from support.waiting import eventually

INSTANCES = Resource.of(Instance)


def test_the_files_are_taken_without_a_warning(cluster: Cluster) -> None:
    files = (f"--filename={path}" for path in kinds_and_policies(cluster.admin))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--warnings-as-errors", *files)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_kind_is_established_and_structural(kind: type[Kind], cluster: Cluster) -> None:
    definition = cluster.admin.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{GROUP}")

    conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize(
    "name", ["instance-created-by", "instance-host", "instance-lock", "instance-action-administer"]
)
def test_the_policies_expressions_have_no_type_error(name: str, cluster: Cluster) -> None:
    def checked() -> dict[str, Any] | None:
        policy = cluster.admin.get(f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{name}.{GROUP}")
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
        (
            "view",
            ["get instances", "list images", "get computequotas", "list instancegroups", "watch instanceactions"],
            ["create instances", "delete keypairs", "create instancegroups", "create instanceactions"],
        ),
        (
            "edit",
            ["get instances", "create instances", "patch images", "delete keypairs", "create instanceactions"],
            [
                *(f"patch {kind} --subresource=status" for kind in ("instances", "instanceactions")),
                *("patch computequotas", "use hypervisors", "administer instances", "list hostaggregates"),
            ],
        ),
        (
            "admin",
            ["get instances", "create instances", "delete images", "delete instancegroups", "watch computequotas"],
            [
                *("patch instances --subresource=status", "administer instances"),
                *(f"{verb} computequotas" for verb in ("create", "update", "patch", "delete", "deletecollection")),
                *("get hypervisors", "use hypervisors", "create hostaggregates", "patch availabilityzones"),
            ],
        ),
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


ANYBODY = ["--as=ann", "--as-group=system:authenticated"]


@pytest.mark.parametrize("obj", [a_flavor("mine"), a_zone("mine")], ids=lambda obj: obj["kind"])
def test_flavors_and_zones_are_for_everybody_to_see_and_for_nobody_to_make(obj: Object, cluster: Cluster) -> None:
    kind = next(kind for kind in KINDS if kind.kind == obj["kind"])

    assert json.loads(cluster.kubectl("get", kind.plural, "--output=json", *ANYBODY))["kind"] == "List"
    with pytest.raises(ClusterError, match=f'cannot create resource "{kind.plural}"'):
        cluster.kubectl("create", "--filename=-", *ANYBODY, input=json.dumps(obj))


@pytest.mark.parametrize("plural", ["hostaggregates", "hypervisors"])
def test_what_a_zone_is_made_of_is_not_for_everybody_to_see(plural: str, cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=f'cannot list resource "{plural}"'):
        cluster.kubectl("get", plural, *ANYBODY)


def test_an_admin_of_a_namespace_cannot_give_himself_the_right_to_lift_his_limits(
    cluster: Cluster, namespace: str
) -> None:
    cluster.kubectl("create", "rolebinding", "admin", "--clusterrole=admin", "--user=ann", f"--namespace={namespace}")
    escalate = ["create", "role", "lift", "--verb=delete", f"--resource=computequotas.{GROUP}", *ANYBODY]

    def refused() -> str:
        with pytest.raises(ClusterError) as refusal:
            cluster.kubectl(*escalate, f"--namespace={namespace}")
        return str(refusal.value) if "cannot create resource" not in str(refusal.value) else ""

    assert "is attempting to grant RBAC permissions not currently held" in eventually(refused, "ann to be an admin")
