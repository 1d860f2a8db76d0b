"""The scheduler: a host table, filters, weights, one decision, and the words for it. Knows nothing of Kubernetes."""

from __future__ import annotations

from hypernova_operator.scheduler.claims import NO_ALLOCATION, AllocatedCell, Allocation, Claim
from hypernova_operator.scheduler.decide import Candidate, Placement, Refusal, Verdict, decide, drift
from hypernova_operator.scheduler.explain import explain
from hypernova_operator.scheduler.fit import Misfit
from hypernova_operator.scheduler.host import NO_LIMIT, Aggregate, Cell, Device, Host, Isolation, Taint
from hypernova_operator.scheduler.in_place import in_place
from hypernova_operator.scheduler.policy import DEFAULT_POLICY, Policy
from hypernova_operator.scheduler.request import DeviceWant, Group, Request, Requirement, Toleration
from hypernova_operator.scheduler.resources import NOTHING, Resources
from hypernova_operator.scheduler.table import HostTable, Reserve

__all__ = [
    "DEFAULT_POLICY",
    "NOTHING",
    "NO_ALLOCATION",
    "NO_LIMIT",
    "Aggregate",
    "AllocatedCell",
    "Allocation",
    "Candidate",
    "Cell",
    "Claim",
    "Device",
    "DeviceWant",
    "Group",
    "Host",
    "HostTable",
    "Isolation",
    "Misfit",
    "Placement",
    "Policy",
    "Refusal",
    "Request",
    "Requirement",
    "Reserve",
    "Resources",
    "Taint",
    "Toleration",
    "Verdict",
    "decide",
    "drift",
    "explain",
    "in_place",
]
