"""What the operator counts, beside what kube counts for it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.binds = Counter("hypernova_binds_total", "Instances bound to a node.", registry=registry)
        self.refusals = Counter(
            "hypernova_refusals_total",
            "Times an Instance was told why it waits, by the reason of its condition.",
            ["reason"],
            registry=registry,
        )
        self.filtered_hosts = Counter(
            "hypernova_filtered_hosts_total",
            "Hosts that a filter ruled out, that none before it had, in decisions that found none.",
            ["filter"],
            registry=registry,
        )
        self.decision_seconds = Histogram(
            "hypernova_decision_seconds",
            "How long it took to find an Instance's host, or that there is none.",
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1),
            registry=registry,
        )
        self.actions_admitted = Counter(
            "hypernova_actions_admitted_total", "InstanceActions handed to a node.", ["type"], registry=registry
        )
        self.actions_refused = Counter(
            "hypernova_actions_refused_total",
            "InstanceActions that failed without their node, by the reason of their condition.",
            ["type", "reason"],
            registry=registry,
        )
        self.actions = Gauge("hypernova_actions", "InstanceActions of which something is to come.", registry=registry)
        self.waiting = Gauge("hypernova_instances_waiting", "Instances that have been told why.", registry=registry)
        self.instances = Gauge("hypernova_instances", "Instances known.", registry=registry)
        self.hosts = Gauge("hypernova_hosts", "Hosts known, alive or not.", registry=registry)
        self.lost_hosts = Gauge(
            "hypernova_lost_hosts", "Hosts whose agent has been silent for too long.", registry=registry
        )
        self.orphans = Gauge(
            "hypernova_orphans", "Domains that hosts have without an Instance: adopt or remove them.", registry=registry
        )
        self.reservations_resized = Counter(
            "hypernova_reservations_resized_total",
            "Times a node's reservation Pod was resized to what Instances hold there.",
            registry=registry,
        )
        self.reservations_pending = Gauge(
            "hypernova_reservations_pending",
            "Reservation Pods that kubelet has not granted what Instances hold, by its reason.",
            ["reason"],
            registry=registry,
        )
        self.certificates_signed = Counter(
            "hypernova_certificates_signed_total", "Certificates signed.", ["signer"], registry=registry
        )
        self.certificates_denied = Counter(
            "hypernova_certificates_denied_total",
            "Certificates refused, by the reason of the request's condition.",
            ["signer", "reason"],
            registry=registry,
        )
        self.conductor_requests = Counter(
            "hypernova_conductor_requests_total",
            "Times an agent asked for user data: OK, or the reason why it got none.",
            ["result"],
            registry=registry,
        )
        self.authority_expiry = Gauge(
            "hypernova_authority_expiry_timestamp_seconds",
            "When the authority that certificates are signed with ends, as Unix time; 0 where none is in use.",
            registry=registry,
        )
        self.missed = Counter(
            "hypernova_cache_differences_total",
            "Objects that a sweep saw changed or gone before a watch told. Many gone: watches break often.",
            ["what"],
            registry=registry,
        )
