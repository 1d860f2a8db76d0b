"""A sweep brings the cache up to date, with as few reads as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hypernova_kube.client import Listing, WatchEvent
from hypernova_kube.errors import NotFound, Unreachable
from hypernova_kube.resources import Key, Object, Resource, key_of
from hypernova_operator.cache import Cache
from hypernova_operator.cache.sweep import LIST_RATHER, Found, StoreRestored, Sweeper, catch_up, sweep
from hypernova_operator.metrics import Metrics
from support.builders import a_node, an_instance, stored
from support.virtual_time import virtual_time


class Server:
    """Nodes that can be listed and read."""

    def __init__(self, *names: str) -> None:
        self.nodes = {name: stored(a_node(name), resourceVersion="10") for name in names}
        self.version = 10
        self.reads: list[str] = []
        self.failures: list[Exception] = []

    async def list_metadata(self, resource: Resource) -> Listing:
        self.reads.append("metadata")
        if self.failures:
            raise self.failures.pop()
        nodes = self.nodes.values() if resource.plural == "nodes" else ()
        return Listing([{"metadata": node["metadata"]} for node in nodes], str(self.version))

    async def list(self, resource: Resource) -> Listing:
        self.reads.append("list")
        return Listing(list(self.nodes.values()), str(self.version))

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        self.reads.append(name)
        if name not in self.nodes:
            raise NotFound(404, "NotFound", "gone")
        return self.nodes[name]


async def test_nothing_new_is_one_list_of_metadata() -> None:
    server, cache = Server("a"), Cache()
    cache.nodes.put(server.nodes["a"])
    assert await sweep(server, cache.nodes) == Found(changed=0, gone=0)
    assert server.reads == ["metadata"]


async def test_an_object_that_is_older_than_it_was_shows_that_the_store_has_been_restored() -> None:
    server, cache = Server("a"), Cache()
    cache.nodes.put(stored(a_node("a"), resourceVersion="15"))
    assert await sweep(server, cache.nodes) == Found(changed=0, gone=0)  # the list may be older than what we know
    server.version = 1000
    with pytest.raises(StoreRestored):
        await sweep(server, cache.nodes)


async def test_a_few_differences_are_read_one_by_one() -> None:
    server, cache = Server("a", "b"), Cache()
    cache.nodes.put(stored(a_node("a"), resourceVersion="9"))
    cache.nodes.put(stored(a_node("c"), resourceVersion="9"))
    assert await sweep(server, cache.nodes) == Found(changed=2, gone=1)
    assert server.reads == ["metadata", "a", "b"]
    assert {node.key.name: node.version for node in cache.nodes.store} == {"a": 10, "b": 10}


async def test_many_differences_are_read_by_one_list() -> None:
    server, cache = Server(*(f"node-{number}" for number in range(LIST_RATHER + 1))), Cache()
    assert (await sweep(server, cache.nodes)).changed == LIST_RATHER + 1
    assert server.reads == ["metadata", "list"]
    assert len(cache.nodes.store) == LIST_RATHER + 1


async def test_what_is_deleted_during_a_sweep_does_not_end_it() -> None:
    server, cache = Server("a"), Cache()
    listed = await server.list_metadata(cache.nodes.resource)
    server.nodes.clear()
    server.list_metadata = lambda _: _answer(listed)
    assert await sweep(server, cache.nodes) == Found(changed=1, gone=0)
    assert cache.nodes.store.get(Key("", "a")) is None


@virtual_time
async def test_a_sweep_goes_on_until_all_has_been_seen() -> None:
    registry, server, cache = CollectorRegistry(), Server("a"), Cache()
    server.failures = [Unreachable("away"), Unreachable("still away")]
    sweeper = Sweeper(server, cache, 300, Metrics(registry))
    await sweeper.sweep()
    assert sweeper.swept.is_set()
    assert [key_of(node) for node in server.nodes.values()] == [node.key for node in cache.nodes.store]
    assert registry.get_sample_value("hypernova_cache_differences_total", {"what": "changed"}) == 1


@pytest.mark.parametrize(("poked", "seconds"), [(True, 2), (False, 300)], ids=["after a replay", "once in a while"])
def test_a_sweep_comes_soon_after_a_replay_and_else_once_in_a_while(poked: bool, seconds: float) -> None:
    @virtual_time
    async def test() -> None:
        server = Server()
        sweeper = Sweeper(server, Cache(), 300, Metrics())
        running = asyncio.create_task(sweeper.run())
        if poked:
            sweeper.poke()
        await asyncio.sleep(seconds - 1)
        assert server.reads == []
        await asyncio.sleep(2)
        assert len(server.reads) == len(Cache().kinds)
        running.cancel()

    test()


class Watched(Server):
    """Instances that a reflector follows, which has come to version 10; the server is at `at`."""

    def __init__(self, at: int, *events: WatchEvent) -> None:
        super().__init__()
        self.at = at
        self.events = events
        self.resource_version = "10"
        self.objects: dict[Key, Object] = {}

    async def current_version(self, resource: Resource) -> int:
        return self.at

    async def watch(self, resource: Resource, *, resource_version: str, **_: Any) -> AsyncIterator[WatchEvent]:
        assert resource_version == "10"
        for event in self.events:
            yield event


def web(name: str, version: int) -> Object:
    return stored(an_instance(name), resourceVersion=str(version))


def followed(*names: str) -> tuple[Cache, dict[Key, Object]]:
    """A cache that a reflector has filled, and what the reflector keeps."""
    cache, objects = Cache(), [web(name, 5) for name in names]
    for obj in objects:
        cache.instances.put(obj)
    return cache, {key_of(obj): obj for obj in objects}


def bookmark(version: int) -> WatchEvent:
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


async def test_what_was_written_before_a_catch_up_is_known_after_it_though_the_reflector_is_late() -> None:
    server = Watched(13, WatchEvent("MODIFIED", web("a", 11)), WatchEvent("DELETED", web("b", 12)), bookmark(13))
    cache, server.objects = followed("a", "b")
    assert await catch_up(server, cache.instances, server) == Found(changed=1, gone=0)
    assert {instance.key.name: instance.version for instance in cache.instances.store} == {"a": 11}


@pytest.mark.parametrize("events", [(), (bookmark(12),)], ids=["silence", "a bookmark of before"])
async def test_a_catch_up_that_has_not_come_to_the_present_is_none(events: tuple[WatchEvent, ...]) -> None:
    cache, _ = followed()
    with pytest.raises(Unreachable):
        await catch_up(Watched(13, *events), cache.instances, Watched(13))


async def test_there_is_no_catching_up_with_a_reflector_that_lists() -> None:
    cache, _ = followed()
    server = Watched(13, bookmark(13))
    server.resource_version = ""
    with pytest.raises(Unreachable):
        await catch_up(server, cache.instances, server)


async def test_a_catch_up_removes_what_the_reflector_knows_to_be_gone() -> None:
    server = Watched(10, bookmark(10))
    cache, server.objects = followed("a", "b")
    del server.objects[Key("default", "b")]
    assert await catch_up(server, cache.instances, server) == Found(changed=0, gone=1)
    assert [instance.key.name for instance in cache.instances.store] == ["a"]


async def _answer(listing: Listing) -> Listing:
    return listing
