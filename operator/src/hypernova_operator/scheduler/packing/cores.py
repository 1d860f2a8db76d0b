"""Which CPUs of a cell pinned virtual CPUs get. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from hypernova_operator.scheduler.request import ThreadPolicy

Cores = Sequence[tuple[int, ...]]
"""CPU numbers, the threads of a core together."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """The CPUs that some virtual CPUs get."""

    cpus: tuple[int, ...] = ()
    """One for each, the threads of a core beside each other."""

    idle: tuple[int, ...] = ()
    """Those that nobody else may have."""


def pin(cores: Cores, free: frozenset[int], vcpus: int, threads: ThreadPolicy) -> Pinned | None:
    """CPUs out of `free` for so many virtual CPUs; None if they can't be had.

    A core is whole if all its threads are free.

    Prefer: fills whole cores, as many as it can fill; what is left over goes to threads of cores that others have
    a part of, and only then opens a whole one.
    Require: only whole cores of two threads or more. If the last one is not filled, its other threads stay free, for
    whoever does not require whole cores (as in Nova).
    Isolate: a whole core for each, those with the fewest threads first; the other threads idle.
    """
    whole = [core for core in cores if core and free.issuperset(core)]
    match threads:
        case "Isolate":
            return _isolate(whole, vcpus)
        case "Require":
            return _take(chain.from_iterable(core for core in whole if len(core) > 1), vcpus)
        case "Prefer":
            return _prefer(cores, whole, free, vcpus)


def _isolate(whole: Cores, vcpus: int) -> Pinned | None:
    chosen = sorted(whole, key=len)[:vcpus]
    if len(chosen) < vcpus:
        return None
    return Pinned(tuple(core[0] for core in chosen), tuple(chain.from_iterable(core[1:] for core in chosen)))


def _prefer(cores: Cores, whole: Cores, free: frozenset[int], vcpus: int) -> Pinned | None:
    filled: list[int] = []
    broken = []
    for core in sorted(whole, key=len, reverse=True):
        if len(core) <= vcpus - len(filled):
            filled += core
        else:
            broken.append(core)
    if len(filled) == vcpus:
        return Pinned(tuple(filled))
    parts = [part for core in cores if 0 < len(part := [cpu for cpu in core if cpu in free]) < len(core)]
    return _take(chain(filled, *sorted(parts, key=len), *broken), vcpus)


def _take(cpus: Iterable[int], vcpus: int) -> Pinned | None:
    taken = tuple(islice(cpus, vcpus))
    return Pinned(taken) if len(taken) == vcpus else None
