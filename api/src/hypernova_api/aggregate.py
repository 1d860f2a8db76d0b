"""HostAggregate: hosts that have something in common."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.hypervisor import Amounts
from hypernova_api.meta import AGE, AS_SET, Column, Kind, Model, Name, Rule
from hypernova_api.overcommit import Overcommit
from hypernova_api.selectors import LabelSelector


class Projects(Model):
    """Tenant isolation. (Nova: filter_tenant_id.)"""

    namespace_selector: LabelSelector
    """The aggregate's hosts take Instances of these namespaces only. A host in several aggregates takes those that
    all of them admit."""

    confine: bool = False
    """Whether Instances of these namespaces go nowhere else either: only to hosts of aggregates that confine them."""


class Images(Model):
    """Image isolation. (Nova: aggregate image properties isolation, isolated hosts.)"""

    selector: LabelSelector
    """The aggregate's hosts take only Images with such labels."""

    confine: bool = False
    """Whether Instances of these Images go nowhere else either."""


class Reserve(Model):
    """Room kept free for the case that hosts fail."""

    hosts: Annotated[int, Field(ge=1, le=64)]
    """How many hosts may fail, whichever they are, and the others still have room for all their Instances."""


Multiplier = Annotated[float, Field(ge=-1_000_000_000, le=1_000_000_000)]
"""0 makes a weight count for nothing, a negative one turns it around."""


class WeightMultipliers(Model):
    """How much each weight counts. Absent: as the operator's settings say."""

    free_memory: Multiplier | None = None
    """Free memory. (Nova: RAMWeigher.)"""

    free_vcpus: Multiplier | None = None
    """Free virtual CPUs. (Nova: CPUWeigher.)"""

    free_disk: Multiplier | None = None
    """Free disk. (Nova: DiskWeigher.)"""

    builds: Multiplier | None = None
    """Instances being built on it; negative avoids it. (Nova: IoOpsWeigher.)"""

    instances: Multiplier | None = None
    """Instances on it. (Nova: NumInstancesWeigher.)"""

    device_thrift: Multiplier | None = None
    """Keeps hosts with PCI devices for who asks for some. (Nova: PCIWeigher.)"""

    soft_affinity: Multiplier | None = None
    """Members of its group on it, for soft affinity. (Nova: ServerGroupSoftAffinityWeigher.)"""

    soft_anti_affinity: Multiplier | None = None
    """Members of its group not on it, for soft anti-affinity. (Nova: ServerGroupSoftAntiAffinityWeigher.)"""

    build_failures: Multiplier | None = None
    """Builds that failed on it since the last that did not; negative avoids it. (Nova: BuildFailureWeigher.)"""

    hypervisor_version: Multiplier | None = None
    """QEMU's version: the newer the better. (Nova: HypervisorVersionWeigher.)"""

    image_cached: Multiplier | None = None
    """Whether an Instance of the same Image has been there, so that it need not be fetched."""

    zone_spread: Multiplier | None = None
    """Free room of the host's zone, where no zone is asked for."""


class HostAggregateSpec(Model):
    """Which hosts, and what goes for them."""

    node_selector: LabelSelector | None = None
    """Hosts by their Nodes' labels."""

    nodes: Annotated[list[Name], Field(max_length=1024), AS_SET] = Field(default_factory=list)
    """Hosts by name, beside those that are selected."""

    availability_zone: Name | None = None
    """The AvailabilityZone they are in. A host in two zones takes nothing new until one lets it go."""

    metadata: Annotated[dict[str, Annotated[str, Field(max_length=255)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    """What flavors ask for by aggregateRequirements, e.g. `disk: ssd`. A value with commas is a list."""

    overcommit: Overcommit | None = None
    """Their ratios, where they have none of their own; of several aggregates the smallest holds."""

    cpu_model: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$")] | None = None
    """The CPU model, in libvirt's words, that guests placed there see, so that they can migrate among the hosts, e.g.
    `EPYC-Milan`; the host's own when absent. Two aggregates of a host that name different models are a conflict. (Nova:
    cpu_models.)"""

    projects: Projects | None = None
    """Tenant isolation; open to all namespaces when absent."""

    images: Images | None = None
    """Image isolation; open to all Images when absent."""

    weight_multipliers: WeightMultipliers | None = None
    """How much each weight counts for them; of several aggregates the smallest holds, as in Nova."""

    max_instances_per_host: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Most Instances on each of them; of several aggregates the smallest holds. (Nova: max_instances_per_host.)"""

    max_builds_per_host: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Most Instances being built at once on each. (Nova: max_io_ops_per_host.)"""

    reserve: Reserve | None = None
    """Room kept free for the case that hosts of the aggregate fail."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "has(self.nodeSelector) || (has(self.nodes) && size(self.nodes) > 0)",
            "say which hosts: nodeSelector (`{}` for all), nodes, or both",
            "FieldValueRequired",
        ),
        Rule(
            "!has(self.metadata) || self.metadata.all(key, key.size() >= 1 && key.size() <= 255)",
            "a key of metadata has 1 to 255 characters",
            field=".metadata",
        ),
    ]


class HostCount(Model):
    """How many hosts."""

    total: Annotated[int, Field(ge=0)]
    """All of them."""

    usable: Annotated[int, Field(ge=0)]
    """Alive, enabled, in no maintenance and in no conflict."""


class HostAggregateStatus(Model):
    """What that means now. Written by the operator, seconds after it has changed."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    nodes: Annotated[list[str], Field(max_length=1024)] = Field(default_factory=list)
    """Its hosts by name, the first 1,024."""

    hosts: HostCount | None = None
    """How many hosts it has."""

    instances: Annotated[int, Field(ge=0)] | None = None
    """Instances on them."""

    capacity: Amounts | None = None
    """What the usable ones give out in all, overcommit included."""

    free: Amounts | None = None
    """What of it is not claimed: 0 of what a host has less of than is claimed."""

    conditions: Conditions = Field(default_factory=list)
    """`Ready`: it has hosts, and its zone exists. `Conflict`: a host of it is in another zone too, or isolated for
    other namespaces or images by another aggregate: it takes nothing. `FailoverHeadroom`: whether `reserve` holds."""


class HostAggregate(Kind, scope="Cluster", short_names=("agg",)):
    """Hosts that have something in common: a zone, metadata that flavors ask for, tenants, ratios, a reserve."""

    spec: HostAggregateSpec
    """Which hosts, and what goes for them."""

    status: HostAggregateStatus = HostAggregateStatus()
    """What that means now. Written by the operator, seconds after it has changed."""

    columns: ClassVar[list[Column]] = [
        Column("Zone", ".spec.availabilityZone"),
        Column("Hosts", ".status.hosts.total", "integer"),
        Column("Usable", ".status.hosts.usable", "integer"),
        Column("Instances", ".status.instances", "integer"),
        Column("Free vCPUs", ".status.free.vcpus", "integer"),
        Column("Free Memory", ".status.free.memory"),
        Column("Free Disk", ".status.free.disk", priority=1),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Conflict", '.status.conditions[?(@.type=="Conflict")].status'),
        Column("Headroom", '.status.conditions[?(@.type=="FailoverHeadroom")].status', priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        AGE,
    ]
