"""Hypervisor: a node's libvirt as a place for Instances. One for each labelled Node, named like it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.meta import AGE, Column, Kind, Model
from hypernova_api.quantity import Quantity

DomainType = Literal["kvm", "qemu"]

LEASE_PREFIX = "hypervisor-"
"""The Lease by which a node's agent shows that it lives is named so, followed by the node's name."""


class Overcommit(Model):
    """How many times over a host's resources are given out. Nova: cpu, ram and disk allocation ratio."""

    cpu: Annotated[float, Field(ge=1, le=64)] = 4.0
    """Virtual CPUs for each of the host's."""

    memory: Annotated[float, Field(ge=1, le=16)] = 1.0
    """Bytes of guest memory for each allocatable byte of the host's."""

    disk: Annotated[float, Field(ge=1, le=64)] = 1.0
    """Bytes of root disk for each byte of the host's pool."""


class Disabled(Model):
    """No new Instances come to a disabled host; those on it stay. (Nova: a disabled compute service.)"""

    reason: Annotated[str, Field(min_length=1, max_length=255)]
    """Why, for colleagues; shown where an Instance says why it doesn't fit."""


class HypervisorSpec(Model):
    """The administrator's side. The agent creates the object with an empty spec and never writes it again."""

    maintenance: bool = False
    """Takes no new Instances while set."""

    disabled: Disabled | None = None
    """Set to take no new Instances, with the reason."""

    overcommit: Overcommit | None = None
    """This host's own ratios; without it the defaults hold: cpu 4, memory 1, disk 1."""


class Resources(Model):
    """Amounts of what Instances claim."""

    vcpus: Annotated[int, Field(ge=0)]
    """Virtual CPUs; of a host, its threads."""

    memory: Quantity
    """Bytes of memory, e.g. `64Gi`."""

    disk: Quantity
    """Bytes of the storage pool, e.g. `1Ti`."""


class Cpu(Model):
    """The host's processor, in libvirt's words."""

    architecture: str
    """E.g. `x86_64`."""

    model: str
    """The named model that comes nearest, e.g. `EPYC-Milan`."""

    vendor: str = ""
    """E.g. `AMD`; empty where libvirt does not know it."""


class Versions(Model):
    """What runs on the host."""

    libvirt: str
    """Version of libvirtd."""

    qemu: str
    """Version of QEMU."""

    agent: str
    """Version of Hypernova's node agent."""


class HypervisorStatus(Model):
    """Written by the node's agent alone."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    domain_type: DomainType | None = None
    """`kvm` where the hardware helps, else `qemu` (emulation)."""

    cpu: Cpu | None = None
    """The host's processor."""

    versions: Versions | None = None
    """What runs on the host."""

    capacity: Resources | None = None
    """What the host has: threads, memory, size of the storage pool."""

    allocatable: Resources | None = None
    """What Instances may claim before overcommit: capacity less the host's own reserve."""

    conditions: Conditions = Field(default_factory=list)
    """`Ready`: libvirt answers and the pool and default network are active."""


class Hypervisor(Kind, scope="Cluster", short_names=("hv",)):
    """A node's libvirt as a place for Instances: what it has, and what the administrator says of it."""

    spec: HypervisorSpec = HypervisorSpec()
    """What the administrator says of the host."""

    status: HypervisorStatus = HypervisorStatus()
    """What the host has. Written by the node's agent alone."""

    columns: ClassVar[list[Column]] = [
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Type", ".status.domainType"),
        Column("vCPUs", ".status.capacity.vcpus", "integer"),
        Column("Memory", ".status.capacity.memory"),
        Column("Disk", ".status.capacity.disk"),
        Column("Maintenance", ".spec.maintenance", "boolean"),
        Column("Disabled", ".spec.disabled.reason", priority=1),
        Column("CPU", ".status.cpu.model", priority=1),
        Column("QEMU", ".status.versions.qemu", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        AGE,
    ]
