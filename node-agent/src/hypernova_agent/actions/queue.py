"""Which action of an Instance is next. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypernova_api.action import FINISHED, ActionPhase, InstanceAction


@dataclass(frozen=True, slots=True)
class Turn:
    """Who of the open actions of one Instance may do what now."""

    resets: tuple[InstanceAction, ...] = ()
    """ResetStates: they wait for nobody."""

    current: InstanceAction | None = None
    """The one that runs, or is to begin."""

    waiting: tuple[tuple[InstanceAction, InstanceAction], ...] = ()
    """The others, in order, each with the one before it."""


def turn_of(actions: Iterable[InstanceAction]) -> Turn:
    """The turn among the actions of one Instance; finished ones do not count.

    First come, first served, by (creationTimestamp, name); but one that runs is never overtaken, not even by an older
    one that was admitted later.
    """
    open_ = sorted((action for action in actions if action.status.phase not in FINISHED), key=_place)
    resets = tuple(action for action in open_ if action.spec.type == "ResetState")
    line = [action for action in open_ if action.spec.type != "ResetState"]
    if not line:
        return Turn(resets)
    return Turn(resets, line[0], tuple(zip(line[1:], line, strict=False)))


def _place(action: InstanceAction) -> tuple[bool, str, str]:
    metadata = action.metadata
    return action.status.phase != ActionPhase.RUNNING, metadata.creation_timestamp or "", metadata.name
