"""The tables of docs/scheduling.md: filters, weights, settings, and Nova's names for them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import fields

from hypernova_operator.scheduler.filters import FILTERS
from hypernova_operator.scheduler.weights import WEIGHTS
from hypernova_operator.settings import Settings

SETTINGS = ("strategy", "weight_multipliers", "choose_among", "max_instances_per_host", "max_builds_per_host")
"""Those that decisions depend on."""


def filters() -> Iterator[str]:
    """A row for each filter, in the order they are asked."""
    yield from _head("filter", "passes", "drift", "in Nova")
    for filter_ in FILTERS:
        yield _row(f"`{_name(filter_)}`", _first_line(filter_), "yes" if filter_.lasting else "", filter_.nova)


def weights() -> Iterator[str]:
    """A row for each weight."""
    yield from _head("weight", "which host wins", "multiplier", "in Nova")
    for weight in WEIGHTS:
        yield _row(f"`{weight.name}`", _first_line(weight), f"{weight.multiplier:g}", weight.nova)


def settings() -> Iterator[str]:
    """A row for each setting of the operator that decisions depend on."""
    by_name = {field.name: field for field in fields(Settings)}
    yield from _head("flag", "default", "meaning")
    for name in SETTINGS:
        field = by_name[name]
        default = f"`{field.default}`" if field.default else ""
        yield _row(f"`--{name.replace('_', '-')}`", default, field.metadata["doc"])


def nova() -> Iterator[str]:
    """A row for each of Nova's names, by name, with ours."""
    ours = [
        (theirs.strip(), f"`{name}`")
        for name, all_theirs in (
            *((_name(filter_), filter_.nova) for filter_ in FILTERS),
            *((weight.name, weight.nova) for weight in WEIGHTS),
        )
        for theirs in all_theirs.split(",")
        if theirs.strip()
    ]
    yield from _head("Nova", "here")
    for theirs in sorted({theirs for theirs, _ in ours}, key=str.lower):
        yield _row(theirs, ", ".join(name for other, name in ours if other == theirs))


TABLES = {"filters": filters, "weights": weights, "settings": settings, "nova": nova}


def _head(*columns: str) -> Iterable[str]:
    return (_row(*columns), "|" + "---|" * len(columns))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _name(thing: object) -> str:
    return type(thing).__name__


def _first_line(thing: object) -> str:
    return (inspect.getdoc(type(thing)) or "").splitlines()[0]
