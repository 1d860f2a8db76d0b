"""What this package counts about itself, for the operators of the system."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One per process, in the registry that the process' probes serve; in none (a test), it still counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.requests = Counter(
            "hypernova_kube_requests_total",
            "Requests to the API server. Code 0: no answer.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "hypernova_kube_request_seconds",
            "How long the API server took to answer, watches apart.",
            ["verb", "resource"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.clock_ahead = Gauge(
            "hypernova_clock_ahead_seconds",
            "How far our clock was ahead of the API server's at its last answer, to a second and what the answer took.",
            registry=registry,
        )
        self.watch_restarts = Counter(
            "hypernova_kube_watch_restarts_total",
            "Watches begun again, by what ended the one before: ended, expired, stalled, unreachable, error.",
            ["resource", "cause"],
            registry=registry,
        )
        self.lists = Counter(
            "hypernova_kube_reflector_lists_total",
            "Full lists read by reflectors.",
            ["resource"],
            registry=registry,
        )
        self.objects = Gauge(
            "hypernova_kube_reflector_objects",
            "Objects a reflector keeps.",
            ["resource"],
            registry=registry,
        )
        self.queue_depth = Gauge("hypernova_queue_depth", "Keys waiting for a worker.", ["queue"], registry=registry)
        self.reconcile_seconds = Histogram(
            "hypernova_queue_reconcile_seconds",
            "How long one reconcile of one key took.",
            ["queue"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "hypernova_queue_reconcile_errors_total",
            "Reconciles that raised.",
            ["queue"],
            registry=registry,
        )
        self.leader = Gauge(
            "hypernova_leader", "1 while this process leads, by its own clock.", ["lease"], registry=registry
        )
        self.lease_errors = Counter(
            "hypernova_lease_errors_total",
            "Renewals of a Lease that failed.",
            ["lease"],
            registry=registry,
        )
        self.certificate_expiry = Gauge(
            "hypernova_certificate_expiry_timestamp_seconds",
            "When the certificate in use ends, as Unix time.",
            ["signer"],
            registry=registry,
        )
        self.certificate_renewals = Counter(
            "hypernova_certificate_renewals_total",
            "Certificates that were got and taken into use.",
            ["signer"],
            registry=registry,
        )
        self.certificate_failures = Counter(
            "hypernova_certificate_failures_total",
            "Tries to get a certificate that failed: denied, failed or deleted (the request), unusable, or error.",
            ["signer", "cause"],
            registry=registry,
        )
        self.events_written = Counter(
            "hypernova_events_written_total", "Kubernetes Events created or updated.", registry=registry
        )
        self.events_dropped = Counter(
            "hypernova_events_dropped_total",
            "Kubernetes Events not written: overflow, rate_limited, or error (the API server refused or was away).",
            ["cause"],
            registry=registry,
        )
