"""What is measured of a scheduler, ours or Nova's, and how: each cloud in a process of its own.

Runs in Nova's environment too, so it needs nothing but Python's own library.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench.figures import percentile

INSTANCES_PER_HOST = 20
GROUP_MEMBERS = 8

Request = TypeVar("Request")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, over all its repeats."""

    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One scheduler, and one cloud that it placed an Instance in again and again."""

    passing: int
    """Hosts that passed all filters."""

    memory_mib: float
    """What all that is known of hosts and Instances takes of resident memory."""

    decision: Timing

    whole: Timing | None = None
    """The decision and what else the scheduler does for every request; none if there is nothing else."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """What to measure in."""

    hosts: int
    """All pass. Each has 20 Instances, of different sizes, and is in two aggregates."""

    group: bool
    """Whether the Instance to place is in an anti-affinity group, of which 8 are on hosts already."""

    repeats: int


def timed(decide: Callable[[Request], object], requests: Iterable[Request]) -> Timing:
    """Times `decide` with each request; what making the next one takes is left out.

    The collector of garbage stays on, as in service, but does not have to clear up after what came before.
    """
    milliseconds = []
    gc.collect()
    for request in requests:
        started = time.perf_counter()
        decide(request)
        milliseconds.append(1000 * (time.perf_counter() - started))
    return Timing(percentile(milliseconds, 50), percentile(milliseconds, 95))


def resident_mib() -> float:
    """Resident memory of this process, MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(measure: Callable[[Cloud], Measured]) -> None:
    """The command of either side: `HOSTS REPEATS [--group]`; prints what it measured as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("--group", action="store_true")
    print(json.dumps(asdict(measure(Cloud(**vars(parser.parse_args()))))))
