"""What hosts are joined of: Nodes, Hypervisors and HostAggregates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from hypernova_api import aggregate as aggregate_api
from hypernova_api import conditions
from hypernova_api import hypervisor as hypervisor_api
from hypernova_api.cpuset import parse_cpuset
from hypernova_api.hypervisor import ORPHAN_ANNOTATION, HypervisorStatus, Passthrough
from hypernova_api.meta import GROUP, HYPERVISOR_LABEL, ObjectMeta
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity
from hypernova_api.selectors import LabelSelector
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache.facts import contradiction
from hypernova_operator.cache.records.identity import identity
from hypernova_operator.cache.records.orphan import Orphan, orphan
from hypernova_operator.scheduler import NOTHING, Aggregate, Cell, Device, Isolation, Resources, Taint

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned Node."""

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""The taint by which an administrator says that a Node is off for sure."""

ADOPT_ORPHAN = "adopt"
"""What ORPHAN_ANNOTATION says of an orphan that is to be adopted. (Removal is its agent's.)"""

AGENT_LOST = "AgentLost"
"""The reason of a Hypervisor's condition Ready that the operator writes in place of an agent that is silent."""

_TAINTS_OF_PODS = {
    # A host is judged by its own agent's Lease, not by the kubelet's.
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/network-unavailable",
    # This one keeps Pods off the hosts of Instances.
    f"{GROUP}/hypervisor",
}
_HARD = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Node:
    """A Node."""

    key: Key
    uid: str
    version: int = field(compare=False)
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    """Those that keep Instances away."""
    fenced: bool
    """Whether it is said to be off for sure."""
    pods_cpu: int = 0
    """What Pods may request there, in thousandths of CPUs; 0: kubelet has not said."""
    pods_memory: int = 0
    """The same in bytes of memory."""

    @property
    def labelled(self) -> bool:
        """Whether it takes Instances."""
        return self.labels.get(HYPERVISOR_LABEL) == "true"


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """A Hypervisor."""

    key: Key
    uid: str
    version: int = field(compare=False)
    maintenance: bool
    disabled: str
    """The administrator's reason, or empty."""
    overcommit: Overcommit | None
    """Its own ratios."""
    trouble: str
    """Why it can't be used, in a few words; empty when it can."""
    lost: bool = False
    """Whether it says that its agent is lost."""
    sane: bool = True
    """Whether what its agent reports can be true."""
    allocatable: Resources = NOTHING
    """What Instances may claim before overcommit: shared CPUs, ordinary memory, disk."""
    architecture: str = ""
    domain_type: str = ""
    firmware: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    """What its agent found out and the administrator says."""
    qemu_version: int = 0
    dedicated: frozenset[int] = frozenset()
    """CPUs it has that are set apart."""
    cells: tuple[Cell, ...] = ()
    devices: tuple[Device, ...] = ()
    """Those that a passthrough rule names."""
    orphans: tuple[Orphan, ...] = ()
    """Domains of ours without an Instance."""
    adopt: frozenset[str] = frozenset()
    """The UIDs of those that are to be adopted."""


@dataclass(frozen=True, slots=True)
class HostAggregate:
    """A HostAggregate."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    selector: LabelSelector | None
    """Of the labels of Nodes."""
    nodes: frozenset[str]
    zone: str
    judged: Aggregate
    """What the scheduler sees of it."""
    overcommit: Overcommit | None
    multipliers: Mapping[str, float]
    """By the weight's name."""
    max_instances: int | None
    max_builds: int | None
    cpu_model: str
    """What guests on its hosts see; empty: the host's own."""
    reserve: int
    """How many of its hosts may fail with the others taking over; 0: nothing is kept free for that."""
    status: aggregate_api.HostAggregateStatus = field(compare=False)


def node(obj: Object) -> Node:
    """Read a Node."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    spec = obj.get("spec", {})
    taints = {
        Taint(each["key"], each.get("value", ""), each["effect"])
        for each in spec.get("taints", ())
        if each["effect"] in _HARD and each["key"] not in _TAINTS_OF_PODS
    }
    # Kubernetes' controller puts this taint on a cordoned Node; until it has, the field says so.
    if spec.get("unschedulable"):
        taints.add(Taint(UNSCHEDULABLE, "", "NoSchedule"))
    fenced = any(taint["key"] == OUT_OF_SERVICE for taint in spec.get("taints", ()))
    return Node(*identity(metadata), metadata.labels, tuple(sorted(taints)), fenced, *_for_pods(obj.get("status", {})))


def hypervisor(obj: Object) -> Hypervisor:
    """Read a Hypervisor. A status that can't be read or can't be true makes a host that is not used."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    spec = hypervisor_api.HypervisorSpec.model_validate(obj.get("spec", {}))
    lost = _is_lost(obj.get("status", {}))
    told = (spec.maintenance, spec.disabled.reason if spec.disabled else "", spec.overcommit)
    try:
        status = HypervisorStatus.model_validate(obj.get("status", {}))
        wrong = contradiction(status)
    except ValidationError as error:
        fault = error.errors()[0]
        wrong = f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
    if wrong:
        return Hypervisor(*identity(metadata), *told, f"reports impossible facts ({wrong})", lost, sane=False)
    cells = tuple(sorted(map(_cell, status.cells), key=lambda cell: cell.id))
    there = {cpu for cell in cells for core in cell.cores for cpu in core}
    return Hypervisor(
        *identity(metadata),
        *told,
        trouble=_trouble(status),
        lost=lost,
        allocatable=_resources(status.allocatable) if status.allocatable else NOTHING,
        architecture=status.cpu.architecture if status.cpu else "",
        domain_type=status.domain_type or "",
        firmware=frozenset(status.firmware),
        traits=frozenset([*status.traits, *spec.traits]),
        qemu_version=_version_number(status.versions.qemu) if status.versions else 0,
        dedicated=parse_cpuset(spec.dedicated_cpus) & there,
        cells=cells,
        devices=tuple(_passed_through(status.devices, spec.passthrough)),
        orphans=tuple(orphan(each, metadata.name) for each in status.orphans),
        adopt=frozenset(
            name.removeprefix(ORPHAN_ANNOTATION)
            for name, value in metadata.annotations.items()
            if name.startswith(ORPHAN_ANNOTATION) and value == ADOPT_ORPHAN
        ),
    )


def host_aggregate(obj: Object) -> HostAggregate:
    """Read a HostAggregate."""
    parsed = aggregate_api.HostAggregate.parse(obj)
    spec = parsed.spec
    judged = Aggregate(
        parsed.metadata.name,
        {key: frozenset(value.strip() for value in text.split(",")) for key, text in spec.metadata.items()},
        projects=Isolation(spec.projects.namespace_selector, spec.projects.confine) if spec.projects else None,
        images=Isolation(spec.images.selector, spec.images.confine) if spec.images else None,
    )
    return HostAggregate(
        *identity(parsed.metadata),
        generation=parsed.metadata.generation,
        selector=spec.node_selector,
        nodes=frozenset(spec.nodes),
        zone=spec.availability_zone or "",
        judged=judged,
        overcommit=spec.overcommit,
        multipliers=spec.weight_multipliers.model_dump(by_alias=True, exclude_none=True)
        if spec.weight_multipliers
        else {},
        max_instances=spec.max_instances_per_host,
        max_builds=spec.max_builds_per_host,
        cpu_model=spec.cpu_model or "",
        reserve=spec.reserve.hosts if spec.reserve else 0,
        status=parsed.status,
    )


def _for_pods(status: Object) -> tuple[int, int]:
    """Thousandths of CPUs and bytes of memory."""
    allocatable = status.get("allocatable", {})
    try:
        return Quantity(allocatable.get("cpu", 0)).milli, Quantity(allocatable.get("memory", 0)).value
    except ValueError:  # kubelet's word, and no reason not to know of a Node's taints
        return 0, 0


def _trouble(status: HypervisorStatus) -> str:
    ready = conditions.find(status.conditions, "Ready")
    if ready is not None and ready.status != "True":
        return f"not ready, {ready.reason}"  # it may never have been, and so never have told what it has
    return "has not reported yet" if ready is None or status.allocatable is None else ""


def _is_lost(status: Object) -> bool:
    return any(each["type"] == "Ready" and each["reason"] == AGENT_LOST for each in status.get("conditions", ()))


def _resources(amounts: hypervisor_api.Amounts) -> Resources:
    return Resources(amounts.vcpus, amounts.memory.value, amounts.disk.value)


def _cell(cell: hypervisor_api.Cell) -> Cell:
    pages = {Quantity(each.size).value: Quantity(each.size).value * each.count for each in cell.huge_pages}
    cores = tuple(tuple(sorted(parse_cpuset(core))) for core in cell.cores)
    return Cell(cell.id, cores, cell.memory.value - sum(pages.values()), pages)


def _passed_through(devices: Iterable[hypervisor_api.Device], rules: Iterable[Passthrough]) -> Iterable[Device]:
    rules = list(rules)
    for device in sorted(devices, key=lambda each: each.address):
        alias = next((rule.alias for rule in rules if _names(rule, device)), None)
        if alias is not None:
            yield Device(alias, device.address, device.cell)


def _names(rule: Passthrough, device: hypervisor_api.Device) -> bool:
    same = (rule.vendor_id, rule.product_id) == (device.vendor_id, device.product_id)
    return same and (not rule.addresses or device.address in rule.addresses)


def _version_number(version: str) -> int:
    """7.2.0 is 7002000, as libvirt counts; 0 for what is no version."""
    found = re.match(r"(\d{1,6})\.(\d{1,3})(?:\.(\d{1,3}))?", version)
    if found is None:
        return 0
    major, minor, micro = (int(part or 0) for part in found.groups())
    return major * 1_000_000 + minor * 1_000 + micro
