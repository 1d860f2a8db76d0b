"""A copy of one resource's objects, kept equal to the API server's, that tells every difference once.

What a watch cannot tell is found by comparing: after a break longer than the server's memory, the objects are listed
again, and those that vanished meanwhile are told as gone.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from types import MappingProxyType

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Expired, KubeError, NoCredentials, TooManyRequests, Unauthorized, Unreachable
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object, Resource, key_of

log = get_logger(__name__)

_WATCH_SECONDS = (240.0, 360.0)
"""How long the server may keep one watch: spread, or all watches begun together end together."""

_LONGEST_BACKOFF = 30.0

_SETTLED_SECONDS = 5.0
"""A watch that lasted for so long was no failure, though nothing happened to tell of. A busy API server cuts watches
whose client, or its own thread for them, is slow to take what is told (seen with 1,000 watches on 2 cores)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object: added (no old), modified (both) or gone (no new).

    An object deleted and made anew under the same name is two Changes, a gone one and an added one.
    """

    key: Key
    old: Object | None
    new: Object | None


def compare(key: Key, old: Object | None, new: Object | None) -> list[Change]:
    """The Changes that lead from one state of an object to another; none if they are the same. Pure."""
    if old is None and new is None:
        return []
    if old is None or new is None:
        return [Change(key, old, new)]
    if old["metadata"]["uid"] != new["metadata"]["uid"]:
        return [Change(key, old, None), Change(key, None, new)]
    if old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]:
        return []
    return [Change(key, old, new)]


def identity(obj: Object) -> Object:
    """The part of an object by which changes are told: which it is, and at which version."""
    metadata = obj["metadata"]
    return {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}


class Reflector:
    """Lists, watches and keeps the objects of one resource that match the selectors.

    `on_change` is called after the Change is in `objects`, in the event loop's own thread; it must not block, and an
    exception of it is logged and changes nothing. To the server's eye an object that no longer matches the selectors
    is deleted, and so it is to ours.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        on_change: Callable[[Change], None],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        keep: Callable[[Object], Object] = lambda obj: obj,
        on_listed: Callable[[], None] = lambda: None,
        inactivity_timeout: float = 70.0,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        """A reflector that has not begun; `run()` does.

        Args:
            client: whose eyes to see with.
            resource: what to keep.
            on_change: whom to tell.
            namespace: only objects in it; `""` for all.
            label_selector: only objects with such labels.
            field_selector: only objects with such fields.
            keep: what to keep of an object, for who wants few bytes of many: `identity` is the least. A Change's
                `old` is what was kept, its `new` is whole.
            on_listed: whom to tell when all has been listed, its Changes having been told: what isn't in it isn't so,
                whatever was known, as after the server's store was put back to a backup.
            inactivity_timeout: seconds of silence after which a watch is taken for dead. The server sends a bookmark
                about every minute, so a live one is never silent for longer.
            backoff: waits between failures.
            clock: monotonic seconds.
            rng: spreads the length of watches.
        """
        self.synced = asyncio.Event()
        """Set when the first list is in `objects` and its Changes have been told."""

        self._client = client
        self._resource = resource
        self._on_change = on_change
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._keep = keep
        self._on_listed = on_listed
        self._inactivity_timeout = inactivity_timeout
        self._backoff = backoff or Backoff(cap=_LONGEST_BACKOFF)
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._objects: dict[Key, Object] = {}
        self._count = client.metrics.objects.labels(resource.plural)
        self._resource_version = ""
        self._last_activity = clock()
        self._hurries = asyncio.Event()

    @property
    def objects(self) -> Mapping[Key, Object]:
        """What is kept of the objects as last seen, managedFields never: a live view. They are not to be changed."""
        return MappingProxyType(self._objects)

    @property
    def resource_version(self) -> str:
        """As of which version `objects` are known; empty while they are listed."""
        return self._resource_version

    def last_activity_age(self) -> float:
        """Seconds since the API server last told us anything (since we began, if it never has)."""
        return self._clock() - self._last_activity

    def hurry(self) -> None:
        """The API server is known to answer again: wait no longer before the next try."""
        self._backoff.forget(self._resource)
        self._hurries.set()

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        cut = False
        while True:
            try:
                if cut and self._resource_version and await self._is_ahead():
                    raise Expired(410, "Expired", "the API server's store was put back to an old copy")
                cut = False
                if not self._resource_version:
                    await self._list()
                began = self._clock()
                settled = await self._watch() or self._clock() - began >= _SETTLED_SECONDS
                cause, error = "ended", "" if settled else "ended at once"
            except TimeoutError:
                # Mostly a connection that died without a word. But so behaves, too, a server restored from a backup,
                # towards a resourceVersion it has not reached again (seen on 1.36): only a list tells them apart.
                cause, error = "stalled", f"silent for {self._inactivity_timeout:g} s"
                self._resource_version = ""
            except (Unreachable, Unauthorized, NoCredentials, TooManyRequests) as exc:
                # No word about the resourceVersion: go on from where we were.
                cause, error, cut = "unreachable", str(exc), True
            except Expired as exc:
                cause, error = "expired", str(exc)
                self._resource_version = ""
            except KubeError as exc:
                # Anything else may be about the resourceVersion, too (one from before a restored backup, say).
                cause, error = "error", str(exc)
                self._resource_version = ""
            self._client.metrics.watch_restarts.labels(self._resource.plural, cause).inc()
            if error:
                wait = self._backoff.next(self._resource)
                log.warning("watch broken", resource=self._resource.plural, cause=cause, error=error, retry_in_s=wait)
                self._hurries.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._hurries.wait()

    async def _is_ahead(self) -> bool:
        """Whether we know of more than the server does.

        A watch from there would not fail: it tells nothing until the server has come so far again, and never what the
        old copy has brought back (seen on 1.36).
        """
        async with asyncio.timeout(self._inactivity_timeout):
            version = await self._client.current_version(
                self._resource, namespace=self._namespace, field_selector=self._field_selector
            )
        return version < int(self._resource_version)

    async def _list(self) -> None:
        """Read all, the vanished being told first.

        Only the end tells which those are, and what else is new waits until then; mostly that is little. Where nothing
        can have vanished all is new, and is told as it comes: whole, it may be far larger than what is kept of it.
        """
        unlisted = dict(self._objects)
        may_vanish = bool(unlisted)
        changes: list[Change] = []
        events = self._client.stream(
            self._resource,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        async with aclosing(events):
            while True:
                async with asyncio.timeout(self._inactivity_timeout):
                    event = await anext(events)
                self._last_activity = self._clock()
                if event.type == "BOOKMARK":
                    break
                key = key_of(event.object)
                unlisted.pop(key, None)
                change = compare(key, self._objects.get(key), event.object)
                if may_vanish:
                    changes += change
                else:
                    self._apply(change)
        self._client.metrics.lists.labels(self._resource.plural).inc()
        self._apply(Change(key, old, None) for key, old in unlisted.items())
        self._apply(changes)
        self._resource_version = event.object["metadata"]["resourceVersion"]
        self._on_listed()
        self.synced.set()

    async def _watch(self) -> bool:
        """Follow one watch to its end; whether it told anything."""
        heard = False
        events = self._client.watch(
            self._resource,
            resource_version=self._resource_version,
            namespace=self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=self._rng.uniform(*_WATCH_SECONDS),
        )
        async with aclosing(events):
            while True:
                async with asyncio.timeout(self._inactivity_timeout):
                    event = await anext(events, None)
                if event is None:
                    return heard
                heard = True
                self._last_activity = self._clock()
                self._backoff.forget(self._resource)
                if event.type != "BOOKMARK":
                    key = key_of(event.object)
                    new = None if event.type == "DELETED" else event.object
                    self._apply(compare(key, self._objects.get(key), new))
                self._resource_version = event.object["metadata"]["resourceVersion"]

    def _apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.new is None:
                del self._objects[change.key]
            else:
                self._objects[change.key] = self._keep(change.new)
            self._count.set(len(self._objects))
            try:
                self._on_change(change)
            except Exception:
                log.exception("change not handled", resource=self._resource.plural, key=change.key)
