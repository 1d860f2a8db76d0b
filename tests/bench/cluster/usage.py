"""What a container takes, as its node's kernel counts it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.nodes import Node
from hack.nodes.cgroups import hierarchies
from hypernova_api.quantity import Quantity
from tests.bench.meter import resident_mib

MI = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one container, up to a moment."""

    at: float
    """The moment: seconds, monotonic."""

    rss: float
    """MiB resident in its processes, with the files that are mapped."""

    working_set: float
    """MiB that kubelet goes by, and `kubectl top` shows: all that is charged to it, less files not used for long."""

    peak: float
    """The most MiB that were ever charged to it, files included."""

    cpu: float
    """Seconds of CPU so far."""


class Container:
    """The only container of a Pod, where it runs."""

    def __init__(self, pod: dict[str, Any], node: Node) -> None:
        """Find it.

        Args:
            pod: as the API server has it; is running.
            node: its node.
        """
        (container,), (status,) = pod["spec"]["containers"], pod["status"]["containerStatuses"]
        self.pod = str(pod["metadata"]["name"])
        self.node = node
        self.resources: dict[str, dict[str, str]] = container["resources"]
        self._id = str(status["containerID"]).removeprefix("containerd://")
        self._memory, self._cpu = (self._branch(controller) for controller in ("memory", "cpuacct"))

    @property
    def requested(self) -> dict[str, float]:
        """What the chart has it request, and its limit."""
        requests, limits = self.resources["requests"], self.resources["limits"]
        return {
            "request_cpu_m": Quantity(requests["cpu"]).milli,
            "request_mib": Quantity(requests["memory"]).value / MI,
            "limit_mib": Quantity(limits["memory"]).value / MI,
        }

    def usage(self) -> Usage:
        """Now."""
        idle = next(
            int(value)
            for name, value in map(str.split, (self._memory / "memory.stat").read_text().splitlines())
            if name == "total_inactive_file"
        )
        return Usage(
            time.monotonic(),
            sum(resident_mib(int(pid)) for pid in (self._memory / "cgroup.procs").read_text().split()),
            (_number(self._memory / "memory.usage_in_bytes") - idle) / MI,
            _number(self._memory / "memory.max_usage_in_bytes") / MI,
            _number(self._cpu / "cpuacct.usage") / 1e9,
        )

    def kill(self) -> None:
        """As a crash does, or the kernel when memory is short: nobody is told."""
        self.node.host.run("ctr", "--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", self._id)

    def _branch(self, controller: str) -> Path:
        """Its folder in the hierarchy of a controller."""
        hierarchy = next(each for each in hierarchies() if controller in each.option.split(","))
        (found,) = (hierarchy.path / self.node.cgroup).rglob(self._id)
        return found


def _number(file: Path) -> int:
    return int(file.read_text())
