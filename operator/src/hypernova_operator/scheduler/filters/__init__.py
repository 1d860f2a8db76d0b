"""Filters: each rules hosts out for one reason, and says it."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.alive import AgentAlive
from hypernova_operator.scheduler.filters.allowed import Enabled, NotInMaintenance
from hypernova_operator.scheduler.filters.base import Filter, count
from hypernova_operator.scheduler.filters.capacity import EnoughDisk, EnoughMemory, EnoughVcpus
from hypernova_operator.scheduler.filters.labelled import NodeLabelled

FILTERS: tuple[Filter, ...] = (
    NodeLabelled(),
    AgentAlive(),
    Enabled(),
    NotInMaintenance(),
    EnoughVcpus(),
    EnoughMemory(),
    EnoughDisk(),
)
"""In order of cheapness; a host is counted at the first that it fails."""

__all__ = ["FILTERS", "Filter", "count"]
