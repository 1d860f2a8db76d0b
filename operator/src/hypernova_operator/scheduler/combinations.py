"""Which aggregates hosts are in, by number: hosts are many, combinations of aggregates few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hypernova_operator.scheduler.host import Aggregate

Aggregates = tuple[Aggregate, ...]

AboutAggregates = Callable[[Aggregates], bool]
"""Something that is true of the aggregates a host is in, or not. Hashable: equal ones are asked once."""

_KEPT_VERDICTS = 4096
"""Questions (of a namespace, an image, a flavor) whose answers are kept; when there are more, all are asked anew."""


class Combinations:
    """Numbers for the combinations of aggregates that some host is in, and answers about each."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        """By the identities of the aggregates, which are shared; those that are equal but not shared get two."""
        self._combinations: list[Aggregates] = []
        self._hosts: list[int] = []
        """How many hosts are in each."""
        self._unused: list[int] = []
        self._verdicts: dict[tuple[type[AboutAggregates], AboutAggregates], npt.NDArray[np.bool_]] = {}

    def join(self, aggregates: Aggregates) -> int:
        """One more host is in these; returns their number."""
        key = tuple(map(id, aggregates))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new(aggregates)
        self._hosts[number] += 1
        return number

    def leave(self, number: int) -> None:
        """One host less is in those; with the last, the number is free for others."""
        self._hosts[number] -= 1
        if not self._hosts[number]:
            del self._numbers[tuple(map(id, self._combinations[number]))]
            self._combinations[number] = ()
            self._unused.append(number)

    def among(self, numbers: npt.NDArray[np.int64]) -> list[Aggregates]:
        """The combinations of these numbers, each once."""
        return [self._combinations[number] for number in np.unique(numbers)]

    def where(self, about: AboutAggregates) -> npt.NDArray[np.bool_]:
        """The combinations something is true of: a truth for each number."""
        key = (type(about), about)
        verdicts = self._verdicts.get(key)
        if verdicts is None:
            if len(self._verdicts) == _KEPT_VERDICTS:
                self._verdicts.clear()
            verdicts = self._verdicts[key] = np.fromiter(map(about, self._combinations), np.bool_)
        return verdicts

    def _new(self, aggregates: Aggregates) -> int:
        self._verdicts.clear()
        if self._unused:
            number = self._unused.pop()
            self._combinations[number] = aggregates
            return number
        self._combinations.append(aggregates)
        self._hosts.append(0)
        return len(self._hosts) - 1
