"""InstanceGroup: Instances that should be together, or apart. (Nova: a server group.)"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.meta import AGE, Column, Kind, Model, Rule

Policy = Literal["Affinity", "AntiAffinity", "SoftAffinity", "SoftAntiAffinity"]


class InstanceGroupSpec(Model):
    """How its members want to be placed. Immutable: members have been placed by it."""

    policy: Policy
    """Affinity: all on one host. AntiAffinity: each on another host. The soft ones: as far as that can be had."""

    max_per_host: Annotated[int, Field(ge=1, le=1000)] | None = None
    """For AntiAffinity: this many on one host are still apart; 1 when absent. (Nova: max_server_per_host.)"""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self == oldSelf",
            "an InstanceGroup cannot be edited, as its members have been placed by it: make a new one",
            "FieldValueForbidden",
        ),
        Rule(
            "!has(self.maxPerHost) || self.policy == 'AntiAffinity'",
            "maxPerHost goes with policy: AntiAffinity only",
            field=".maxPerHost",
        ),
    ]


class GroupMember(Model):
    """An Instance of the group that has a node."""

    name: str
    """The Instance."""

    node_name: str
    """Its node."""


class InstanceGroupStatus(Model):
    """Who is in it and where. Written by the operator, seconds after it has changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    members: Annotated[list[GroupMember], Field(max_length=1024)] = Field(default_factory=list)
    """Members that have a node, by name; the first 1,024."""

    count: Annotated[int, Field(ge=0)] | None = None
    """How many members have a node."""

    hosts: Annotated[int, Field(ge=0)] | None = None
    """On how many different nodes they are."""

    conditions: Conditions = Field(default_factory=list)
    """`Satisfied`: whether the policy holds for the members as they are."""


class InstanceGroup(Kind, short_names=("ig",)):
    """Instances that should be together, or apart: they name it in spec.scheduling.group."""

    spec: InstanceGroupSpec
    """How its members want to be placed. Immutable: members have been placed by it."""

    status: InstanceGroupStatus = InstanceGroupStatus()
    """Who is in it and where. Written by the operator, seconds after it has changed."""

    columns: ClassVar[list[Column]] = [
        Column("Policy", ".spec.policy"),
        Column("Max Per Host", ".spec.maxPerHost", "integer", priority=1),
        Column("Members", ".status.count", "integer"),
        Column("Hosts", ".status.hosts", "integer"),
        Column("Satisfied", '.status.conditions[?(@.type=="Satisfied")].status'),
        AGE,
    ]
