"""What a scheduler is measured in, and how: ours and Nova's alike, each cloud in a process of its own.

Runs in Nova's environment too, so it needs nothing but Python's own library.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tests.bench.figures import percentile

INSTANCES_PER_HOST = 20
GROUP_MEMBERS = 8
AGGREGATES = 10
"""Every host is in two: one of five for its zone, one of five for its kind of disk."""

Figures: TypeAlias = dict[str, float]
"""What was measured, with the unit in the key."""

Request = TypeVar("Request")


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where to place one m1.small (1 CPU, 2 GiB, 20 GB), again and again."""

    hosts: int
    """All of them would do, the worst case. Each has 20 Instances of different sizes."""

    group: bool
    """Whether it is in an anti-affinity group, 8 of which run already, each on a host of its own."""

    repeats: int

    @property
    def passing(self) -> int:
        """Hosts that pass all filters."""
        return self.hosts - GROUP_MEMBERS if self.group else self.hosts

    @property
    def arguments(self) -> list[str]:
        """What `main` makes this of."""
        return [str(self.hosts), str(self.repeats), *(["--group"] if self.group else [])]


def timed(name: str, decide: Callable[[Request], object], requests: Iterable[Request]) -> Figures:
    """P50 and P95 of `decide`, in ms, as `NAME_p50_ms` and so on; making the next request is not in it.

    It is CPU time. Neither side waits for anything, so on a quiet machine that is how long it takes; on a busy one the
    two can still be compared. Garbage is collected as in service, but for what came before.
    """
    milliseconds = []
    gc.collect()
    for request in requests:
        started = time.thread_time()
        decide(request)
        milliseconds.append(1000 * (time.thread_time() - started))
    return {f"{name}_p{percent}_ms": percentile(milliseconds, percent) for percent in (50, 95)}


def main(measure: Callable[[Cloud], Figures]) -> None:
    """The command of either side: `HOSTS REPEATS [--group]`; prints its figures as a line of JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("hosts", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("--group", action="store_true")
    print(json.dumps(measure(Cloud(**vars(parser.parse_args())))))
