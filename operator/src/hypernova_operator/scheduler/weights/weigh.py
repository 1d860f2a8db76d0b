"""All weights together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hypernova_operator.scheduler.policy import Policy
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable, Scores
from hypernova_operator.scheduler.weights.base import Rows, Weight


@dataclass(frozen=True, slots=True)
class _Part:
    """How one weight turned its scores into parts of the sum: (score - low) * factor."""

    name: str
    low: float
    factor: Scores | float
    score: Scores | Amounts

    def at(self, place: int) -> float:
        factor = self.factor if isinstance(self.factor, float) else float(self.factor[place])
        return (float(self.score[place]) - self.low) * factor


@dataclass(frozen=True, slots=True)
class Weighed:
    """The hosts of `rows`, in that order, weighed."""

    total: Scores
    _parts: tuple[_Part, ...]

    def parts(self, place: int) -> dict[str, float]:
        """What each weight gave the host at that place of `rows`; those that made no difference are left out."""
        return {part.name: part.at(place) for part in self._parts}


def weigh(hosts: HostTable, want: Request, rows: Rows, weights: Sequence[Weight], policy: Policy) -> Weighed:
    """The sum of all weights for the hosts in `rows`, each normalised over them to 0..1 and multiplied."""
    total: Scores = np.zeros(len(hosts) if isinstance(rows, slice) else len(rows), np.float64)
    buffer = np.empty_like(total)
    parts = []
    for weight in weights:
        default = policy.multipliers.get(weight.name, weight.multiplier)
        multiplier = hosts.multipliers(weight.name, default)
        if not isinstance(multiplier, float):
            multiplier = multiplier[rows]
        elif multiplier == 0:
            continue
        if not weight.applies(hosts, want):
            continue
        score = weight.score(hosts, want, rows)
        high = float(score.max())
        low = float(score.min()) if weight.floor is None else weight.floor
        if high <= low:
            continue
        sign = -1.0 if weight.room and policy.strategy == "Stack" else 1.0
        factor = multiplier * (sign / (high - low))
        np.subtract(score, low, out=buffer)
        np.multiply(buffer, factor, out=buffer)
        total += buffer
        parts.append(_Part(weight.name, low, factor, score))
    return Weighed(total, tuple(parts))
