"""What can be set about the operator."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hypernova_kube.process.logs import Style
from hypernova_operator.cache.aggregates import Limits
from hypernova_operator.scheduler import NO_LIMIT, Policy
from hypernova_operator.scheduler.policy import Strategy
from hypernova_operator.scheduler.weights import WEIGHTS


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class Settings:
    """Hypernova's operator: finds a node for every Instance. Of several, one leads and the others stand by."""

    kubeconfig: Path | None = field(
        default=None, metadata=_doc("kubeconfig to use; else $KUBECONFIG, the Pod's service account, ~/.kube/config.")
    )
    namespace: str = field(
        default="hypernova-system", metadata=_doc("Namespace of the leader's Lease and of the node agents' Leases.")
    )
    identity: str = field(
        default_factory=socket.gethostname, metadata=_doc("Name of this operator in the Lease, Events and logs.")
    )
    workers: int = field(default=16, metadata=_doc("Instances worked on at once."))
    sweep_seconds: float = field(
        default=300.0, metadata=_doc("How often the cache is compared with the API server, in seconds.")
    )
    strategy: Strategy = field(
        default="Spread",
        metadata=_doc("Spread: the hosts with the most room are the best. Stack: those with the least."),
    )
    weight_multipliers: tuple[str, ...] = field(
        default=(),
        metadata=_doc("How much weights count, where it is not as much as they say: freeMemory=2,builds=-1."),
    )
    choose_among: int = field(
        default=1, metadata=_doc("Of how many of the best hosts one is chosen by chance; 1 takes the best.")
    )
    max_instances_per_host: int = field(
        default=0, metadata=_doc("Most Instances on a host whose aggregates say nothing; 0: no limit.")
    )
    max_builds_per_host: int = field(
        default=0,
        metadata=_doc("Most Instances being built at once on a host whose aggregates say nothing; 0: no limit."),
    )
    reservation: bool = field(
        default=False,
        metadata=_doc("Keep the requests of each node's reservation Pod at what its Instances hold."),
    )
    conductor_host: str = field(
        default="0.0.0.0",  # noqa: S104 - agents are on other nodes, and get nothing without their token
        metadata=_doc("Address to listen on for agents."),
    )
    conductor_port: int = field(default=9443, metadata=_doc("Port to listen on for agents; 0 takes a free one."))
    probe_host: str = field(default="127.0.0.1", metadata=_doc("Address /healthz, /readyz and /metrics are served at."))
    probe_port: int = field(default=8080, metadata=_doc("Port of /healthz, /readyz and /metrics; 0 takes a free one."))
    log_level: str = field(default="info", metadata=_doc("debug, info, warning or error."))
    log_format: Style = field(default="logfmt", metadata=_doc("How log lines are written."))

    def __post_init__(self) -> None:
        """Refuse what flags can say and a Policy can't mean."""
        for name in ("workers", "choose_among"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1")
        for name in ("max_instances_per_host", "max_builds_per_host"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 0, which is no limit")
        _multipliers(self.weight_multipliers)

    @property
    def policy(self) -> Policy:
        """How the best host is chosen."""
        return Policy(self.strategy, _multipliers(self.weight_multipliers), self.choose_among)

    @property
    def limits(self) -> Limits:
        """Of hosts whose aggregates say nothing."""
        return Limits(self.max_instances_per_host or NO_LIMIT, self.max_builds_per_host or NO_LIMIT)


def _multipliers(texts: Iterable[str]) -> dict[str, float]:
    """What `freeMemory=2` and the like mean. Raises ValueError."""
    known = sorted(weight.name for weight in WEIGHTS)
    multipliers = {}
    for text in texts:
        name, _, number = text.partition("=")
        if name not in known:
            raise ValueError(f"--weight-multipliers: there is no weight {name!r}; there are {', '.join(known)}")
        try:
            multiplier = float(number)
        except ValueError:
            multiplier = math.nan
        if not math.isfinite(multiplier):
            raise ValueError(f"--weight-multipliers: write {name!r} with a number, like {name}=2")
        multipliers[name] = multiplier
    return multipliers
