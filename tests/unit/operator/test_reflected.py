"""What a reflector tells of Instances ends in their store, deletions that no watch told included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hypernova_kube.client import Listing, WatchEvent
from hypernova_kube.errors import Expired
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Key, Object, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.reflected import reflected
from support.builders import an_instance, stored
from support.virtual_time import virtual_time

KEY = Key("default", "web-1")


class Server:
    """Lists and watches from a script; silent at its end."""

    def __init__(self, *script: Listing | list[WatchEvent | Exception]) -> None:
        self.metrics = Metrics()
        self._script = iter(script)

    async def stream(self, resource: Resource, **_: Any) -> AsyncIterator[WatchEvent]:
        listing = next(self._script)
        assert isinstance(listing, Listing)
        for obj in listing.items:
            yield WatchEvent("ADDED", obj)
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": listing.resource_version}})

    async def watch(self, resource: Resource, **_: Any) -> AsyncIterator[WatchEvent]:
        for event in next(self._script, ()):
            if isinstance(event, Exception):
                raise event
            yield event
        await asyncio.Event().wait()


def web(version: int, **metadata: Any) -> Object:
    return stored(an_instance("web-1"), resourceVersion=str(version), **metadata)


@asynccontextmanager
async def following(*script: Listing | list[WatchEvent | Exception]) -> AsyncIterator[Cache]:
    """A cache that has been told all of the script."""
    cache = Cache()
    reflector = reflected(Server(*script), cache.instances)
    task = asyncio.create_task(reflector.run())
    await asyncio.sleep(60)
    yield cache
    task.cancel()


@virtual_time
async def test_what_is_listed_and_what_a_watch_tells_is_known() -> None:
    async with following(Listing([web(10)], "10"), [WatchEvent("MODIFIED", web(11))]) as cache:
        known = cache.instance(KEY)
        assert known is not None
        assert known.version == 11


@virtual_time
async def test_one_that_is_gone_is_gone_though_a_write_of_ours_was_known_before_the_watch_told_it() -> None:
    cache = Cache()
    server = Server(Listing([web(10)], "10"), [WatchEvent("DELETED", web(12))])
    cache.instances.put(web(11))
    task = asyncio.create_task(reflected(server, cache.instances).run())
    await asyncio.sleep(60)
    assert cache.instance(KEY) is None
    task.cancel()


@virtual_time
async def test_one_deleted_while_the_watch_was_broken_is_gone() -> None:
    broken = [Expired(410, "Expired", "too old")]
    async with following(Listing([web(10)], "10"), broken, Listing([], "20")) as cache:
        assert cache.instance(KEY) is None


@virtual_time
async def test_one_made_anew_while_the_watch_was_broken_is_the_new_one() -> None:
    broken = [Expired(410, "Expired", "too old")]
    async with following(Listing([web(10)], "10"), broken, Listing([web(15, uid="new")], "20")) as cache:
        known = cache.instance(KEY)
        assert known is not None
        assert known.uid == "new"
