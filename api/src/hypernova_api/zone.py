"""AvailabilityZone: a part of the cloud that fails apart from the others."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.aggregate import Reserve
from hypernova_api.conditions import Conditions
from hypernova_api.meta import AGE, Column, Kind, Model


class AvailabilityZoneSpec(Model):
    """What users should know of it."""

    description: Annotated[str, Field(max_length=1024)] = ""
    """For users, e.g. `hall 2, own power and cooling`."""

    reserve: Reserve | None = None
    """Room kept free for the case that hosts of the zone fail."""


class AvailabilityZoneStatus(Model):
    """How it is. Written by the operator; says nothing of hosts, as users read it."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    available: bool | None = None
    """Whether it takes Instances: some host of it is usable."""

    conditions: Conditions = Field(default_factory=list)
    """`Available`: some host of it is usable. `FailoverHeadroom`: whether `reserve` holds now."""


class AvailabilityZone(Kind, scope="Cluster", short_names=("az",)):
    """A part of the cloud that fails apart from the others. HostAggregates say which hosts are in it."""

    spec: AvailabilityZoneSpec = AvailabilityZoneSpec()
    """What users should know of it."""

    status: AvailabilityZoneStatus = AvailabilityZoneStatus()
    """How it is. Written by the operator; says nothing of hosts, as users read it."""

    columns: ClassVar[list[Column]] = [
        Column("Available", ".status.available", "boolean"),
        Column("Reason", '.status.conditions[?(@.type=="Available")].reason', priority=1),
        Column("Headroom", '.status.conditions[?(@.type=="FailoverHeadroom")].status', priority=1),
        Column("Description", ".spec.description"),
        AGE,
    ]
