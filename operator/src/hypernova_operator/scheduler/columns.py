"""Arrays of one length, a row for each of something: new rows come last; the last fills the gap of one that goes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]

_FEWEST_ROWS = 16


class Columns:
    """Columns by name. What `view` returned is stale once a row has come or gone: take it anew."""

    def __init__(self) -> None:
        self._full: dict[Hashable, Column] = {}
        self._room = _FEWEST_ROWS
        self.rows = 0

    def add(self, name: Hashable, dtype: npt.DTypeLike) -> Column:
        """A new column of zeros; returns its view."""
        self._full[name] = np.zeros(self._room, dtype)
        return self.view(name)

    def drop(self, name: Hashable) -> None:
        """A column is needed no more."""
        del self._full[name]

    def view(self, name: Hashable) -> Column:
        """The rows there are. Writing to it writes to the column."""
        return self._full[name][: self.rows]

    def append(self) -> int:
        """A new row of zeros; returns its number."""
        if self.rows == self._room:
            self._full = {name: np.pad(column, (0, self._room)) for name, column in self._full.items()}
            self._room *= 2
        self.rows += 1
        return self.rows - 1

    def remove(self, row: int) -> int:
        """A row goes; returns the number of the one that took its place (itself, if it was the last)."""
        last = self.rows - 1
        for column in self._full.values():
            column[row] = column[last]
            column[last] = 0
        self.rows = last
        return last
