"""What a filter is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple, Protocol

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

    in_place: ClassVar[bool] = False
    """Whether it is asked again when an Instance is to have another flavor on the host it is on."""

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


class Wish(NamedTuple):
    """One of several things that a host must have."""

    words: str
    granted: Mask
    """Which hosts have it."""


def everywhere(hosts: HostTable) -> Mask:
    """All hosts."""
    return np.ones(len(hosts), np.bool_)


def only(hosts: HostTable, names: Iterable[str]) -> Mask:
    """Just the hosts of these names. A loop over the names: for few."""
    mask: Mask = np.zeros(len(hosts), np.bool_)
    for name in names:
        if (row := hosts.row(name)) is not None:
            mask[row] = True
    return mask


def all_of(hosts: HostTable, wishes: Iterable[Wish]) -> Mask:
    """Hosts that have all of it."""
    mask = everywhere(hosts)
    for wish in wishes:
        mask &= wish.granted
    return mask


def count(mask: Mask) -> int:
    """How many hosts a mask has."""
    return int(np.count_nonzero(mask))


def lack(lost: Mask) -> str:
    """The verb, as grammar wants it behind the number of hosts."""
    return "lacks" if count(lost) == 1 else "lack"


def some(words: Iterable[str], most: int = 3, between: str = ", ") -> str:
    """The first few in alphabetic order, and how many more there are."""
    words = sorted(words)
    rest = len(words) - most
    return between.join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def missing(hosts: HostTable, wishes: Sequence[Wish], lost: Mask) -> str:
    """What is needed, and the lost host that lacks least of it: `need A, B; nearest: node-a lacks B`."""
    need = f"need {some(wish.words for wish in wishes)}"
    rows = np.flatnonzero(lost)
    lacking = np.sum([~wish.granted[rows] for wish in wishes], axis=0)
    # Among equals the first by name: the sentence must not change with the order of rows.
    nearest = int(rows[np.lexsort((hosts.rank[rows], lacking))[0]])
    lacks = [wish.words for wish in wishes if not wish.granted[nearest]]
    return need if len(lacks) == len(wishes) else f"{need}; nearest: {hosts.at(nearest).name} lacks {some(lacks)}"
