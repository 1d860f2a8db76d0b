"""Kubernetes Events: what `kubectl describe` shows below an object.

Recording never waits and never fails; writing happens in the background:

- The same object, type, reason and message within `AGGREGATION_SECONDS` are one Event, whose count grows. Its first
  occurrence is written at once, its count at most every `UPDATE_SECONDS`.
- An object may have `BURST` new Events at once, and one more every `REFILL_SECONDS`. What is beyond is dropped.
- What cannot be written is dropped: the conditions tell the state, Events only the story.

Drops are counted in `hypernova_events_dropped_total`.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import uuid4

from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, NotFound, Unreachable, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import EVENTS, Key, Object

log = get_logger(__name__)

AGGREGATION_SECONDS = 600.0
UPDATE_SECONDS = 30.0
BURST = 20
REFILL_SECONDS = 60.0

_MOST_SERIES = 2000
_WRITE_SECONDS = 10.0
_LONGEST_MESSAGE = 1024  # characters; the API server refuses more
_LONGEST_NAME = 230  # leaves room for the suffix in the 253 that a name may have


class _Topic(NamedTuple):
    """What makes two occurrences the same Event."""

    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(slots=True)
class _Series:
    """One Event, stored or about to be, that may still grow."""

    key: Key
    involved: Object
    first: datetime
    last: datetime
    last_at: float
    count: int = 1
    written: int = 0  # occurrences the stored Event tells of; 0 while it is not stored
    write_after: float = 0.0


@dataclass(slots=True)
class _Bucket:
    """Tokens for new Events of one object."""

    filled_at: float
    tokens: float = BURST

    def refill(self, now: float) -> float:
        self.tokens = min(BURST, self.tokens + (now - self.filled_at) / REFILL_SECONDS)
        self.filled_at = now
        return self.tokens

    def take(self, now: float) -> bool:
        if self.refill(now) < 1:
            return False
        self.tokens -= 1
        return True


class EventRecorder:
    """Writes Events about objects in the background, as `component` on `instance` (the name of a Pod or node)."""

    def __init__(
        self,
        client: Client,
        component: str,
        instance: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._clock = clock
        self._wall_clock = wall_clock
        self._series: OrderedDict[_Topic, _Series] = OrderedDict()  # the one longest unheard of comes first
        self._pending: dict[_Topic, _Series] = {}  # those of them with something to write
        self._buckets: dict[str, _Bucket] = {}  # by uid of the object
        self._buckets_checked_at = clock()
        self._recorded = asyncio.Event()

    def normal(self, involved: Object, reason: str, message: str) -> None:
        """Something went as it should. `involved` is the object as the API server gave it."""
        self._record("Normal", involved, reason, message)

    def warning(self, involved: Object, reason: str, message: str) -> None:
        """Something that somebody may have to look at."""
        self._record("Warning", involved, reason, message)

    async def run(self) -> None:
        """Write what is recorded, for ever; end it by cancelling."""
        while True:
            self._recorded.clear()
            self._forget_old()
            for topic in list(self._pending):
                series = self._pending.get(topic)
                if series is not None and series.write_after <= self._clock():
                    await self._write(topic, series)
            due = min((series.write_after for series in self._pending.values()), default=None)
            try:
                async with asyncio.timeout(None if due is None else due - self._clock()):
                    await self._recorded.wait()
            except TimeoutError:
                continue

    def _record(self, type_: Literal["Normal", "Warning"], involved: Object, reason: str, message: str) -> None:
        metadata, now, when = involved["metadata"], self._clock(), self._wall_clock()
        topic = _Topic(metadata["uid"], type_, reason, message[:_LONGEST_MESSAGE])
        series = self._series.get(topic)
        if series is not None and (topic in self._pending or now - series.last_at < AGGREGATION_SECONDS):
            series.count += 1
            series.last, series.last_at = when, now
        elif not self._buckets.setdefault(topic.uid, _Bucket(now)).take(now):
            self._dropped("rate_limited")
            return
        elif not self._make_room():
            self._dropped("overflow")
            return
        else:
            # Events of cluster-scoped objects live in `default`, where kubectl looks for them.
            key = Key(metadata.get("namespace") or "default", f"{metadata['name'][:_LONGEST_NAME]}.{uuid4().hex[:16]}")
            series = self._series[topic] = _Series(key, _reference(involved), first=when, last=when, last_at=now)
        self._series.move_to_end(topic)
        self._pending[topic] = series
        self._recorded.set()

    def _make_room(self) -> bool:
        """Whether there is room for one more series: one that is written may be forgotten for it."""
        if len(self._series) < _MOST_SERIES:
            return True
        oldest = next(iter(self._series))
        if oldest in self._pending:
            return False
        del self._series[oldest]
        return True

    def _forget_old(self) -> None:
        """What will not grow any more, and the buckets that are full again."""
        now = self._clock()
        while self._series:
            oldest = next(iter(self._series))
            if oldest in self._pending or now - self._series[oldest].last_at < AGGREGATION_SECONDS:
                break
            del self._series[oldest]
        if now >= self._buckets_checked_at + REFILL_SECONDS:
            self._buckets_checked_at = now
            self._buckets = {uid: bucket for uid, bucket in self._buckets.items() if bucket.refill(now) < BURST}

    async def _write(self, topic: _Topic, series: _Series) -> None:
        count = series.count
        series.write_after = self._clock() + UPDATE_SECONDS
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._store(topic, series)
            series.written = count
            if series.count == count:
                del self._pending[topic]
            self._client.metrics.events_written.inc()
        except (KubeError, TimeoutError) as error:
            log.warning("event dropped", reason=topic.reason, message=topic.message, error=in_words(error))
            self._forget(topic)
            if isinstance(error, Unreachable | TimeoutError):
                # One wait for a server that is away is enough: what else is pending would be late, if it came at all.
                for other in list(self._pending):
                    self._forget(other)

    async def _store(self, topic: _Topic, series: _Series) -> None:
        if series.written:
            growth = {"count": series.count, "lastTimestamp": _time(series.last)}
            try:
                await self._client.patch(EVENTS, series.key.name, growth, series.key.namespace)
                return
            except NotFound:
                pass  # Events live for an hour; this one is told anew
        await self._client.create(EVENTS, self._event(topic, series))

    def _forget(self, topic: _Topic) -> None:
        del self._series[topic], self._pending[topic]
        self._dropped("error")

    def _dropped(self, cause: str) -> None:
        self._client.metrics.events_dropped.labels(cause).inc()

    def _event(self, topic: _Topic, series: _Series) -> Object:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": series.key.namespace, "name": series.key.name},
            "involvedObject": series.involved,
            "type": topic.type,
            "reason": topic.reason,
            "message": topic.message,
            "count": series.count,
            "firstTimestamp": _time(series.first),
            "lastTimestamp": _time(series.last),
            "source": {"component": self._component, "host": self._instance},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }


def _reference(obj: Object) -> Object:
    metadata = obj["metadata"]
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
