"""Who waits for what, so that news wakes those it concerns, and not all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import Amount
from hypernova_operator.scheduler import Request

Kind = Literal["AvailabilityZone", "Flavor", "Image", "Instance", "InstanceGroup", "KeyPair", "Namespace"]


class Named(NamedTuple):
    """Something that Instances name, and that is missing or not good enough."""

    kind: Kind
    key: Key


class Address(NamedTuple):
    """Any address of a network."""

    network: str


class Share(NamedTuple):
    """So much of a quota."""

    quota: Key
    user: str
    """Of whose limit; empty: of that for all."""
    amount: Amount


class Growth(NamedTuple):
    """More of the host that it is on, for one Instance."""

    instance: Key


Need = Named | Address | Share | Growth | Request
"""What an Instance waits for. A Request is the need of a host that fits it."""


class Waiting:
    """Instances that wait, by what they need, in the order they came."""

    def __init__(self) -> None:
        self._needs: dict[Key, frozenset[Need]] = {}
        self._waiting: dict[Need, dict[Key, None]] = {}

    def __len__(self) -> int:
        return len(self._needs)

    def __contains__(self, key: Key) -> bool:
        return key in self._needs

    def wait(self, key: Key, needs: Iterable[Need]) -> list[Key]:
        """The Instance waits for all of these. Safe to repeat: it keeps its place.

        Returns those whose turn it may be now, as the Instance has left lines that it was the first of.
        """
        needs = frozenset(needs)
        next_ones = self._leave(key, self._needs.get(key, frozenset()) - needs)
        self._needs[key] = needs
        for need in needs:
            self._waiting.setdefault(need, {})[key] = None
        return next_ones

    def leave(self, key: Key) -> list[Key]:
        """The Instance waits no more; returns those whose turn it may be now, as they wanted the same room."""
        return self._leave(key, self._needs.pop(key, frozenset()))

    def for_named(self, need: Named) -> list[Key]:
        """All who wait for it: each can use it."""
        return list(self._waiting.get(need, ()))

    def for_room(self) -> list[Key]:
        """The first in each line for room: if it gets nothing, neither would those behind it."""
        return [next(iter(line)) for need, line in self._waiting.items() if not isinstance(need, Named)]

    def _leave(self, key: Key, needs: Iterable[Need]) -> list[Key]:
        next_ones = []
        for need in needs:
            line = self._waiting[need]
            del line[key]
            if not line:
                del self._waiting[need]
            elif not isinstance(need, Named):
                next_ones.append(next(iter(line)))
        return next_ones
