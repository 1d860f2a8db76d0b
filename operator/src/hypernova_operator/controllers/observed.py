"""Conditions as controllers write them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from hypernova_api import conditions
from hypernova_api.conditions import Condition, Truth


class Observed(NamedTuple):
    """What is true of an object now."""

    type: str
    status: Truth
    reason: str
    message: str


def merged(before: Iterable[Condition], generation: int, now: datetime, *observed: Observed) -> list[Condition]:
    """The conditions before with these in them.

    Args:
        before: an unchanged status keeps its time.
        generation: the metadata.generation it was observed at.
        now: when.
        observed: what it is now.
    """
    return conditions.merge(
        before,
        *(
            Condition(
                type=each.type,
                status=each.status,
                reason=each.reason,
                message=each.message,
                observed_generation=generation,
                last_transition_time=conditions.timestamp(now),
            )
            for each in observed
        ),
    )


def only(before: Iterable[Condition], generation: int, now: datetime, *observed: Observed) -> list[Condition]:
    """The same, without those before that are not observed any more."""
    types = {each.type for each in observed}
    return merged((each for each in before if each.type in types), generation, now, *observed)
