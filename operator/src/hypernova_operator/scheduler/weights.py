"""Weights: which of the hosts that passed is the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hypernova_operator.scheduler.filters import Request
from hypernova_operator.scheduler.hosts import Amounts, HostTable

Scores = npt.NDArray[np.float64]
"""One number for each surviving host; more is better."""


class Weight(Protocol):
    """A wish."""

    multiplier: float
    """What the best host gains over the worst; negative turns the wish around."""

    def score(self, hosts: HostTable, want: Request, rows: Amounts) -> Scores:
        """How well each of the hosts in `rows` does, in any unit."""
        ...


@dataclass(frozen=True, slots=True)
class MostFreeMemory(Weight):
    """Spreads Instances: the most free memory wins. (Nova: RAMWeigher.)"""

    multiplier: float = 1.0

    def score(self, hosts: HostTable, want: Request, rows: Amounts) -> Scores:
        return hosts.memory_free[rows].astype(np.float64)


WEIGHTS: tuple[Weight, ...] = (MostFreeMemory(),)


def weigh(hosts: HostTable, want: Request, rows: Amounts, weights: Sequence[Weight]) -> Scores:
    """The sum of all weights for the hosts in `rows`, each normalised to 0..1 over them and multiplied."""
    total: Scores = np.zeros(len(rows), np.float64)
    for weight in weights:
        total += weight.multiplier * _normalised(weight.score(hosts, want, rows))
    return total


def _normalised(scores: Scores) -> Scores:
    """0 for the worst, 1 for the best; all 0 when none is better."""
    worst = scores.min()
    span = scores.max() - worst
    return (scores - worst) / span if span > 0 else np.zeros_like(scores)
