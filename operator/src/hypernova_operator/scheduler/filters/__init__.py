"""Filters: each rules hosts out for one reason, and says it."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.alive import AgentAlive
from hypernova_operator.scheduler.filters.allowed import Enabled, NotInMaintenance
from hypernova_operator.scheduler.filters.base import Filter, count
from hypernova_operator.scheduler.filters.capacity import EnoughDisk, EnoughMemory, EnoughVcpus
from hypernova_operator.scheduler.filters.conflict import NoConflict
from hypernova_operator.scheduler.filters.group import GroupAffinity, GroupAntiAffinity
from hypernova_operator.scheduler.filters.image import ImageProperties
from hypernova_operator.scheduler.filters.isolation import (
    ImageConfinement,
    ImageIsolation,
    ProjectConfinement,
    ProjectIsolation,
)
from hypernova_operator.scheduler.filters.labelled import NodeLabelled
from hypernova_operator.scheduler.filters.limits import BuildsPerHost, InstancesPerHost
from hypernova_operator.scheduler.filters.named import DifferentHost, ImageHost, NotExcluded, RequestedHost, SameHost
from hypernova_operator.scheduler.filters.node import NodeSelector, Taints
from hypernova_operator.scheduler.filters.packed import (
    EnoughCells,
    EnoughDedicatedCpus,
    EnoughDevices,
    EnoughHugePages,
)
from hypernova_operator.scheduler.filters.requirements import AggregateRequirements
from hypernova_operator.scheduler.filters.reserve import KeepsReserve
from hypernova_operator.scheduler.filters.traits import ForbiddenTraits, RequiredTraits
from hypernova_operator.scheduler.filters.zone import Zone

FILTERS: tuple[Filter, ...] = (
    # A column that is there.
    NodeLabelled(),
    NoConflict(),
    AgentAlive(),
    Enabled(),
    NotInMaintenance(),
    # A few rows by name.
    RequestedHost(),
    ImageHost(),
    NotExcluded(),
    SameHost(),
    DifferentHost(),
    # A column that is kept for who asks the same, or one for each of several things.
    Taints(),
    NodeSelector(),
    RequiredTraits(),
    ForbiddenTraits(),
    ImageProperties(),
    EnoughCells(),
    # A comparison for each host, or for each combination of aggregates.
    Zone(),
    ProjectIsolation(),
    ProjectConfinement(),
    ImageIsolation(),
    ImageConfinement(),
    AggregateRequirements(),
    InstancesPerHost(),
    BuildsPerHost(),
    EnoughVcpus(),
    EnoughMemory(),
    EnoughDisk(),
    EnoughDedicatedCpus(),
    EnoughHugePages(),
    EnoughDevices(),
    # As many rows as the group has hosts, and sums over a reserve's.
    GroupAffinity(),
    GroupAntiAffinity(),
    KeepsReserve(),
)
"""In order of cheapness; a host is counted at the first that it fails."""

__all__ = ["FILTERS", "Filter", "count"]
