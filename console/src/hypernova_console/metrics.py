"""What the console proxy counts, for the operators of the system."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ConsoleMetrics:
    """One per process, in the registry that its probes serve; in none (a test), it still counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.tickets = Counter(
            "hypernova_console_tickets_total",
            "Tickets by what became of them here: made, redeemed, or the reason why they were refused.",
            ["result"],
            registry=registry,
        )
        self.refusals = Counter(
            "hypernova_console_refusals_total",
            "Requests refused, by door (api, web) and reason.",
            ["door", "reason"],
            registry=registry,
        )
        self.connections = Gauge(
            "hypernova_console_connections", "Consoles being passed on, by their type.", ["type"], registry=registry
        )
        self.endings = Counter(
            "hypernova_console_endings_total",
            "Consoles that have ended, by type and why: the name of a close code, ViewerLeft, or OTHER.",
            ["type", "reason"],
            registry=registry,
        )
        self.seconds = Counter(
            "hypernova_console_seconds_total",
            "How long the consoles lasted that have ended, by type.",
            ["type"],
            registry=registry,
        )
        self.bytes = Counter(
            "hypernova_console_bytes_total",
            "What was passed on, by the console's type and to whom: viewer or guest.",
            ["type", "to"],
            registry=registry,
        )
