"""The newest that is known of each Instance: what the watch told, or the answer to a write of our own if that is newer.

Without it a worker that wakes right after its own write would act on the state before, and write it again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hypernova_api.instance import Instance
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key, Object, key_of


class View:
    """Instances by name, and their names by UID."""

    def __init__(self, objects: Mapping[Key, Object]) -> None:
        """A view on what a reflector keeps; it is to be told of every Change (`changed`) and own write (`wrote`)."""
        self._objects = objects
        self._written: dict[Key, Object] = {}
        self._read: dict[Key, tuple[Object, Instance]] = {}
        self._keys: dict[str, Key] = {}

    def changed(self, change: Change) -> bool:
        """The watch has told something; whether it is news, and no echo of a write of ours."""
        if change.old is not None:
            for uid in _uids(change.old):
                self._keys.pop(uid, None)
        written = self._written.get(change.key)
        if change.new is None:
            self._written.pop(change.key, None)
            self._read.pop(change.key, None)
            return True
        for uid in _uids(change.new):
            self._keys[uid] = change.key
        if written is None or _newer(written, change.new):
            return written is None
        del self._written[change.key]
        return _version(written) != _version(change.new)

    def wrote(self, obj: Object) -> None:
        """The API server has answered a write of ours with the object as it is now."""
        seen = self._objects.get(key_of(obj))
        if seen is not None and _newer(obj, seen):
            self._written[key_of(obj)] = obj

    def listed(self) -> list[Key]:
        """All has been listed: writes that are not in it were undone, as by a backup. Returns whose.

        One that was made after the list is seen as not made until the watch tells it: what is written then meets a
        conflict.
        """
        undone = list(self._written)
        self._written.clear()
        return undone

    def get(self, key: Key) -> Object | None:
        """An Instance as it was last known; None if it is not on this node."""
        if key not in self._objects:
            return None
        return self._written.get(key, self._objects[key])

    def instance(self, key: Key) -> Instance | None:
        """The same, read; each state of it only once, as that takes longer than most looks at an Instance."""
        obj = self.get(key)
        if obj is None:
            return None
        known = self._read.get(key)
        if known is None or known[0] is not obj:
            known = self._read[key] = (obj, Instance.parse(obj))
        return known[1]

    def key_of_uid(self, uid: str) -> Key | None:
        """The name of the Instance with a UID, or with a domain of that UUID."""
        return self._keys.get(uid)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._objects))


def _uids(obj: Object) -> set[str]:
    """An Instance's own UID, and that of its domain where it is another."""
    adopted = obj.get("status", {}).get("domainUID")
    return {obj["metadata"]["uid"], *([adopted] if adopted else [])}


def _newer(one: Object, other: Object) -> bool:
    """Whether one state of an object came after another: resourceVersions of one resource are numbers that grow."""
    return one["metadata"]["uid"] == other["metadata"]["uid"] and _version(one) > _version(other)


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])
