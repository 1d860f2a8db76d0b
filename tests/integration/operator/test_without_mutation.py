"""Clusters without MutatingAdmissionPolicy, as before Kubernetes 1.36: the operator protects Instances itself.

Who created an Instance or an InstanceAction is not known there, unless they say so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from hack.devcluster import Cluster, install
from hack.devcluster.components import WITHOUT_MUTATION
from hack.devcluster.errors import ClusterError
from hypernova_api.action import ADMINISTER
from hypernova_api.meta import CREATED_BY, FINALIZER
from hypernova_kube.client import WatchEvent
from hypernova_kube.errors import ApiError, Forbidden
from hypernova_kube.resources import Object
from support.builders import a_quota, an_action
from support.operators import INSTANCES, RESOURCES, Cloud, OperatorProcess
from support.waiting import eventually_async

ADMIN = "admin"
ACTIONS = RESOURCES["InstanceAction"]
THEIRS = "example.com/audit"


@pytest.fixture(scope="module")
def clean_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """In place of the other tests' cluster. As 1.33, it does not stream lists either."""
    flags = [*WITHOUT_MUTATION, "--feature-gates=WatchList=false"]
    with Cluster(tmp_path_factory.mktemp("without-mutation"), api_server=flags) as cluster:
        install(cluster)
        yield cluster


def finalizers(obj: Object) -> list[str]:
    return list(obj["metadata"].get("finalizers", []))


def replace(cloud: Cloud, obj: Object, **metadata: Any) -> None:
    """As `kubectl replace` of what somebody has in a file: metadata is what they wrote there."""
    name = obj["metadata"]["name"]
    there = {"name": name, "namespace": cloud.namespace} | metadata
    manifest = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": there, "spec": obj["spec"]}
    cloud.cluster.kubectl("replace", "--filename=-", input=json.dumps(manifest))


async def protected(cloud: Cloud, name: str = "web-1") -> Object:
    """The Instance once it has our finalizer."""

    async def look() -> Object | None:
        obj = await cloud.get(name)
        return obj if obj is not None and FINALIZER in finalizers(obj) else None

    return await eventually_async(look, f"{name} to have our finalizer")


@pytest.fixture
async def seen(cloud: Cloud) -> AsyncIterator[list[WatchEvent]]:
    """Every version of every Instance of the namespace from here on."""
    seen: list[WatchEvent] = []
    version = (await cloud.client.list(INSTANCES, namespace=cloud.namespace)).resource_version

    async def watch() -> None:
        async for event in cloud.client.watch(INSTANCES, namespace=cloud.namespace, resource_version=version):
            if event.type != "BOOKMARK":
                seen.append(event)

    watching = asyncio.create_task(watch())
    yield seen
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def test_such_a_cluster_has_no_mutating_policy_and_streams_no_list(clean_cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match="the server doesn't have a resource type"):
        clean_cluster.kubectl("get", "mutatingadmissionpolicies")
    streamed = "/api/v1/namespaces?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    with pytest.raises(ClusterError, match="sendInitialEvents is forbidden"):
        clean_cluster.admin.get(f"{streamed}&allowWatchBookmarks=true&timeoutSeconds=1")


async def test_while_no_operator_runs_an_instance_is_nobodys_and_goes_at_once(cloud: Cloud) -> None:
    instance = await cloud.instance()
    assert (finalizers(instance), instance["metadata"].get("annotations")) == ([], None)
    await cloud.delete()
    await cloud.gone(seconds=0.5)


@pytest.mark.usefixtures("operator")
async def test_an_instance_gets_our_finalizer_before_its_node_and_beside_others(
    cloud: Cloud, seen: list[WatchEvent]
) -> None:
    await cloud.host()
    await cloud.instance(finalizers=[THEIRS])
    bound = await cloud.bound()
    assert finalizers(bound) == [THEIRS, FINALIZER]

    async def told() -> bool:
        return any("nodeName" in event.object.get("status", {}) for event in seen)

    await eventually_async(told, "the watch to tell of the binding")
    first, *later = (finalizers(event.object) for event in seen)
    assert first == [THEIRS]
    assert all(each == [THEIRS, FINALIZER] for each in later)


@pytest.mark.usefixtures("operator")
async def test_one_that_waits_is_protected_and_can_be_deleted(cloud: Cloud) -> None:
    await cloud.instance()
    await cloud.refused("NoHostFits")
    await protected(cloud)
    await cloud.delete()
    await cloud.gone()


@pytest.mark.usefixtures("operator")
async def test_whoever_is_deleted_once_it_has_our_finalizer_is_held_by_it_or_was_never_bound(
    cloud: Cloud, seen: list[WatchEvent]
) -> None:
    await cloud.host(vcpus=64, memory="64Gi")
    # One that is deleted before it has our finalizer goes even if it gets that, and a node, within the milliseconds
    # which the API server takes between looking for finalizers and deleting.
    at_once, once_protected, once_bound = ([f"{when}-{number}" for number in range(5)] for when in "abc")

    async def comes_and_goes(name: str) -> None:
        await cloud.instance(name)
        if name in once_protected:
            await protected(cloud, name)  # it is being bound just now
        elif name in once_bound:
            await cloud.bound(name)
        await cloud.delete(name)

    names = [*at_once, *once_protected, *once_bound]
    await asyncio.gather(*map(comes_and_goes, names))
    await cloud.instance("last")  # when it is bound, those before it have been decided
    await cloud.bound("last")

    async def settled() -> bool:
        left = [each for each in await cloud.all() if each["metadata"]["name"] != "last"]
        return all("nodeName" in each.get("status", {}) for each in left)

    await eventually_async(settled, "those that have no node to be gone")
    held = {each["metadata"]["name"] for each in await cloud.all()} - {"last"}

    async def told() -> bool:
        return {event.object["metadata"]["name"] for event in seen if event.type == "DELETED"} >= set(names) - held

    await eventually_async(told, "the watch to tell of all that are gone")
    bound = [event.object for event in seen if "nodeName" in event.object.get("status", {})]
    assert all(FINALIZER in finalizers(each) for each in bound)
    assert {each["metadata"]["name"] for each in bound} - (set(at_once) - held) == held | {"last"}
    assert held >= set(once_bound)


@pytest.mark.usefixtures("operator")
async def test_a_finalizer_that_kubectl_replace_leaves_out_is_put_back(cloud: Cloud) -> None:
    await cloud.host()
    instance = await cloud.instance()
    bound = await cloud.bound()
    replace(cloud, instance, labels={"replaced": "yes"}, finalizers=[THEIRS])
    after = await protected(cloud)
    assert (finalizers(after), after["metadata"]["labels"]) == ([THEIRS, FINALIZER], {"replaced": "yes"})
    assert after["status"]["nodeName"] == bound["status"]["nodeName"]


async def test_between_replace_and_the_operator_the_instance_cannot_be_deleted(
    cloud: Cloud, operator: OperatorProcess
) -> None:
    await cloud.host()
    instance = await cloud.instance()
    await cloud.bound()
    operator.stop()
    replace(cloud, instance)
    assert finalizers(await cloud.get() or {}) == []
    with pytest.raises(Forbidden, match=r"its guest would run on node .* the operator puts it back"):
        await cloud.delete()
    operator.start()
    await protected(cloud)
    await cloud.delete()
    assert "deletionTimestamp" in (await cloud.get() or {})["metadata"]
    await cloud.finish("web-1")
    await cloud.gone()


@pytest.mark.usefixtures("operator")
async def test_who_says_who_they_are_is_counted_by_name_and_all_others_as_one(cloud: Cloud) -> None:
    await cloud.host()
    quota = await cloud.create(a_quota(namespace=cloud.namespace, perUser={"instances": 1}))
    await cloud.instance("named", annotations={CREATED_BY: ADMIN})
    await cloud.instance("nobodys-1")
    await cloud.bound("named")
    await cloud.bound("nobodys-1")
    await cloud.instance("nobodys-2")
    assert "used by somebody unknown" in await cloud.refused("QuotaExceeded", "nobodys-2")
    with pytest.raises(ApiError, match="can only name yourself"):
        await cloud.instance("forged", annotations={CREATED_BY: "ann"})
    await cloud.remove(quota)
    await cloud.bound("nobodys-2")


@pytest.mark.usefixtures("operator")
async def test_who_created_it_is_kept_as_it_was_said_and_replace_has_to_repeat_it(cloud: Cloud) -> None:
    instance = await cloud.instance(annotations={CREATED_BY: ADMIN})
    await protected(cloud)
    with pytest.raises(ClusterError, match=f"the annotation {CREATED_BY} cannot be added, changed or removed"):
        replace(cloud, instance)
    replace(cloud, instance, annotations={CREATED_BY: ADMIN})
    assert (await protected(cloud))["metadata"]["annotations"] == {CREATED_BY: ADMIN}


@pytest.mark.usefixtures("operator")
async def test_an_action_runs_though_nobody_knows_who_asked_for_it(cloud: Cloud) -> None:
    await cloud.host()
    await cloud.instance()
    await cloud.bound()
    nobodys = await cloud.create(an_action(name="nobodys", namespace=cloud.namespace))
    named = await cloud.create(an_action(name="named", namespace=cloud.namespace, annotations={CREATED_BY: ADMIN}))
    for action in (nobodys, named):
        await cloud.says(action, "Complete", "False", "Admitted")
    assert "requestedBy" not in (await cloud.client.get(ACTIONS, "nobodys", cloud.namespace))["status"]
    assert (await cloud.client.get(ACTIONS, "named", cloud.namespace))["status"]["requestedBy"] == ADMIN


@pytest.mark.usefixtures("operator")
async def test_for_a_locked_instance_an_administrator_says_so(cloud: Cloud) -> None:
    await cloud.host()
    await cloud.instance(locked={"reason": "audit"})
    await cloud.bound()
    plain = await cloud.create(an_action(name="plain", namespace=cloud.namespace))
    assert f'create the action anew with the annotation {ADMINISTER}: "true"' in await cloud.says(
        plain, "Complete", "False", "Locked"
    )
    said = an_action(name="said", namespace=cloud.namespace, annotations={ADMINISTER: "true"})
    await cloud.says(await cloud.create(said), "Complete", "False", "Admitted")
    reset = an_action("ResetState", "reset", cloud.namespace)
    await cloud.says(await cloud.create(reset), "Complete", "False", "Admitted")


@pytest.mark.usefixtures("operator")
async def test_only_administrators_can_say_so(cloud: Cloud) -> None:
    role = ["create", "rolebinding", "edit", "--clusterrole=edit", "--user=bob", f"--namespace={cloud.namespace}"]
    cloud.cluster.kubectl(*role)
    as_bob = ["create", "--filename=-", "--as=bob", "--as-group=system:authenticated"]
    claim = an_action(name="claim", namespace=cloud.namespace, annotations={ADMINISTER: "true"})

    async def may() -> bool:
        try:
            plain = an_action(name="plain", namespace=cloud.namespace)
            cloud.cluster.kubectl(*as_bob, input=json.dumps(plain))
        except ClusterError:
            return False
        return True

    await eventually_async(may, "bob to be an editor")
    with pytest.raises(ClusterError, match="which bob may not: leave it out"):
        cloud.cluster.kubectl(*as_bob, input=json.dumps(claim))
