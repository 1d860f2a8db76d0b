"""Conditions: what is true of an object now, why, and since when. Shape and words as in metav1.Condition."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hypernova_api.meta import Model, Time, keyed_by

Truth = Literal["True", "False", "Unknown"]


class Condition(Model):
    """One observation of an object's state."""

    type: Annotated[str, Field(max_length=316)]
    """What is observed, e.g. `Ready`."""

    status: Truth
    """Whether it holds."""

    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """Why, as a stable CamelCase word for programs."""

    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, as a sentence for people that says what to do."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation this was observed at."""

    last_transition_time: Time
    """When `status` last changed, RFC 3339."""


Conditions = Annotated[list[Condition], Field(max_length=32), keyed_by("type")]
"""The conditions of an object: at most one of a type."""


def timestamp(when: datetime) -> str:
    """A time in UTC as `last_transition_time` has it: to the second, as metav1.Time."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of a type, if there is one."""
    return next((c for c in conditions if c.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition of a type is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status == "True"


def merge(conditions: Iterable[Condition], *new: Condition) -> list[Condition]:
    """Conditions with `new` put in by type; an unchanged status keeps its last_transition_time. Pure.

    A JSON merge patch replaces lists whole, so writers send everything that this returns.
    """
    merged = {c.type: c for c in conditions}
    for condition in new:
        before = merged.get(condition.type)
        if before is not None and before.status == condition.status:
            condition = condition.model_copy(update={"last_transition_time": before.last_transition_time})
        merged[condition.type] = condition
    return list(merged.values())
