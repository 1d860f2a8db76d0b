"""What processes cost, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class CpuSeconds:
    """CPU time of some processes, all their threads, since this object was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        """Seconds by the process's name."""
        return {name: seconds - self._before[name] for name, seconds in self._now().items()}

    def total(self) -> dict[str, float]:
        """Seconds since each process began, by its name."""
        return self._now()

    def _now(self) -> dict[str, float]:
        return {name: _cpu_seconds(pid) for name, pid in self._pids.items()}


def _cpu_seconds(pid: int) -> float:
    # The command's name stands in brackets and may hold anything; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
