"""Hypervisor: a node's libvirt as a place for Instances. One for each labelled Node, named like it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.architecture import DomainType, Firmware
from hypernova_api.conditions import Conditions
from hypernova_api.cpuset import HIGHEST_CPU, CpuSet
from hypernova_api.flavor import Alias, PageSize
from hypernova_api.meta import AGE, AS_SET, GROUP, Column, Kind, Model, Rule, keyed_by
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity, QuantityText, between
from hypernova_api.traits import Trait, Traits

LEASE_PREFIX = "hypervisor-"
"""The Lease by which a node's agent shows that it lives is named so, followed by the node's name."""


MOST_BYTES = Quantity("1Ei")
"""More memory or disk than this is no host, but an agent that reports nonsense."""

PciAddress = Annotated[str, Field(pattern=r"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$")]
"""Domain, bus, slot and function, e.g. `0000:65:00.0`."""

PciId = Annotated[str, Field(pattern=r"^[0-9a-f]{4}$")]
"""A vendor or product of PCI's registry, e.g. `10de`."""


class Disabled(Model):
    """No new Instances come to a disabled host; those on it stay. (Nova: a disabled compute service.)"""

    reason: Annotated[str, Field(min_length=1, max_length=255)]
    """Why, for colleagues; shown where an Instance says why it doesn't fit."""


class Passthrough(Model):
    """PCI devices of the host that guests may have. What no rule names stays the host's."""

    alias: Alias
    """What flavors ask for."""

    vendor_id: PciId
    """Their vendor, e.g. `10de`."""

    product_id: PciId
    """Their product, e.g. `20b0`."""

    addresses: Annotated[list[PciAddress], Field(max_length=64), AS_SET] = Field(default_factory=list)
    """Only those at these addresses; all when empty."""


class HypervisorSpec(Model):
    """The administrator's side. The agent creates the object with an empty spec and never writes it again."""

    maintenance: bool = False
    """Takes no new Instances while set."""

    disabled: Disabled | None = None
    """Set to take no new Instances, with the reason."""

    overcommit: Overcommit | None = None
    """This host's own ratios. Where it says none, those of its aggregates or the defaults hold."""

    dedicated_cpus: CpuSet = ""
    """CPUs set apart for guests with dedicated ones, e.g. `4-63`; the rest are shared by the others. (Nova:
    cpu_dedicated_set.)"""

    passthrough: Annotated[list[Passthrough], Field(max_length=16)] = Field(default_factory=list)
    """PCI devices that guests may have; one that several of these name goes by the first. (Nova: pci.device_spec and
    pci.alias.)"""

    traits: Traits = Field(default_factory=list)
    """What the host can do beside what its agent finds out, e.g. `CUSTOM_RACK_COOLED`."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "!has(self.traits) || self.traits.all(trait, trait.startsWith('CUSTOM_'))",
            "an administrator's own traits begin with CUSTOM_; the others are found out by the agent",
            field=".traits",
        ),
        Rule(
            # has(), as the default of the whole spec is checked before its parts are filled in.
            "!has(self.dedicatedCpus) || self.dedicatedCpus == '' || self.dedicatedCpus.split(',')"
            ".map(part, part.split('-')).map(ends, [int(ends[0]), int(ends[ends.size() - 1])])"
            f".all(range, range[0] <= range[1] && range[1] <= {HIGHEST_CPU})",
            f"ranges of CPUs go upwards, to {HIGHEST_CPU} at most: 4-63, not 63-4",
            field=".dedicatedCpus",
        ),
    ]


class Amounts(Model):
    """Amounts of what Instances claim, of any number of hosts."""

    vcpus: Annotated[int, Field(ge=0)]
    """Virtual CPUs."""

    memory: Quantity
    """Bytes of memory, e.g. `64Gi`."""

    disk: Quantity
    """Bytes of the storage pool, e.g. `1Ti`."""


class Resources(Amounts):
    """Amounts of what Instances claim, of one host. More than the bounds is nonsense that an agent reports."""

    vcpus: Annotated[int, Field(ge=0, le=65536)]
    """Threads."""

    rules: ClassVar[list[Rule]] = [between("memory", "0", MOST_BYTES), between("disk", "0", MOST_BYTES)]


class HugePages(Model):
    """Huge pages of one size that a cell has set aside."""

    size: PageSize
    """Bytes of each."""

    count: Annotated[int, Field(ge=0, le=1 << 30)]
    """How many there are, used or not."""


class Cell(Model):
    """A NUMA node of the host: CPUs and memory that are near each other."""

    id: Annotated[int, Field(ge=0, le=1023)]
    """Its number, as Linux and libvirt have it."""

    cores: Annotated[list[Annotated[CpuSet, Field(min_length=1)]], Field(max_length=1024)]
    """Its CPUs by core: each item the threads of one, e.g. `0,32`."""

    memory: QuantityText
    """Bytes of memory, huge pages included."""

    huge_pages: Annotated[list[HugePages], Field(max_length=2), keyed_by("size")] = Field(default_factory=list)
    """Huge pages set aside."""

    rules: ClassVar[list[Rule]] = [between("memory", "0", MOST_BYTES, text=True)]


class Device(Model):
    """A PCI device of the host."""

    address: PciAddress
    """Where it is."""

    vendor_id: PciId
    """Its vendor."""

    product_id: PciId
    """Its product."""

    cell: Annotated[int, Field(ge=0, le=1023)] | None = None
    """The NUMA cell it is near to; absent where the host does not know."""


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


ORPHAN_ANNOTATION = f"orphan.{GROUP}/"
"""An annotation of a Hypervisor of this name, followed by an orphan's UID, says what becomes of it: `adopt` makes its
Instance anew, `remove` deletes the domain and its disks."""


class Orphan(Model):
    """A domain of ours on the host without an Instance. It is left as it is until an administrator decides."""

    uid: str
    """UUID of the domain: the UID its Instance had."""

    namespace: str
    """Namespace of its Instance."""

    name: str
    """Name of its Instance."""

    running: bool
    """Whether its guest is in memory."""

    record: Annotated[str, Field(max_length=16384)] | None = None
    """Its Instance as the domain remembers it, as JSON, for adoption; absent where it does not."""


class Endpoint(Model):
    """Where a server listens."""

    address: Annotated[str, Field(max_length=253)]
    """IP address or name."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """TCP port."""


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
    """What Instances may claim before overcommit: capacity less the host's own reserve and, of memory, huge pages."""

    cells: Annotated[list[Cell], Field(max_length=64), keyed_by("id")] = Field(default_factory=list)
    """NUMA nodes."""

    devices: Annotated[list[Device], Field(max_length=512), keyed_by("address")] = Field(default_factory=list)
    """PCI devices, bridges and such left out."""

    firmware: Annotated[list[Firmware], Field(max_length=2), AS_SET] = Field(default_factory=list)
    """What guests can boot by."""

    traits: Annotated[list[Trait], Field(max_length=512), AS_SET] = Field(default_factory=list)
    """What it can do: `HW_CPU_X86_AVX2`, `COMPUTE_STORAGE_BUS_VIRTIO`."""

    console: Endpoint | None = None
    """Where its agent passes on consoles, to the console proxy alone."""

    orphans: Annotated[list[Orphan], Field(max_length=64), keyed_by("uid")] = Field(default_factory=list)
    """Domains of ours without an Instance, the first 64 of them."""

    conditions: Conditions = Field(default_factory=list)
    """`Ready`: libvirt answers and the pool and default network are active. `Overcommitted`: its Instances claim more
    than it has to give, as when it lost memory: none is touched, and no new one comes. `Orphans`: domains of ours have
    no Instance; the annotation orphan.compute.hypernova.dev/UID, `adopt` or `remove`, says what becomes of one.
    `DiskPressure`: the pool is nearly full. `ClockSkewed`: the node's clock is more than a minute off the API server's;
    told only once it was."""


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
        Column("Overcommitted", '.status.conditions[?(@.type=="Overcommitted")].status', priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        AGE,
    ]
