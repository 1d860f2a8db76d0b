"""An API server in memory that keeps to what clients rely on: versions, generations, finalizers, selectors, watches.

It knows no schema, no admission and no rights; what is to be proved about those is proved on the real one. Objects are
never changed in place, so that all can share them.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypernova_api.meta import GROUP
from hypernova_kube.client import WatchEvent
from hypernova_kube.errors import AlreadyExists, Conflict, Expired, NotFound
from hypernova_kube.resources import NODES, Key, Object, Resource, key_of
from support.soak_process import timestamp

Selector = Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Written:
    """One write: what an object was and became."""

    version: int
    old: Object | None
    new: Object | None


@dataclass(slots=True)
class Feed:
    """One watch: what it has still to be told."""

    selector: Selector
    since: int
    pending: deque[WatchEvent] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    broken: Exception | None = None

    def told(self, written: Written) -> None:
        """Take note of a write, if it is one that this watch is about."""
        if written.version <= self.since:
            return
        was = written.old is not None and self.selector(written.old)
        is_ = written.new is not None and self.selector(written.new)
        if is_ and written.new is not None:
            self.pending.append(WatchEvent("MODIFIED" if was else "ADDED", written.new))
        elif was and written.old is not None:
            last = written.new or _at(written.old, written.version)
            self.pending.append(WatchEvent("DELETED", last))
        else:
            return
        self.news.set()

    def end(self, error: Exception) -> None:
        """Cut it."""
        self.broken = error
        self.news.set()


@dataclass(frozen=True, slots=True)
class Backup:
    """All objects at one moment."""

    version: int
    objects: Mapping[str, Mapping[Key, Object]]


class ApiServer:
    """The objects, by the plural names of their kinds."""

    def __init__(self, rng: random.Random) -> None:
        self.objects: dict[str, dict[Key, Object]] = {}
        self.version = 1
        self.writes = 0
        self.listeners: list[Callable[[Resource, Written], None]] = []
        """Are told of each write at once: for who looks on."""
        self._rng = rng
        self._history: dict[str, list[Written]] = {}
        self._compacted = 0
        self._feeds: dict[str, list[Feed]] = {}
        self._resources: dict[str, Resource] = {}

    # What clients ask

    def get(self, resource: Resource, key: Key) -> Object:
        """Raises NotFound."""
        try:
            return self.objects[resource.plural][key]
        except KeyError:
            raise NotFound(404, "NotFound", f"{resource.plural} {key} not found") from None

    def list(self, resource: Resource, selector: Selector) -> list[Object]:
        """Those that the selector takes, by name."""
        objects = self.objects.get(resource.plural, {})
        return [objects[key] for key in sorted(objects) if selector(objects[key])]

    def create(self, resource: Resource, obj: Object) -> Object:
        """Raises AlreadyExists."""
        obj, key = _json(obj), key_of(obj)
        if key in self.objects.get(resource.plural, {}):
            raise AlreadyExists(409, "AlreadyExists", f"{resource.plural} {key} already exists")
        metadata = {
            **obj["metadata"],
            "uid": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            "creationTimestamp": timestamp(),
            "generation": 1,
        }
        new = {**obj, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if _has_status(resource):
            new.pop("status", None)
        return self._store(resource, key, None, new)

    def replace(self, resource: Resource, obj: Object, subresource: str) -> Object:
        """Raises NotFound, Conflict."""
        old = self.get(resource, key_of(obj))
        return self._update(resource, old, _json(obj), subresource)

    def patch(self, resource: Resource, key: Key, patch: Object, subresource: str) -> Object:
        """A merge patch. Raises NotFound, Conflict."""
        old = self.get(resource, key)
        return self._update(resource, old, _merged(old, _json(patch)), subresource)

    def delete(self, resource: Resource, key: Key, uid: str = "") -> None:
        """Raises NotFound, Conflict."""
        old = self.get(resource, key)
        metadata = old["metadata"]
        if uid and metadata["uid"] != uid:
            raise Conflict(409, "Conflict", f"{resource.plural} {key} is another: uid {metadata['uid']}")
        if not metadata.get("finalizers"):
            self._remove(resource, key, old)
        elif "deletionTimestamp" not in metadata:
            generation = metadata["generation"] + 1
            new = {**old, "metadata": {**metadata, "deletionTimestamp": timestamp(), "generation": generation}}
            self._store(resource, key, old, new)

    def feed(self, resource: Resource, selector: Selector, since: int) -> Feed:
        """A watch. Raises Expired."""
        if since < self._compacted:
            raise Expired(410, "Expired", f"too old resource version: {since} ({self._compacted})")
        feed = Feed(selector, since)
        history = self._history.get(resource.plural, [])
        for written in history[bisect_right(history, since, key=lambda each: each.version) :]:
            feed.told(written)
        self._feeds.setdefault(resource.plural, []).append(feed)
        return feed

    def forget(self, resource: Resource, feed: Feed) -> None:
        """The watch has ended."""
        self._feeds[resource.plural].remove(feed)

    # What befalls it

    def compact(self) -> None:
        """Forget what was, but not what is."""
        self._compacted = self.version
        self._history.clear()

    def backup(self) -> Backup:
        """All objects, as they are now."""
        return Backup(self.version, {plural: dict(objects) for plural, objects in self.objects.items()})

    def load(self, backup: Backup) -> None:
        """Begin with what is in a backup."""
        self.objects = {plural: dict(objects) for plural, objects in backup.objects.items()}
        self.version = self._compacted = backup.version

    def restore(self, backup: Backup, error: Exception) -> None:
        """Go back to a backup, as etcd's manual says: versions jump ahead, and all watches must begin anew."""
        self.version += 1_000_000
        for plural in {*self.objects, *backup.objects}:
            before, after = self.objects.get(plural, {}), dict(backup.objects.get(plural, {}))
            self.objects[plural] = after
            for key in sorted({*before, *after}):
                if before.get(key) is not after.get(key):
                    self._tell(self._resources[plural], Written(self.version, before.get(key), after.get(key)))
        self.compact()
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.pending.clear()
                feed.end(error)

    def _update(self, resource: Resource, old: Object, asked: Object, subresource: str) -> Object:
        key, before, after = key_of(old), old["metadata"], asked["metadata"]
        for precondition in ("resourceVersion", "uid"):
            if after.get(precondition) not in (None, before[precondition]):
                raise Conflict(409, "Conflict", f"{resource.plural} {key} has been modified")
        if subresource:
            new = {**old, subresource: asked.get(subresource, {})}
        else:
            kept = {name: before[name] for name in _SERVERS if name in before}
            new = {**asked, "metadata": {**after, **kept}}
            if _has_status(resource):
                new = {name: value for name, value in new.items() if name != "status"}
                new |= {"status": old["status"]} if "status" in old else {}
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = before["generation"] + 1
        if new == old:
            return old
        if "deletionTimestamp" in before and not new["metadata"].get("finalizers"):
            return self._remove(resource, key, new, old)
        return self._store(resource, key, old, new)

    def _store(self, resource: Resource, key: Key, old: Object | None, new: Object) -> Object:
        self.version += 1
        new = _at(new, self.version)
        self.objects.setdefault(resource.plural, {})[key] = new
        self._written(resource, Written(self.version, old, new))
        return new

    def _remove(self, resource: Resource, key: Key, last: Object, old: Object | None = None) -> Object:
        self.version += 1
        del self.objects[resource.plural][key]
        self._written(resource, Written(self.version, old or last, None))
        self._collect(last["metadata"]["uid"])
        return _at(last, self.version)

    def _written(self, resource: Resource, written: Written) -> None:
        self.writes += 1
        self._history.setdefault(resource.plural, []).append(written)
        for feed in self._feeds.get(resource.plural, ()):
            feed.told(written)
        self._tell(resource, written)

    def _tell(self, resource: Resource, written: Written) -> None:
        self._resources[resource.plural] = resource
        for listener in self.listeners:
            listener(resource, written)

    def _collect(self, uid: str) -> None:
        """What is owned by what has gone goes, too, in a while."""
        for plural, objects in self.objects.items():
            for key, obj in list(objects.items()):
                if any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", [])):
                    loop = asyncio.get_running_loop()
                    loop.call_later(self._rng.uniform(0.1, 5), self._collected, plural, key, obj["metadata"]["uid"])

    def _collected(self, plural: str, key: Key, uid: str) -> None:
        obj = self.objects.get(plural, {}).get(key)
        if obj is not None and obj["metadata"]["uid"] == uid:
            self.delete(self._resources[plural], key)


_SERVERS = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion")
"""What only the server writes of an object's metadata."""


def selector_of(namespace: str = "", labels: str = "", fields: str = "") -> Selector:
    """What a request selects: `a=b,c` of labels, `status.nodeName=x,status.phase!=y` of fields."""
    wanted = [_requirement(text) for text in filter(None, fields.split(","))]
    labelled = [text.partition("=") for text in filter(None, labels.split(","))]

    def takes(obj: Object) -> bool:
        metadata = obj["metadata"]
        own = metadata.get("labels") or {}
        return (
            (not namespace or metadata.get("namespace") == namespace)
            and all(name in own and (not equals or own[name] == value) for name, equals, value in labelled)
            and all((_field(obj, path) == value) is same for path, value, same in wanted)
        )

    return takes


def _requirement(text: str) -> tuple[list[str], str, bool]:
    path, _, value = text.partition("=")
    return path.removesuffix("!").split("."), value.removeprefix("="), not path.endswith("!")


def _field(obj: Object, path: Iterable[str]) -> str:
    value: Any = obj
    for part in path:
        value = (value or {}).get(part)
    return "" if value is None else str(value)


def _has_status(resource: Resource) -> bool:
    """Whether its status is a subresource."""
    return resource.group == GROUP or resource == NODES


def _at(obj: Object, version: int) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(version)}}


def _json(obj: Object) -> Object:
    """A copy, made as a request makes it."""
    copied: Object = json.loads(json.dumps(obj))
    return copied


def _merged(into: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(into) if isinstance(into, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
