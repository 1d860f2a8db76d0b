"""Flavor: a size that Instances are made in."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.meta import AGE, Column, Kind, Model, Rule
from hypernova_api.quantity import Quantity, at_least

_MIB = "quantity(string(self.memory)).asApproximateFloat() / 1048576.0"


class FlavorSpec(Model):
    """What an Instance of this flavor gets from its host."""

    vcpus: Annotated[int, Field(ge=1, le=512)]
    """Virtual CPUs the guest sees."""

    memory: Quantity
    """RAM of the guest, e.g. `2Gi`. Whole MiB, at least 1Mi."""

    root_disk: Quantity = Quantity("0")
    """Size of the root disk, e.g. `20Gi`; 0 takes the image's own size and claims no disk from the host."""

    rules: ClassVar[list[Rule]] = [
        Rule("self == oldSelf", "a Flavor cannot be edited: make a new one", "FieldValueForbidden"),
        at_least("memory", "1Mi", "2Gi"),
        Rule(
            # Not isInteger(): of 1.5Gi that is false, as it is about how the number is kept, not what it is.
            f"double(int({_MIB})) == {_MIB}",
            "memory must be a whole number of MiB: 2Gi or 2048Mi, not 2G",
            field=".memory",
        ),
        at_least("rootDisk", "0", "20Gi"),
    ]


class Flavor(Kind, scope="Cluster", short_names=("flv",)):
    """A size that Instances are made in: virtual CPUs, memory and root disk. Immutable."""

    spec: FlavorSpec
    """What an Instance of this flavor gets from its host."""

    columns: ClassVar[list[Column]] = [
        Column("vCPUs", ".spec.vcpus", "integer"),
        Column("Memory", ".spec.memory"),
        Column("Disk", ".spec.rootDisk"),
        AGE,
    ]
