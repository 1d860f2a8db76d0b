"""What the agent counts about itself and its Instances, for the operators of the system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hypernova_api.instance import Phase

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class AgentMetrics:
    """One per process, in the registry that its probes serve; in none (a test), it still counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.instances = Gauge(
            "hypernova_agent_instances", "Instances bound to this node, by phase.", ["phase"], registry=registry
        )
        self.step_seconds = Histogram(
            "hypernova_agent_step_seconds",
            "How long the steps of plans took.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.failures = Counter(
            "hypernova_agent_failures_total",
            "Tries to bring an Instance where it should be that failed, by the reason its condition shows.",
            ["reason"],
            registry=registry,
        )
        self.actions = Counter(
            "hypernova_agent_actions_total",
            "InstanceActions that have ended, by their type and by why they failed, if they did.",
            ["type", "reason"],
            registry=registry,
        )
        self.image_bytes = Counter(
            "hypernova_agent_image_bytes_total", "Bytes of images downloaded.", registry=registry
        )
        self.restarts = Counter(
            "hypernova_agent_guest_ends_total",
            "Guests that ended by themselves while they should run, and were started again.",
            registry=registry,
        )
        self.consoles = Gauge("hypernova_agent_consoles", "Consoles that are looked at.", ["type"], registry=registry)
        self.console_bytes = Counter(
            "hypernova_agent_console_bytes_total",
            "Bytes of consoles passed on: `out` to viewers, `in` from them.",
            ["type", "direction"],
            registry=registry,
        )
        self.console_refusals = Counter(
            "hypernova_agent_console_refusals_total",
            "Consoles that could not be had, by the reason that was told.",
            ["reason"],
            registry=registry,
        )
        self.connected = Gauge("hypernova_agent_host_connected", "1 while libvirt answers.", registry=registry)

    def count_instances(self, phases: Callable[[], Mapping[str, int]]) -> None:
        """Have the number of Instances by phase taken from `phases()` at every scrape."""
        for phase in Phase:
            self.instances.labels(phase.value).set_function(partial(_of, phases, phase.value))


def _of(counts: Callable[[], Mapping[str, int]], phase: str) -> int:
    return counts().get(phase, 0)
