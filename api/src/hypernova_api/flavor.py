"""Flavor: a size that Instances are made in."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.architecture import TpmVersion, WatchdogAction
from hypernova_api.meta import AGE, Column, Kind, Model, Rule, keyed_by
from hypernova_api.qos import Qos
from hypernova_api.quantity import Quantity, at_least
from hypernova_api.selectors import LabelSelector
from hypernova_api.traits import TraitRequirements

_MIB = "quantity(string(self.memory)).asApproximateFloat() / 1048576.0"
_WHOLE_MIB = f"({_MIB} < 9e18 ? int({_MIB}) : 0)"  # int() of more than 64 bits is an error, and no answer for people
_CELLS = "(has(self.numa) ? self.numa.cells : 1)"

Alias = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""A name for devices that are as good as each other, e.g. `gpu-a100`. (Nova: a PCI alias.)"""

PageSize = Literal["2Mi", "1Gi"]
"""Sizes of huge pages."""

MetadataKey = Annotated[str, Field(min_length=1, max_length=255)]
"""A key of a HostAggregate's metadata."""


class CpuTopology(Model):
    """How the guest sees its virtual CPUs: sockets, cores in each, threads in each core. Their product is `vcpus`."""

    sockets: Annotated[int, Field(ge=1, le=512)] = 1
    """(Nova: hw:cpu_sockets.)"""

    cores: Annotated[int, Field(ge=1, le=512)] = 1
    """In each socket. (Nova: hw:cpu_cores.)"""

    threads: Annotated[int, Field(ge=1, le=512)] = 1
    """In each core. (Nova: hw:cpu_threads.)"""


class CpuPolicy(Model):
    """How virtual CPUs get the host's."""

    policy: Literal["Shared", "Dedicated"] = "Shared"
    """Shared: they float over the host's shared CPUs with those of other guests. Dedicated: each is pinned to a CPU
    that nobody else gets, of those the Hypervisor's spec.dedicatedCpus names. (Nova: hw:cpu_policy.)"""

    thread_policy: Literal["Prefer", "Require", "Isolate"] = "Prefer"
    """Of dedicated CPUs. Prefer: threads of one core where it can be had. Require: only hosts with such threads, and
    whole cores. Isolate: a core for each, its other threads left idle. (Nova: hw:cpu_thread_policy.)"""

    topology: CpuTopology | None = None
    """How the guest sees them; a socket each when absent. A guest that has a topology gets no virtual CPUs while it
    runs: a resize waits for its next start."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.policy == 'Dedicated' || self.threadPolicy == 'Prefer'",
            "threadPolicy is about dedicated CPUs: set policy: Dedicated, or leave it out",
            field=".threadPolicy",
        )
    ]


class Numa(Model):
    """The guest's NUMA topology: its virtual CPUs and memory are split evenly over the cells."""

    cells: Annotated[int, Field(ge=1, le=16)]
    """NUMA cells the guest sees, each in a different cell of the host. (Nova: hw:numa_nodes.)"""


class DeviceRequest(Model):
    """PCI devices of the host that the guest gets for itself."""

    alias: Alias
    """What kind: as the Hypervisors' spec.passthrough names it."""

    count: Annotated[int, Field(ge=1, le=16)] = 1
    """How many."""

    numa_affinity: Literal["Required", "Preferred"] = "Preferred"
    """Whether they must be in cells where the guest's memory and CPUs are. (Nova: hw:pci_numa_affinity_policy.)"""


class AggregateRequirement(Model):
    """What the metadata of a host's aggregates must say. (Nova: aggregate_instance_extra_specs.)

    A host in several aggregates has the values of all of them. A value with commas is a list.
    """

    key: MetadataKey
    """A key of the metadata."""

    operator: Literal["=", "!=", "<", "<=", ">", ">=", "In", "NotIn", "AllIn"]
    """How the host's values relate to `values`: one is equal to it; none is; one is a number less than it, and so on;
    one is among them; none is; all of them are there. Without the key only != and NotIn hold."""

    values: Annotated[
        list[Annotated[str, Field(max_length=255, pattern=r"^[^,]*$")]], Field(min_length=1, max_length=32)
    ]
    """One for all operators but In, NotIn and AllIn; a number for <, <=, > and >=. Without commas: no host's value
    has one, as it is a list then."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.operator in ['In', 'NotIn', 'AllIn'] || size(self.values) == 1",
            "this operator takes one value; In, NotIn and AllIn take several",
            field=".values",
        ),
        Rule(
            "!(self.operator in ['<', '<=', '>', '>=']) "
            "|| self.values.all(v, v.matches('^[+-]?[0-9]{1,15}([.][0-9]{1,15})?$'))",
            "<, <=, > and >= compare numbers: write the value like 10 or 2.5",
            field=".values",
        ),
    ]


class FlavorAccess(Model):
    """Who may use a flavor."""

    namespace_selector: LabelSelector
    """The namespaces whose Instances may, by their labels; `kubernetes.io/metadata.name` is a namespace's name."""


class FlavorSpec(Model):
    """What an Instance of this flavor gets from its host."""

    vcpus: Annotated[int, Field(ge=1, le=512)]
    """Virtual CPUs the guest sees."""

    memory: Quantity
    """RAM of the guest, e.g. `2Gi`. Whole MiB, at least 1Mi."""

    root_disk: Quantity = Quantity("0")
    """Size of the root disk, e.g. `20Gi`; 0 takes the image's own size and claims no disk from the host."""

    cpu: CpuPolicy | None = None
    """How virtual CPUs get the host's; shared when absent."""

    numa: Numa | None = None
    """The guest's NUMA topology; none when absent: the host's kernel places it."""

    huge_page_size: PageSize | None = None
    """Backs the guest's memory with huge pages of this size, which the host has set aside. (Nova: hw:mem_page_size.)"""

    locked_memory: bool = False
    """Keeps all of the guest's memory in RAM, never in the host's swap: for hosts whose memory is not overcommitted.
    (Nova: hw:locked_memory.)"""

    watchdog: WatchdogAction | None = None
    """What happens to a guest that hangs; an Image's own word goes first. (Nova: hw:watchdog_action.)"""

    tpm_version: TpmVersion | None = None
    """Gives the guest a TPM, whose secrets are on its host's disk; `"2.0"`, quoted. (Nova: hw:tpm_version.)"""

    qos: Qos | None = None
    """How much of its host the guest may use at most."""

    devices: Annotated[list[DeviceRequest], Field(max_length=8), keyed_by("alias")] = Field(default_factory=list)
    """PCI devices the guest gets for itself. (Nova: pci_passthrough:alias.)"""

    traits: TraitRequirements | None = None
    """What a host must and must not be able to do. (Nova: trait:NAME=required.)"""

    aggregate_requirements: Annotated[list[AggregateRequirement], Field(max_length=16)] = Field(default_factory=list)
    """What the metadata of a host's aggregates must say: all of it."""

    access: FlavorAccess | None = None
    """Who may use it; everybody when absent."""

    rules: ClassVar[list[Rule]] = [
        Rule("self == oldSelf", "a Flavor cannot be edited: make a new one", "FieldValueForbidden"),
        at_least("memory", "1Mi", "2Gi"),
        Rule(
            # Not isInteger(): of 1.5Gi that is false, as it is about how the number is kept, not what it is.
            f"double({_WHOLE_MIB}) == {_MIB}",
            "memory must be a whole number of MiB: 2Gi or 2048Mi, not 2G",
            field=".memory",
        ),
        at_least("rootDisk", "0", "20Gi"),
        Rule(
            f"self.vcpus % {_CELLS} == 0 && {_WHOLE_MIB} % {_CELLS} == 0",
            "vcpus and the MiB of memory must split evenly over numa.cells",
            field=".numa",
        ),
        Rule(
            "!has(self.cpu) || !has(self.cpu.topology) "
            "|| self.cpu.topology.sockets * self.cpu.topology.cores * self.cpu.topology.threads == self.vcpus",
            "sockets times cores times threads must be vcpus",
            field=".cpu.topology",
        ),
        Rule(
            f"!has(self.hugePageSize) || {_WHOLE_MIB} % ({_CELLS} * (self.hugePageSize == '1Gi' ? 1024 : 2)) == 0",
            "the memory of each NUMA cell must be a whole number of huge pages",
            field=".hugePageSize",
        ),
    ]


class Flavor(Kind, scope="Cluster", short_names=("flv",)):
    """A size that Instances are made in: virtual CPUs, memory and root disk. Immutable."""

    spec: FlavorSpec
    """What an Instance of this flavor gets from its host."""

    columns: ClassVar[list[Column]] = [
        Column("vCPUs", ".spec.vcpus", "integer"),
        Column("Memory", ".spec.memory"),
        Column("Disk", ".spec.rootDisk"),
        Column("CPU Policy", ".spec.cpu.policy", priority=1),
        Column("NUMA Cells", ".spec.numa.cells", "integer", priority=1),
        Column("Huge Pages", ".spec.hugePageSize", priority=1),
        AGE,
    ]
