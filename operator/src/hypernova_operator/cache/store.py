"""The records of one kind, which never go back in time whatever order news arrives in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from hypernova_kube.resources import Key


class Record(Protocol):
    """What a store needs of a record."""

    @property
    def key(self) -> Key: ...

    @property
    def version(self) -> int: ...


R = TypeVar("R", bound=Record)

Subscriber = Callable[[Key, R | None, R | None], None]
"""Is told (key, old, new) of every difference once: no old when added, no new when gone. `old` and `new` may be
different objects of one name (look at the uid)."""


class Store(Generic[R]):
    """Records by key.

    News comes by several ways (a watch, our own reads and writes, a sweep), each in order, but not in order among
    each other. What is older than what is known is dropped:
    - a record, if one of the same or a later version is here, or has been here and is gone;
    - anything older than the last sweep, which saw the whole kind at its version.
    """

    def __init__(self) -> None:
        self._records: dict[Key, R] = {}
        self._gone: dict[Key, int] = {}  # versions of removals since the last sweep
        self._swept = 0
        self._subscribers: list[Subscriber[R]] = []

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[R]:
        return iter(self._records.values())

    def get(self, key: Key) -> R | None:
        """The record of that key."""
        return self._records.get(key)

    def subscribe(self, subscriber: Subscriber[R]) -> None:
        """Have differences told from now on, in the order of subscription."""
        self._subscribers.append(subscriber)

    def is_news(self, key: Key, version: int) -> bool:
        """Whether an object seen at this version is newer than what is known of it."""
        old = self._records.get(key)
        return version > max(self._swept, self._gone.get(key, 0), old.version if old else 0)

    def put(self, record: R) -> None:
        """An object was seen so."""
        key = record.key
        if not self.is_news(key, record.version):
            return
        old = self._records.get(key)
        self._records[key] = record
        if old != record:
            self._tell(key, old, record)

    def remove(self, key: Key, version: int) -> None:
        """The object was seen to be gone at that version, or later."""
        old = self._records.get(key)
        if old is not None and old.version > version:
            return
        self._gone[key] = max(version, self._gone.get(key, 0))
        if old is not None:
            del self._records[key]
            self._tell(key, old, None)

    def outdated(self, listed: Mapping[Key, int]) -> list[Key]:
        """Which of the objects of a list (their versions by key) are newer than what is known of them."""
        return [
            key
            for key, version in listed.items()
            if version > max(self._gone.get(key, 0), old.version if (old := self._records.get(key)) else 0)
        ]

    def rewritten(self, listed: Mapping[Key, int], version: int) -> list[Key]:
        """Which objects of a list of this version are older there than what was known of them before that version.

        None, ever: unless the API server's store has been put back to a backup.
        """
        return [key for key, at in listed.items() if (old := self._records.get(key)) and at < old.version <= version]

    def settle(self, listed: Mapping[Key, int], version: int) -> int:
        """The whole kind was seen at `version`, and all that was outdated has been put: what is not listed is gone.

        Returns how many removals had been missed.
        """
        missed = [key for key, old in self._records.items() if key not in listed and old.version <= version]
        for key in missed:
            self.remove(key, version)
        self._gone = {key: at for key, at in self._gone.items() if at > version}
        self._swept = max(self._swept, version)
        return len(missed)

    def _tell(self, key: Key, old: R | None, new: R | None) -> None:
        for subscriber in self._subscribers:
            subscriber(key, old, new)
