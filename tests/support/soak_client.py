"""A client of the API server in memory, over a line that loses requests, answers and events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from enum import Enum
from typing import TypeVar

from hypernova_kube.client import Listing, PatchType, WatchEvent
from hypernova_kube.errors import ServerError, TooManyRequests, Unreachable
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Key, Object, Resource
from support.soak_api import ApiServer, Feed, Selector, selector_of
from support.soak_process import Process, loop_clock, shielded

REQUEST_SECONDS = 30.0
"""How long the real client waits for an answer."""

_BOOKMARK_SECONDS = 55.0

T = TypeVar("T")


class Fate(Enum):
    """What becomes of one request."""

    LOST_BEFORE = "the request is lost"
    LOST_AFTER = "the answer is lost"
    LATE = "it is done when nobody waits for it any more"
    SLOW = "it takes long"
    FAILS = "the server fails"
    SHED = "the server sheds load"
    KILLED_BEFORE = "the program dies before it is sent"
    KILLED_AFTER = "the program dies before the answer comes"


class Line:
    """The way from one client to the API server and back, and what befalls it."""

    def __init__(self) -> None:
        self.requests = True
        """Whether requests arrive."""

        self.answers = True
        """Whether answers, and what watches tell, come back."""

        self.refused = False
        """Whether nobody listens at the other end: told at once."""

        self.lag = 0.0
        """Seconds that what watches tell comes late."""

        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self, *, requests: bool = False, answers: bool = False) -> None:
        """Cut it one way or both; nobody is told."""
        self.requests, self.answers = self.requests and not requests, self.answers and not answers
        self._whole.clear()

    def mend(self) -> None:
        """Everything comes through again."""
        self.requests = self.answers = True
        self.refused = False
        self._whole.set()

    async def whole(self) -> None:
        """Return when what is sent back comes."""
        await self._whole.wait()


class SoakClient:
    """The verbs of `hypernova_kube.client.Client`."""

    def __init__(
        self,
        api: ApiServer,
        process: Process,
        rng: random.Random,
        *,
        line: Line,
        fate: Callable[[str, Resource], Fate | None] = lambda verb, resource: None,
        delivered: Callable[[Resource, Object | None, Object], None] = lambda resource, obj, last: None,
        listed: Callable[[Resource, list[Object]], None] = lambda resource, objects: None,
    ) -> None:
        """A client.

        Args:
            api: the server.
            process: whose client it is: when that is dead, nothing is sent any more.
            rng: how long things take.
            line: what may be cut.
            fate: is asked of each request.
            delivered: is told of every state of an object that the process gets to know: None when it is told that it
                is gone, and the last state.
            listed: is told of all objects of a list.
        """
        self.metrics = Metrics()
        self.clock_ahead = 0.0
        self._api = api
        self._process = process
        self._rng = rng
        self._line = line
        self._fate = fate
        self._delivered = delivered
        self._listed = listed
        self._feeds: list[Feed] = []

    def cut_watches(self) -> None:
        """Break all connections that watches use."""
        for feed in self._feeds:
            feed.end(Unreachable("the connection was cut"))

    async def reconnect(self) -> None:
        self.cut_watches()

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return await self._object("get", resource, lambda: self._api.get(resource, Key(namespace, name)))

    async def create(self, resource: Resource, obj: Object) -> Object:
        return await self._object("create", resource, lambda: self._api.create(resource, obj))

    async def replace(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        return await self._object("update", resource, lambda: self._api.replace(resource, obj, subresource))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Object,
        namespace: str = "",
        *,
        subresource: str = "",
        kind: PatchType = PatchType.MERGE,
    ) -> Object:
        if kind is not PatchType.MERGE:
            raise NotImplementedError(f"patches of type {kind}")
        key = Key(namespace, name)
        return await self._object("patch", resource, lambda: self._api.patch(resource, key, patch, subresource))

    async def delete(self, resource: Resource, name: str, namespace: str = "", *, uid: str = "") -> None:
        await self._ask("delete", resource, lambda: self._api.delete(resource, Key(namespace, name), uid))

    async def list(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        selector = selector_of(namespace, label_selector, field_selector)
        listing = await self._ask(
            "list", resource, lambda: Listing(self._api.list(resource, selector), str(self._api.version))
        )
        self._listed(resource, listing.items)
        return listing

    async def list_metadata(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> Listing:
        listing = await self.list(
            resource, namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        return Listing([{"metadata": obj["metadata"]} for obj in listing.items], listing.resource_version)

    async def current_version(self, resource: Resource, *, namespace: str = "", field_selector: str = "") -> int:
        return await self._ask("list", resource, lambda: self._api.version)

    async def stream(
        self, resource: Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = ""
    ) -> AsyncGenerator[WatchEvent, None]:
        listing = await self.list(
            resource, namespace=namespace, label_selector=label_selector, field_selector=field_selector
        )
        for obj in listing.items:
            yield WatchEvent("ADDED", obj)
        yield _bookmark(listing.resource_version)

    async def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: float = 300.0,
        bookmarks: bool = True,
    ) -> AsyncGenerator[WatchEvent, None]:
        selector = selector_of(namespace, label_selector, field_selector)
        feed = await self._ask("watch", resource, lambda: self._subscribed(resource, selector, int(resource_version)))
        end = loop_clock() + timeout_seconds
        try:
            while loop_clock() < end:
                while feed.pending and not feed.broken:
                    await self._arrival()
                    if feed.pending:  # else it has been cut meanwhile
                        event = feed.pending.popleft()
                        self._delivered(resource, None if event.type == "DELETED" else event.object, event.object)
                        yield event
                if feed.broken:
                    raise feed.broken
                feed.news.clear()
                try:
                    async with asyncio.timeout(min(_BOOKMARK_SECONDS, end - loop_clock())):
                        await feed.news.wait()
                except TimeoutError:
                    version = self._api.version
                    await self._arrival()
                    if bookmarks and not feed.pending:
                        yield _bookmark(str(version))
        finally:
            self._feeds.remove(feed)
            self._api.forget(resource, feed)

    def _subscribed(self, resource: Resource, selector: Selector, since: int) -> Feed:
        feed = self._api.feed(resource, selector, since)
        self._feeds.append(feed)
        return feed

    async def _arrival(self) -> None:
        """Return when what was sent has come; while the way back is cut that is never, as far as anyone can tell."""
        await asyncio.sleep(self._rng.uniform(0.001, 0.02) + self._line.lag)
        await self._line.whole()
        self._process.check()

    async def _object(self, verb: str, resource: Resource, effect: Callable[[], Object]) -> Object:
        obj = await self._ask(verb, resource, effect)
        self._delivered(resource, obj, obj)
        return obj

    async def _ask(self, verb: str, resource: Resource, effect: Callable[[], T]) -> T:
        self._process.check()
        fate = self._fate(verb, resource)
        if fate is Fate.KILLED_BEFORE:
            self._process.kill()
            await asyncio.sleep(0)
        if self._line.refused:
            await asyncio.sleep(self._rng.uniform(0.001, 0.01))
            raise Unreachable("connection refused")
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                answer = await shielded(self._serve(effect, fate))
        except TimeoutError:
            raise Unreachable(f"no answer in {REQUEST_SECONDS:g} s") from None
        if fate is Fate.KILLED_AFTER:
            self._process.kill()
            await asyncio.sleep(0)
        self._process.check()
        return answer

    async def _serve(self, effect: Callable[[], T], fate: Fate | None) -> T:
        await asyncio.sleep(self._rng.uniform(0.001, 0.01))
        match fate:
            case Fate.SLOW:
                await asyncio.sleep(self._rng.uniform(1, 20))
            case Fate.LATE:
                await asyncio.sleep(self._rng.uniform(31, 40))
            case Fate.SHED:
                raise TooManyRequests(429, "TooManyRequests", "too many requests", retry_after=1.0)
            case Fate.FAILS if self._rng.random() < 0.5:
                raise ServerError(500, "InternalError", "etcdserver: request timed out")
            case _:
                pass
        if fate is Fate.LOST_BEFORE or not self._line.requests:
            raise await self._silence()
        answer = effect()
        if fate is Fate.FAILS:
            raise ServerError(500, "InternalError", "etcdserver: request timed out")
        await asyncio.sleep(self._rng.uniform(0.001, 0.01))
        if fate is Fate.LOST_AFTER or not self._line.answers:
            raise await self._silence()
        return answer

    async def _silence(self) -> Exception:
        """A connection that breaks soon, or that nothing is heard on."""
        await asyncio.sleep(self._rng.choice((0.01, 5.0, REQUEST_SECONDS + 1)))
        return Unreachable("the connection was cut")


def _bookmark(version: str) -> WatchEvent:
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": version}})
