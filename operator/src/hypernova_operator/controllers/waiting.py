"""Who waits for what, so that news wakes those it concerns, and not all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from hypernova_kube.resources import Key
from hypernova_operator.scheduler import Request


class Named(NamedTuple):
    """Something that Instances name, and that is missing or not good enough."""

    kind: Literal["Flavor", "Image", "KeyPair"]
    key: Key


class Address(NamedTuple):
    """Any address of a network."""

    network: str


Need = Named | Address | Request
"""What an Instance waits for. A Request is the need of a host that fits it."""


class Waiting:
    """Instances that wait, by what they need, in the order they came."""

    def __init__(self) -> None:
        self._needs: dict[Key, frozenset[Need]] = {}
        self._waiting: dict[Need, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._needs)

    def wait(self, key: Key, needs: Iterable[Need]) -> None:
        """The Instance waits for all of these. Safe to repeat: it keeps its place."""
        needs = frozenset(needs)
        if self._needs.get(key) != needs:
            self.leave(key)
            self._needs[key] = needs
            for need in needs:
                self._waiting.setdefault(need, {})[key] = None

    def leave(self, key: Key) -> list[Key]:
        """The Instance waits no more; returns those whose turn it may be now, as they wanted the same of a host."""
        next_ones = []
        for need in self._needs.pop(key, ()):
            line = self._waiting[need]
            del line[key]
            if not line:
                del self._waiting[need]
            elif not isinstance(need, Named):
                next_ones.append(next(iter(line)))
        return next_ones

    def for_named(self, need: Named) -> list[Key]:
        """All who wait for it: each can use it."""
        return list(self._waiting.get(need, ()))

    def for_room(self) -> list[Key]:
        """The first in each line for a host or an address: if it gets nothing, neither would those behind it."""
        return [next(iter(line)) for need, line in self._waiting.items() if not isinstance(need, Named)]
