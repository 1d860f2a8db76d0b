"""Events as people meet them: in `kubectl describe`."""

import asyncio
import re
from contextlib import asynccontextmanager, suppress

import pytest

from hypernova_kube import events
from hypernova_kube.events import EventRecorder
from hypernova_kube.resources import EVENTS, NODES, Resource
from support.waiting import eventually_async

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


@asynccontextmanager
async def recording(client):
    recorder = EventRecorder(client, "hypernova-agent", "node-a")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_kubectl_describe_shows_what_happened_and_how_often(cluster, client, namespace, monkeypatch):
    monkeypatch.setattr(events, "UPDATE_SECONDS", 0.1)
    obj = await client.create(CONFIG_MAPS, {"metadata": {"namespace": namespace, "name": "a"}})
    async with recording(client) as recorder:
        recorder.normal(obj, "Scheduled", "bound to node-a")
        for _ in range(5):
            recorder.warning(obj, "ImageChecksumMismatch", "want abc, got def")
        await eventually_async(lambda: described(cluster, namespace, "Scheduled"), "the first Event")
        recorder.warning(obj, "ImageChecksumMismatch", "want abc, got def")
        shown = await eventually_async(lambda: described(cluster, namespace, r"\(x6 over "), "the count")
    lines = [line.split() for line in shown[shown.index("Events:") :].splitlines()]
    normal = next(line for line in lines if "Scheduled" in line)
    warning = next(line for line in lines if "ImageChecksumMismatch" in line)
    assert normal[0] == "Normal"
    assert " ".join(normal[-4:]) == "hypernova-agent bound to node-a"
    assert warning[0] == "Warning"
    assert " ".join(warning[-5:]) == "hypernova-agent want abc, got def"
    stored = await client.list(EVENTS, namespace=namespace, field_selector=f"involvedObject.uid={uid(obj)}")
    assert sorted(event["count"] for event in stored.items) == [1, 6]


async def described(cluster, namespace: str, pattern: str) -> str | None:
    shown = await asyncio.to_thread(cluster.kubectl, "describe", "configmap", "a", "-n", namespace)
    return shown if re.search(pattern, shown) else None


def uid(obj) -> str:
    return obj["metadata"]["uid"]


@pytest.fixture
async def node(client, namespace):
    await client.create(NODES, {"metadata": {"name": namespace}})
    # As a reflector has it, from a list.
    yield (await client.list(NODES, field_selector=f"metadata.name={namespace}")).items[0]
    await client.delete(NODES, namespace)


async def test_events_of_cluster_scoped_objects_are_shown_too(cluster, client, node):
    name = node["metadata"]["name"]
    async with recording(client) as recorder:
        recorder.warning(node, "LibvirtGone", "libvirt does not answer")

        async def shown() -> bool:
            return "LibvirtGone" in await asyncio.to_thread(cluster.kubectl, "describe", "node", name)

        await eventually_async(shown, "the Event")


async def test_events_about_an_object_that_is_gone_with_its_namespace_are_dropped(client, namespace):
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": f"{namespace}-not", "name": "a", "uid": "u", "resourceVersion": "1"},
    }
    here = await client.create(CONFIG_MAPS, {"metadata": {"namespace": namespace, "name": "a"}})
    async with recording(client) as recorder:
        recorder.normal(obj, "A", "a")
        recorder.normal(here, "B", "b")

        async def written() -> bool:
            return bool((await client.list(EVENTS, namespace=namespace)).items)

        await eventually_async(written, "the other Event")
