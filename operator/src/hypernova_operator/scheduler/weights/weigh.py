"""All weights together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hypernova_operator.scheduler.policy import Policy
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Scores
from hypernova_operator.scheduler.weights.base import Rows, Score, Weight


class _Part(NamedTuple):
    """How one weight turned its scores into parts of the sum: (score - low) * factor, or 0 for what is below."""

    name: str
    low: float
    factor: Scores | float
    score: Score

    def at(self, place: int) -> float:
        factor = float(self.factor[place]) if isinstance(self.factor, np.ndarray) else self.factor
        return max(float(self.score[place]) - self.low, 0.0) * factor


@dataclass(frozen=True, slots=True)
class Weighed:
    """The hosts of `rows`, in that order, weighed. Stale once the table is written to."""

    total: Scores
    _parts: tuple[_Part, ...]

    def parts(self, place: int) -> dict[str, float]:
        """What each weight gave the host at that place of `rows`; those that made no difference are left out."""
        return {part.name: part.at(place) for part in self._parts}


def weigh(hosts: HostTable, want: Request, rows: Rows, weights: Sequence[Weight], policy: Policy) -> Weighed:
    """The sum of all weights for the hosts in `rows` (at least one), each normalised over them to 0..1 and multiplied.

    As Nova normalises: the best score is 1, and the floor 0 or, of a weight that has none, the worst score. Where all
    scores are equal, a weight without a floor gives nobody anything, one with a floor all the same.
    """
    total: Scores = np.zeros(len(hosts) if isinstance(rows, slice) else len(rows), np.float64)
    buffer = np.empty_like(total)
    parts = []
    for weight in weights:
        multiplier = hosts.multipliers(weight.name, policy.multipliers.get(weight.name, weight.multiplier))
        if isinstance(multiplier, np.ndarray):
            multiplier = multiplier[rows]
        elif multiplier == 0:
            continue
        if not weight.applies(hosts, want):
            continue
        score = weight.score(hosts, want, rows)
        # argmax and argmin cost half of what max and min do on a thousand hosts
        high = float(score[score.argmax()])
        low = float(score[score.argmin()]) if weight.floor is None else weight.floor
        if high <= low:
            continue
        sign = -1.0 if weight.room and policy.strategy == "Stack" else 1.0
        factor = multiplier * (sign / (high - low))
        np.maximum(score, low, out=buffer)
        if low:
            buffer -= low
        buffer *= factor
        total += buffer
        parts.append(_Part(weight.name, low, factor, score))
    return Weighed(total, tuple(parts))
