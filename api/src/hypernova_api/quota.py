"""ComputeQuota: how much the Instances of a project may claim."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.meta import AGE, Column, Kind, Model, Rule, keyed_by
from hypernova_api.quantity import Quantity
from hypernova_api.selectors import LabelSelector


class QuotaLimits(Model):
    """Most of each that Instances with a node may claim; what is absent is not limited."""

    instances: Annotated[int, Field(ge=0)] | None = None
    """Instances."""

    vcpus: Annotated[int, Field(ge=0)] | None = None
    """Virtual CPUs."""

    memory: Quantity | None = None
    """Bytes of memory, e.g. `64Gi`."""

    disk: Quantity | None = None
    """Bytes of root disk, e.g. `1Ti`."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            f"!has(self.{field}) || quantity(string(self.{field})).compareTo(quantity('0')) >= 0",
            f"{field} must be at least 0",
            field=f".{field}",
        )
        for field in ("memory", "disk")
    ]


class ComputeQuotaSpec(Model):
    """Whose Instances, and how much."""

    namespace_selector: LabelSelector | None = None
    """The namespaces that share it, as one project; its own namespace alone when absent."""

    hard: QuotaLimits = QuotaLimits()
    """For all of them together."""

    per_user: QuotaLimits | None = None
    """For the Instances of each user (their annotation compute.hypernova.dev/created-by) in them."""


class QuotaUse(Model):
    """What is claimed."""

    instances: Annotated[int, Field(ge=0)] = 0
    """Instances."""

    vcpus: Annotated[int, Field(ge=0)] = 0
    """Virtual CPUs."""

    memory: Quantity = Quantity("0")
    """Bytes of memory."""

    disk: Quantity = Quantity("0")
    """Bytes of root disk."""


class UserUse(Model):
    """What the Instances of one user claim."""

    user: str
    """The user's name."""

    used: QuotaUse
    """What is claimed."""


class ComputeQuotaStatus(Model):
    """What is used. Written by the operator, seconds after it has changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    used: QuotaUse | None = None
    """By all together."""

    users: Annotated[list[UserUse], Field(max_length=100), keyed_by("user")] = Field(default_factory=list)
    """By each user, where they are limited; the hundred that use most."""

    conditions: Conditions = Field(default_factory=list)
    """`Exceeded`: more is used than is allowed, as after a cut: nothing is taken away, and nothing new is given."""


class ComputeQuota(Kind, short_names=("cquota",)):
    """How much the Instances of a project may claim: a namespace, or several. All that cover an Instance hold."""

    spec: ComputeQuotaSpec
    """Whose Instances, and how much."""

    status: ComputeQuotaStatus = ComputeQuotaStatus()
    """What is used. Written by the operator, seconds after it has changed."""

    columns: ClassVar[list[Column]] = [
        Column("Instances", ".status.used.instances", "integer"),
        Column("Max Instances", ".spec.hard.instances", "integer"),
        Column("vCPUs", ".status.used.vcpus", "integer"),
        Column("Max vCPUs", ".spec.hard.vcpus", "integer"),
        Column("Memory", ".status.used.memory"),
        Column("Max Memory", ".spec.hard.memory"),
        Column("Disk", ".status.used.disk", priority=1),
        Column("Max Disk", ".spec.hard.disk", priority=1),
        Column("Exceeded", '.status.conditions[?(@.type=="Exceeded")].status'),
        AGE,
    ]
