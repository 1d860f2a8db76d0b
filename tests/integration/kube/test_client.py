"""The verbs on a real API server."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from hypernova_kube import transport
from hypernova_kube.client import Client, PatchType
from hypernova_kube.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    Unreachable,
)
from hypernova_kube.resources import LEASES, NODES, Object, Resource
from support.proxy import TcpProxy, proxied, proxy_of
from support.waiting import eventually_async

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


def a_config_map(namespace: str, name: str = "a", **data: str) -> Object:
    return {"metadata": {"namespace": namespace, "name": name, "labels": {"of": "test"}}, "data": data}


@pytest.fixture
async def proxy(cluster) -> AsyncIterator[TcpProxy]:
    async with proxy_of(cluster) as proxy:
        yield proxy


async def names(client, namespace, **options) -> list[str]:
    listing = await client.list(CONFIG_MAPS, namespace=namespace, label_selector="of=test", **options)
    return [item["metadata"]["name"] for item in listing.items]


async def test_create_get_replace_delete(client, namespace):
    created = await client.create(CONFIG_MAPS, a_config_map(namespace, colour="red"))
    assert created["metadata"]["uid"]
    assert (await client.get(CONFIG_MAPS, "a", namespace))["data"] == {"colour": "red"}
    replaced = await client.replace(CONFIG_MAPS, {**created, "data": {"colour": "blue"}})
    assert replaced["data"] == {"colour": "blue"}
    await client.delete(CONFIG_MAPS, "a", namespace)
    with pytest.raises(NotFound, match='configmaps "a" not found'):
        await client.get(CONFIG_MAPS, "a", namespace)


async def test_a_name_can_be_taken_once(client, namespace):
    await client.create(CONFIG_MAPS, a_config_map(namespace))
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, a_config_map(namespace))


async def test_a_write_that_presumes_another_version_is_a_conflict(client, namespace):
    old = await client.create(CONFIG_MAPS, a_config_map(namespace))
    await client.patch(CONFIG_MAPS, "a", {"data": {"n": "1"}}, namespace)
    version = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict):
        await client.replace(CONFIG_MAPS, old)
    with pytest.raises(Conflict):
        await client.patch(CONFIG_MAPS, "a", {**version, "data": {"n": "2"}}, namespace)


async def test_a_delete_that_means_another_object_is_a_conflict(client, namespace):
    await client.create(CONFIG_MAPS, a_config_map(namespace))
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "a", namespace, uid="00000000-0000-0000-0000-000000000000")
    assert await names(client, namespace) == ["a"]


async def test_patches_of_each_kind(client, namespace):
    await client.create(CONFIG_MAPS, a_config_map(namespace, keep="1", drop="1"))
    merged = await client.patch(CONFIG_MAPS, "a", {"data": {"drop": None, "new": "2"}}, namespace)
    assert merged["data"] == {"keep": "1", "new": "2"}

    operations = [
        {"op": "test", "path": "/data/new", "value": "2"},
        {"op": "replace", "path": "/data/new", "value": "3"},
    ]
    changed = await client.patch(CONFIG_MAPS, "a", operations, namespace, kind=PatchType.JSON)
    assert changed["data"]["new"] == "3"
    with pytest.raises(Invalid):
        await client.patch(CONFIG_MAPS, "a", operations, namespace, kind=PatchType.JSON)

    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"new": "4"}}
    applied = await client.patch(
        CONFIG_MAPS, "a", wanted, namespace, kind=PatchType.APPLY, field_manager="hypernova-test"
    )
    assert applied["data"] == {"keep": "1", "new": "4"}
    assert "hypernova-test" in {entry["manager"] for entry in applied["metadata"]["managedFields"]}


async def test_a_subresource_is_written_apart(client):
    name = f"node-{random.randrange(10**9)}"
    await client.create(NODES, {"metadata": {"name": name}})
    try:
        await client.patch(NODES, name, {"status": {"capacity": {"pods": "7"}}}, subresource="status")
        assert (await client.get(NODES, name))["status"]["capacity"] == {"pods": "7"}
    finally:
        await client.delete(NODES, name)


async def test_what_the_schema_refuses_is_invalid_and_says_why(client, namespace):
    lease = {"metadata": {"namespace": namespace, "name": "a"}, "spec": {"leaseDurationSeconds": -1}}
    with pytest.raises(Invalid, match="leaseDurationSeconds: Invalid value") as refused:
        await client.create(LEASES, lease)
    assert refused.value.details["causes"][0]["field"] == "spec.leaseDurationSeconds"


async def test_a_selector_that_makes_no_sense_is_a_bad_request(client, namespace):
    with pytest.raises(BadRequest, match="invalid"):
        await client.list(CONFIG_MAPS, namespace=namespace, field_selector="!")


async def test_a_list_of_many_pages_is_whole(client, namespace):
    wanted = [f"a-{number:02}" for number in range(23)]
    for name in wanted:
        await client.create(CONFIG_MAPS, a_config_map(namespace, name))
    assert await names(client, namespace, page_size=5) == wanted
    metadata = await client.list_metadata(CONFIG_MAPS, namespace=namespace, label_selector="of=test", page_size=5)
    assert [item["metadata"]["name"] for item in metadata.items] == wanted
    assert "data" not in metadata.items[0]
    assert metadata.items[0]["kind"] == "ConfigMap"
    one = await client.list(CONFIG_MAPS, namespace=namespace, field_selector="metadata.name=a-07")
    assert one.items[0]["apiVersion"] == "v1"
    assert len(one.items) == 1


async def test_a_watch_goes_on_from_a_list_and_ends_when_it_was_told_to(client, namespace):
    version = (await client.list(CONFIG_MAPS, namespace=namespace)).resource_version
    await client.create(CONFIG_MAPS, a_config_map(namespace, n="1"))
    await client.create(CONFIG_MAPS, {"metadata": {"namespace": namespace, "name": "unlabelled"}})
    await client.patch(CONFIG_MAPS, "a", {"data": {"n": "2"}}, namespace)
    await client.delete(CONFIG_MAPS, "a", namespace)
    events = [
        event
        async for event in client.watch(
            CONFIG_MAPS,
            resource_version=version,
            namespace=namespace,
            label_selector="of=test",
            timeout_seconds=1,
        )
        if event.type != "BOOKMARK"
    ]
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert [event.object["data"]["n"] for event in events] == ["1", "2", "2"]
    assert "managedFields" not in events[0].object["metadata"]


async def test_an_object_as_large_as_etcd_takes_passes_a_watch(client, namespace):
    version = (await client.list(CONFIG_MAPS, namespace=namespace)).resource_version
    text = "".join(random.choices("abcdefghij", k=1_000_000))
    await client.create(CONFIG_MAPS, a_config_map(namespace, text=text))
    watch = client.watch(CONFIG_MAPS, resource_version=version, namespace=namespace, label_selector="of=test")
    assert (await anext(watch)).object["data"] == {"text": text}
    await watch.aclose()


async def test_endpoints_that_are_no_resource_are_read_as_text(client):
    assert await client.get_raw("/readyz") == "ok"
    assert "apiserver_request_total" in await client.get_raw("/metrics")


async def test_an_answer_that_never_comes_is_unreachable_not_a_hang(cluster, proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.5)
    async with await Client.connect(proxied(cluster, proxy, tmp_path)) as client:
        await client.get_raw("/readyz")
        proxy.stall()
        with pytest.raises(Unreachable, match="GET /readyz"):
            await client.get_raw("/readyz")
        assert await client.get_raw("/readyz") == "ok"  # by a new connection


async def test_a_cut_connection_costs_one_request_at_most(cluster, proxy, tmp_path):
    async with await Client.connect(proxied(cluster, proxy, tmp_path)) as client:
        await client.get_raw("/readyz")
        proxy.refuse()
        with pytest.raises(Unreachable):
            await client.get_raw("/readyz")
        proxy.serve()
        assert await client.get_raw("/readyz") == "ok"


async def test_connections_are_made_anew_and_whoever_waits_on_an_old_one_is_told(cluster, proxy, tmp_path, namespace):
    async with await Client.connect(proxied(cluster, proxy, tmp_path)) as client:
        watch = client.watch(CONFIG_MAPS, resource_version="0", namespace=namespace)
        while (await anext(watch)).type != "BOOKMARK":
            pass  # what was there before
        proxy.stall()
        asking = [asyncio.create_task(anext(watch)), asyncio.create_task(client.get_raw("/readyz"))]
        await asyncio.sleep(0)
        await client.reconnect()
        async with asyncio.timeout(10):
            told = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(told[0], Unreachable)
        assert await client.get_raw("/readyz") == "ok"


async def test_a_watch_that_is_left_early_closes_its_connection(cluster, proxy, tmp_path, namespace):
    async with await Client.connect(proxied(cluster, proxy, tmp_path)) as client:
        watch = client.watch(CONFIG_MAPS, resource_version="0", namespace=namespace)
        await anext(watch)  # the namespace's kube-root-ca.crt
        await watch.aclose()
        await eventually_async(lambda: proxy.connections == 0, "the connection's end")


async def test_a_watch_given_up_for_its_silence_closes_its_connection_though_nobody_answers(
    cluster, proxy, tmp_path, namespace
):
    async with await Client.connect(proxied(cluster, proxy, tmp_path)) as client:
        watch = client.watch(CONFIG_MAPS, resource_version="0", namespace=namespace)
        await anext(watch)  # the namespace's kube-root-ca.crt
        proxy.stall()
        await watch.aclose()
        await eventually_async(lambda: proxy.connections == 0, "the connection to be closed", 10)
