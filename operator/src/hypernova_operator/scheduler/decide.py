"""Where an Instance goes. Pure: the table is read, never written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hypernova_operator.scheduler.filters import FILTERS, Filter, Request, count
from hypernova_operator.scheduler.hosts import HostTable
from hypernova_operator.scheduler.weights import WEIGHTS, Weight, weigh


@dataclass(frozen=True, slots=True)
class Placement:
    """The host an Instance goes to."""

    host: str
    considered: int
    """Hosts there are."""
    passed: int
    """Hosts that would have done."""
    weight: float
    """What the chosen one weighed; none weighed more."""


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
    hosts: HostTable, want: Request, filters: Sequence[Filter] = FILTERS, weights: Sequence[Weight] = WEIGHTS
) -> Placement | Refusal:
    """The best host that passes all filters, the first by name among equals; or why there is none."""
    passing = hosts.present.copy()
    lost = []
    for filter_ in filters:
        mask = filter_.mask(hosts, want)
        lost.append((filter_, passing & ~mask))
        passing &= mask
    rows = np.flatnonzero(passing)
    if len(rows) == 0:
        # Words cost more than masks: they are made only when somebody will read them.
        verdicts = tuple(
            Verdict(type(filter_).__name__, count(mask), filter_.reason(hosts, want, mask))
            for filter_, mask in lost
            if mask.any()
        )
        return Refusal(len(hosts), verdicts)
    scores = weigh(hosts, want, rows, weights)
    best = rows[scores == scores.max()]
    chosen = int(best[np.argmin(hosts.rank[best])])
    return Placement(hosts.at(chosen).name, len(hosts), len(rows), float(scores.max()))
