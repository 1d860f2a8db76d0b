"""Runs a program and writes where its main thread spent its CPU time: `python -m tests.bench.scale.sampled FLAGS
--module hypernova_operator --samples FILE`, the flags being the module's own.

A timer of the process's CPU time interrupts it every 2 ms, and the stack is noted. Unlike cProfile this makes nothing
slower, small functions included, so that shares are true.
"""

from __future__ import annotations

import argparse
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

SECONDS = 0.002
_LINES = 45


class Samples:
    """Where the CPU was found."""

    def __init__(self) -> None:
        self.taken = 0
        self.own: Counter[str] = Counter()
        """By the function that ran, what C does on its behalf included."""
        self.inclusive: Counter[str] = Counter()
        """By every function that was being run."""

    def take(self, _signal: int, frame: FrameType | None) -> None:
        """The handler of the timer's signal."""
        self.taken += 1
        if frame is not None:
            self.own[_name(frame)] += 1
        seen = set()
        while frame is not None:
            seen.add(_name(frame))
            frame = frame.f_back
        self.inclusive.update(seen)

    def report(self) -> str:
        """Two tables, the largest first."""
        lines = [f"{self.taken} samples of {1000 * SECONDS:g} ms"]
        for title, counter in (("own", self.own), ("with all it calls", self.inclusive)):
            lines += ["", title]
            lines += [
                f"{100 * count / max(self.taken, 1):5.1f} %  {name}" for name, count in counter.most_common(_LINES)
            ]
        return "\n".join(lines) + "\n"


def _name(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_qualname}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--module", required=True)
    parser.add_argument("--samples", required=True, type=Path)
    mine, sys.argv[1:] = parser.parse_known_args()
    samples = Samples()
    # What comes before SIGUSR2 (start-up, say) is not asked for.
    signal.signal(signal.SIGPROF, samples.take)
    signal.signal(signal.SIGUSR2, lambda *_: signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS))
    try:
        runpy.run_module(mine.module, run_name="__main__", alter_sys=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        mine.samples.write_text(samples.report())


if __name__ == "__main__":
    main()
