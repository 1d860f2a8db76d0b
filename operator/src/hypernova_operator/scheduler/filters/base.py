"""What a filter is."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class Filter(Protocol):
    """A verdict on every host, and the words for it.

    The docstring of one says in its first line what passes; docs/scheduling.md is made of it.
    """

    nova: ClassVar[str] = ""
    """What does this in Nova, for people who come from there."""

    lasting: ClassVar[bool] = False
    """Whether an Instance that is placed already is shown as drifted when its host passes no more."""

    def applies(self, want: Request) -> bool:
        """Whether it can rule out any host at all for this request; a cheap look that saves a mask."""
        return True

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        """Which hosts pass. May be a view on a column: not to be written to."""
        ...

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        """Why the hosts in `lost` (at least one) don't pass: what follows their number in the sentence.

        With the nearest miss where there is one: `lack memory (need 8Gi, most free 6Gi)`.
        """
        ...


def count(mask: Mask) -> int:
    """How many hosts a mask has."""
    return int(np.count_nonzero(mask))


def some(words: list[str], most: int = 3) -> str:
    """The first few in alphabetic order, and how many more there are."""
    words = sorted(words)
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
