"""What a weight is."""

from __future__ import annotations

from typing import ClassVar, Protocol

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable, Mask, Scores

Rows = Amounts | slice
"""Which rows: their numbers, or a slice where it is all of them, which costs no copy."""

Score = Scores | Amounts | Mask
"""How well some hosts do, in any unit; a mask is 1 for those that have it."""


class Weight(Protocol):
    """A wish.

    The docstring of one says in its first line which host wins; docs/scheduling.md is made of it.
    """

    name: ClassVar[str]
    """As in hypernova_api.aggregate.WeightMultipliers on the wire, in `status.placement` and in the settings."""

    multiplier: ClassVar[float]
    """How much it counts, where nobody says otherwise; negative turns the wish around."""

    nova: ClassVar[str] = ""
    """What does this in Nova."""

    room: ClassVar[bool] = False
    """Whether it is about free room: turned around where the strategy is to stack."""

    floor: ClassVar[float | None] = None
    """The score that is normalised to 0, and whatever is below it too; the least there is when None. With a floor of
    0, hosts that differ by little get weights that differ by little."""

    def applies(self, hosts: HostTable, want: Request) -> bool:
        """Whether it can make a difference at all; a cheap look that saves a score."""
        return True

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Score:
        """How well each of these hosts does, in any unit. May be a view on a column: not to be written to."""
        ...
