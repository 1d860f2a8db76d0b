"""The scheduler: a host table, filters, weights, one decision, and the words for it. Knows nothing of Kubernetes."""

from __future__ import annotations

from hypernova_operator.scheduler.decide import Placement, Refusal, Verdict, decide
from hypernova_operator.scheduler.explain import explain
from hypernova_operator.scheduler.filters import Request
from hypernova_operator.scheduler.hosts import Claim, Host, HostTable
from hypernova_operator.scheduler.resources import NOTHING, Resources

__all__ = [
    "NOTHING",
    "Claim",
    "Host",
    "HostTable",
    "Placement",
    "Refusal",
    "Request",
    "Resources",
    "Verdict",
    "decide",
    "explain",
]
