"""What is measured from outside: the API server's own count of writes, the agent's step times, resident memory."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from hack.stack import Program, Stack

WRITES = {"POST", "PUT", "PATCH", "APPLY", "DELETE"}


class ApiWrites:
    """Writes to our kinds and of Events since this object was made, the user's among them; Leases are left out."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._before = self._total()

    def count(self) -> float:
        """How many requests it was."""
        return self._total() - self._before

    def _total(self) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self._stack.cluster.metrics())
            for sample in family.samples
            if sample.name == "apiserver_request_total"
            and sample.labels["verb"] in WRITES
            and (sample.labels["group"] == "compute.hypernova.dev" or sample.labels["resource"] == "events")
        )


class StepSeconds:
    """Time the agent has spent in each kind of step since this object was made."""

    METRIC = "hypernova_agent_step_seconds"

    def __init__(self, agent: Program) -> None:
        self._agent = agent
        self._before = self._totals()

    def mean(self) -> dict[str, float]:
        """Seconds per step, by the step's name, for those that happened."""
        means = {}
        for step, (seconds, count) in self._totals().items():
            seconds_before, count_before = self._before.get(step, (0.0, 0.0))
            if count > count_before:
                means[step] = (seconds - seconds_before) / (count - count_before)
        return means

    def _totals(self) -> dict[str, tuple[float, float]]:
        counts = {labels["step"]: value for labels, value in self._agent.samples(f"{self.METRIC}_count")}
        sums = {labels["step"]: value for labels, value in self._agent.samples(f"{self.METRIC}_sum")}
        return {step: (seconds, counts[step]) for step, seconds in sums.items()}


def cpu_seconds(pid: int) -> float:
    """What a process has used of CPU so far, in user and system mode."""
    # The command's name stands in brackets and may hold anything; user and system time are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
