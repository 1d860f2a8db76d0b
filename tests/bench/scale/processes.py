"""What processes cost, as the kernel counts it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.meter import cpu_seconds


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
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}
