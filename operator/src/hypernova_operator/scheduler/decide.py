"""Where an Instance goes. Pure: the table is read, never written."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from hypernova_operator.scheduler.claims import NO_ALLOCATION, Allocation
from hypernova_operator.scheduler.filters import FILTERS, Filter, count
from hypernova_operator.scheduler.fit import fit
from hypernova_operator.scheduler.policy import DEFAULT_POLICY, Policy
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable, Mask, Scores
from hypernova_operator.scheduler.weights import WEIGHTS, Rows, Weighed, Weight, weigh

PACKING = "Packing"
"""The verdict on hosts that have enough of everything, but not together."""

_TOLD = 3
"""How many of the best hosts are told about."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that would have done."""

    host: str
    weight: float
    parts: dict[str, float]
    """What each weight gave it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The host an Instance goes to."""

    host: str
    considered: int
    """Hosts there are."""
    passed: int
    """Hosts that passed all filters."""
    candidates: tuple[Candidate, ...] = field(compare=False)
    """The chosen one first, and the best of the others."""
    allocation: Allocation = NO_ALLOCATION
    """What it gets beside amounts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many hosts one filter ruled out, that none before it had."""

    filter: str
    hosts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """No host does: why, by filter."""

    considered: int
    verdicts: tuple[Verdict, ...]


def decide(
    hosts: HostTable,
    want: Request,
    policy: Policy = DEFAULT_POLICY,
    rng: random.Random | None = None,
    filters: Sequence[Filter] = FILTERS,
    weights: Sequence[Weight] = WEIGHTS,
) -> Placement | Refusal:
    """The best host that passes all filters, the first by name among equals; or why there is none.

    `rng` is asked only where the policy is to choose among several.
    """
    fitting = passing(hosts, want, filters)
    passed = count(fitting)
    if not passed:
        return Refusal(len(hosts), verdicts(hosts, want, filters))
    rows: Rows = slice(None) if passed == len(hosts) else np.flatnonzero(fitting)
    weighed = weigh(hosts, want, rows, weights, policy)
    best = _Best(hosts, rows, weighed)
    among = min(policy.choose_among, passed)
    first = best.places(max(among, _TOLD))
    order = first if among == 1 else (rng or random.SystemRandom()).sample(first[:among], among) + first[among:]
    chosen, allocation = order[0], NO_ALLOCATION
    if want.packed:
        found = _pack(hosts, want, best, chain(order, best.after(len(first))))
        if not isinstance(found, tuple):
            return Refusal(len(hosts), (*verdicts(hosts, want, filters), *_misfits(found)))
        chosen, allocation = found
    others = [place for place in first if place != chosen and not _misfit(hosts, want, best, place)][: _TOLD - 1]
    candidates = tuple(best.candidate(place) for place in (chosen, *others))
    return Placement(candidates[0].host, len(hosts), passed, candidates, allocation)


def drift(hosts: HostTable, want: Request, row: int, filters: Sequence[Filter] = FILTERS) -> list[str]:
    """Why an Instance would not be placed on the host it is on, by what is asked of it for good: a reason each."""
    one: Mask = np.zeros(len(hosts), np.bool_)
    one[row] = True
    return [
        filter_.reason(hosts, want, one)
        for filter_ in filters
        if filter_.lasting and filter_.applies(want) and not filter_.mask(hosts, want)[row]
    ]


def passing(hosts: HostTable, want: Request, filters: Sequence[Filter] = FILTERS) -> Mask:
    """Which hosts pass all filters."""
    left: Mask = np.ones(len(hosts), np.bool_)
    for filter_ in filters:
        if filter_.applies(want):
            left &= filter_.mask(hosts, want)
    return left


def verdicts(hosts: HostTable, want: Request, filters: Sequence[Filter] = FILTERS) -> tuple[Verdict, ...]:
    """What each filter ruled out. Words cost more than masks: they are made only when somebody will read them."""
    left: Mask = np.ones(len(hosts), np.bool_)
    found = []
    for filter_ in filters:
        if filter_.applies(want):
            mask = filter_.mask(hosts, want)
            lost = left & ~mask
            if lost.any():
                found.append(Verdict(type(filter_).__name__, count(lost), filter_.reason(hosts, want, lost)))
            left &= mask
    return tuple(found)


def _pack(hosts: HostTable, want: Request, best: _Best, order: Iterable[int]) -> tuple[int, Allocation] | Counter[str]:
    """The first place in this order that can be packed, and how; or how many can't for which reason."""
    misfits: Counter[str] = Counter()
    packing = want.packing
    for place in order:
        host = hosts.at(best.row(place))
        known = hosts.misfits(host.name)
        if packing not in known:
            packed = fit(host, hosts.taken(host.name), want)
            if isinstance(packed, Allocation):
                return place, packed
            known[packing] = packed.reason
        misfits[known[packing]] += 1
    return misfits


def _misfit(hosts: HostTable, want: Request, best: _Best, place: int) -> bool:
    """Whether it has been found out that it can't be packed there."""
    return want.packed and want.packing in hosts.misfits(hosts.at(best.row(place)).name)


def _misfits(reasons: Counter[str]) -> Iterator[Verdict]:
    return (Verdict(PACKING, number, reason) for reason, number in reasons.most_common())


class _Best:
    """Places (indices of the weighed rows) from the best to the worst, among equals by the host's name."""

    def __init__(self, hosts: HostTable, rows: Rows, weighed: Weighed) -> None:
        self._hosts = hosts
        self._rows = rows
        self._weighed = weighed
        self._scores: Scores = weighed.total

    def places(self, number: int) -> list[int]:
        """The best few: one pass for each, as to sort all costs more."""
        left = self._scores.copy()
        found = []
        for _ in range(min(number, len(left))):
            best = np.flatnonzero(left == left.max())
            place = int(best[0] if len(best) == 1 else best[np.argmin(self._rank(best))])
            found.append(place)
            left[place] = -np.inf
        return found

    def after(self, number: int) -> Iterator[int]:
        """All but the best few. Sorts them, once the first is asked for."""
        order = np.lexsort((self._hosts.rank[self._rows], -self._scores))
        yield from map(int, order[number:])

    def row(self, place: int) -> int:
        """The table's row of a place."""
        return place if isinstance(self._rows, slice) else int(self._rows[place])

    def candidate(self, place: int) -> Candidate:
        """What is told of a place."""
        host = self._hosts.at(self.row(place)).name
        return Candidate(host, float(self._scores[place]), self._weighed.parts(place))

    def _rank(self, places: Amounts) -> Amounts:
        return self._hosts.rank[places if isinstance(self._rows, slice) else self._rows[places]]
