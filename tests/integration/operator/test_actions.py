"""InstanceActions on the real API server: who may have what done, and what the operator makes of it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_api.action import ADMINISTER
from hypernova_api.conditions import timestamp
from hypernova_api.meta import CREATED_BY
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Object
from support.builders import a_condition, a_key_pair, an_action, an_image
from support.operators import RESOURCES, Cloud, FakeAgent
from support.waiting import eventually_async

pytestmark = pytest.mark.usefixtures("operator")

ACTIONS = RESOURCES["InstanceAction"]
FILE = {"sha256": "cd" * 32, "format": "qcow2", "size": "1Gi"}


async def act(cloud: Cloud, type_: str = "Reboot", name: str = "act-1", **parts: Any) -> Object:
    return await cloud.create(an_action(type_, name, cloud.namespace, **parts))


async def ended(cloud: Cloud, action: Object, status: str = "True", reason: str = "Done", **facts: Any) -> None:
    """What the node's agent writes at the end."""
    now = timestamp(datetime.now(UTC))
    facts |= {
        "phase": "Succeeded" if status == "True" else "Failed",
        "completionTime": now,
        "conditions": [a_condition("Complete", status == "True", reason) | {"lastTransitionTime": now}],
    }
    name = action["metadata"]["name"]
    await cloud.client.patch(ACTIONS, name, {"status": facts}, cloud.namespace, subresource="status")


async def gone(cloud: Cloud, action: Object) -> None:
    async def look() -> bool:
        try:
            await cloud.client.get(ACTIONS, action["metadata"]["name"], cloud.namespace)
        except NotFound:
            return True
        return False

    await eventually_async(look, "the action to be gone")


async def a_bound_instance(cloud: Cloud, **spec: Any) -> tuple[FakeAgent, Object]:
    host = await cloud.host()
    await cloud.instance(**spec)
    return host, await cloud.bound(to=host.name)


async def admitted(cloud: Cloud, action: Object) -> Object:
    await cloud.says(action, "Complete", "False", "Admitted")
    return await cloud.status(action, "admitted", lambda status: status.get("nodeName"))


@pytest.mark.usefixtures("mutating")
async def test_an_action_is_its_nodes_with_all_that_the_agent_needs_to_know(cloud: Cloud) -> None:
    host, instance = await a_bound_instance(cloud)
    await cloud.create(an_image("new", cloud.namespace))
    await cloud.create(a_key_pair("dev", cloud.namespace))
    status = await admitted(cloud, await act(cloud, "Rebuild", rebuild={"image": {"name": "new"}, "keyPairs": ["dev"]}))
    assert (status["phase"], status["nodeName"], status["requestedBy"]) == ("Pending", host.name, "admin")
    assert status["instanceUID"] == instance["metadata"]["uid"]
    assert status["rebuild"]["image"]["name"] == "new"
    assert [each["name"] for each in status["rebuild"]["keyPairs"]] == ["dev"]
    rescue = await admitted(cloud, await act(cloud, "Rescue", "act-2"))
    assert rescue["rescueImage"] == instance["status"]["image"]


async def test_what_is_applied_in_any_order_works(cloud: Cloud) -> None:
    action = await act(cloud, "Rebuild", rebuild={"image": {"name": "new"}})
    await cloud.says(action, "Complete", "False", "InstanceNotFound")
    await cloud.instance()
    await cloud.says(action, "Complete", "False", "InstanceNotBound")
    await cloud.host()
    await cloud.says(action, "Complete", "False", "ImageNotFound")
    await cloud.create(an_image("new", cloud.namespace))
    await admitted(cloud, action)


@pytest.mark.usefixtures("mutating")
async def test_a_locked_instance_is_acted_on_for_administrators_only(cloud: Cloud) -> None:
    await a_bound_instance(cloud, locked={"reason": "audit until Friday"})
    binding = ["create", "rolebinding", "bob", "--clusterrole=edit", "--user=bob", f"--namespace={cloud.namespace}"]
    cloud.cluster.kubectl(*binding)
    manifest = json.dumps(an_action(namespace=cloud.namespace))
    ask = ["create", "--filename=-", "--as=bob", "--as-group=system:authenticated"]

    async def ask_as_bob() -> bool:
        await asyncio.to_thread(cloud.cluster.kubectl, *ask, input=manifest)
        return True

    await eventually_async(ask_as_bob, "bob's right to be in force")
    words = await cloud.says(an_action(namespace=cloud.namespace), "Complete", "False", "Locked")
    assert words.startswith("the Instance is locked (audit until Friday): only who may `administer` it can act on it")
    assert "which bob may not" in words
    assert await eventually_async(lambda: cloud.events("Locked"), "an Event on the action")
    assert await eventually_async(lambda: cloud.events("ActionFailed"), "an Event on the Instance")

    mine = await act(cloud, name="act-2")
    assert mine["metadata"]["annotations"] == {CREATED_BY: "admin", ADMINISTER: "true"}
    await admitted(cloud, mine)


async def test_a_snapshot_becomes_an_image_that_boots_where_it_is_and_nowhere_else(cloud: Cloud) -> None:
    host, _ = await a_bound_instance(cloud)
    action = await act(cloud, "Snapshot", snapshot={"imageName": "sunday"})
    await admitted(cloud, action)
    await ended(cloud, action, snapshot=FILE)
    await cloud.says(action, "ImageCreated", "True")
    image = await cloud.client.get(RESOURCES["Image"], "sunday", cloud.namespace)
    assert image["spec"]["source"] == {"nodeName": host.name, "sha256": "cd" * 32}
    assert image["metadata"]["labels"] == {"compute.hypernova.dev/instance": "web-1"}

    other = await cloud.host(vcpus=32, memory="64Gi")
    await cloud.usable(2)
    await cloud.instance("web-2", image={"name": "sunday"})
    bound = await cloud.bound("web-2", to=host.name)
    assert bound["status"]["image"]["nodeName"] == host.name
    await host.edit(maintenance=True)
    await cloud.instance("web-3", image={"name": "sunday"})
    words = f"1 without its Image (a snapshot that is only on node {host.name})"
    await cloud.refused("NoHostFits", "web-3", message=words)
    await cloud.instance("web-4")
    await cloud.bound("web-4", to=other.name)

    again = await act(cloud, "Snapshot", "act-2", snapshot={"imageName": "sunday"})
    await cloud.says(again, "Complete", "False", "ImageExists")


async def test_a_finished_action_goes_when_its_time_has_come_and_the_others_stay(cloud: Cloud) -> None:
    await a_bound_instance(cloud)
    short = await act(cloud, ttlSecondsAfterFinished=0)
    long = await act(cloud, name="act-2")
    for action in (short, long):
        await admitted(cloud, action)
        await ended(cloud, action)
    await gone(cloud, short)
    assert await cloud.client.get(ACTIONS, "act-2", cloud.namespace)


async def test_an_action_ends_with_its_instance(cloud: Cloud) -> None:
    await a_bound_instance(cloud)
    action = await act(cloud)
    await admitted(cloud, action)
    await cloud.finish("web-1")
    await cloud.says(action, "Complete", "False", "InstanceDeleted")
    assert (await cloud.client.get(ACTIONS, "act-1", cloud.namespace))["status"]["phase"] == "Failed"


@pytest.mark.usefixtures("mutating")
async def test_what_is_done_to_an_instance_is_told_on_it(cloud: Cloud) -> None:
    await a_bound_instance(cloud)
    action = await act(cloud)
    await admitted(cloud, action)
    await ended(cloud, action, "False", "GuestAgentUnavailable")
    events = await eventually_async(lambda: cloud.events("ActionFailed"), "an Event on the Instance")
    assert [event["involvedObject"]["kind"] for event in events] == ["Instance"]
    assert events[0]["message"].startswith("Reboot (act-1, by admin): GuestAgentUnavailable")
    await cloud.remove(action)


async def test_an_action_on_a_lost_node_says_so_and_goes_on_with_it(cloud: Cloud) -> None:
    host = await cloud.host(duration=3)
    await cloud.instance()
    await cloud.bound()
    action = await act(cloud)
    await admitted(cloud, action)
    await host.fall_silent()
    assert host.name in await cloud.says(action, "Complete", "False", "NodeLost")
    host.beat()
    back = {"phase": "Running", "conditions": [a_condition("Ready")]}
    await cloud.client.patch(RESOURCES["Instance"], "web-1", {"status": back}, cloud.namespace, subresource="status")
    await cloud.says(action, "Complete", "False", "Admitted")
