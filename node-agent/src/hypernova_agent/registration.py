"""The Hypervisor object of this node: made when it is missing, and told what the host is. Its spec is never touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from hypernova_agent.host import HostFacts, HostFault, HostUnreachable
from hypernova_api.architecture import DomainType
from hypernova_api.conditions import Condition, merge, timestamp
from hypernova_api.hypervisor import Cpu, Hypervisor, HypervisorStatus, Resources, Versions
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, Conflict
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object, Resource

log = get_logger(__name__)

HYPERVISORS = Resource.of(Hypervisor)
AGENT_VERSION = version("hypernova-operator")


def domain_type_of(facts: HostFacts, asked: DomainType | None) -> DomainType:
    """What domains are to be here: what the settings ask for, else kvm where the host offers it."""
    if asked is not None:
        return asked
    return "kvm" if "kvm" in facts.domain_types else "qemu"


def reason_of(fault: HostFault | None) -> str:
    """The reason of the condition Ready."""
    if fault is None:
        return "LibvirtReady"
    return "LibvirtUnreachable" if isinstance(fault, HostUnreachable) else "HostError"


def allocatable_of(facts: HostFacts, reserved_memory: int) -> Resources:
    """What Instances may claim, before overcommit."""
    return Resources(
        vcpus=facts.cpus,
        memory=Quantity.of_bytes(max(facts.memory - reserved_memory, 0)),
        disk=Quantity.of_bytes(facts.disk),
    )


def status_of(
    before: HypervisorStatus,
    facts: HostFacts | None,
    fault: HostFault | None,
    *,
    generation: int,
    domain_type: DomainType | None,
    reserved_memory: int,
    now: datetime,
) -> dict[str, Any] | None:
    """The status to be merged in; None if it says all that already. Pure.

    Args:
        before: what it says.
        facts: what the host is; None as long as it has not answered since the agent started.
        fault: why it cannot be used; None if it can.
        generation: of the object.
        domain_type: from the settings.
        reserved_memory: bytes kept from Instances.
        now: for a condition that changes.
    """
    ready = Condition(
        type="Ready",
        status="True" if fault is None else "False",
        reason=reason_of(fault),
        message="" if fault is None else f"{fault}; running guests go on, and it is tried again and again",
        observed_generation=generation,
        last_transition_time=timestamp(now),
    )
    told: dict[str, Any] = {"observed_generation": generation, "conditions": merge(before.conditions, ready)}
    if facts is not None:
        told |= {
            "domain_type": domain_type_of(facts, domain_type),
            "cpu": Cpu(architecture=facts.architecture, model=facts.cpu_model, vendor=facts.cpu_vendor),
            "versions": Versions(libvirt=facts.libvirt_version, qemu=facts.qemu_version, agent=AGENT_VERSION),
            "capacity": allocatable_of(facts, 0),
            "allocatable": allocatable_of(facts, reserved_memory),
        }
    after = before.model_copy(update=told)
    return after.to_wire() if after != before else None


class Registration:
    """Keeps the node's Hypervisor object true."""

    def __init__(
        self,
        client: Client,
        node: str,
        objects: Mapping[Key, Object],
        *,
        domain_type: DomainType | None,
        reserved_memory: int,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A registration that knows nothing of the host yet.

        Args:
            client: the API server.
            node: the node's name, which is the object's too.
            objects: what a reflector keeps of Hypervisors: this one, if it is there.
            domain_type: from the settings.
            reserved_memory: bytes kept from Instances.
            wall_clock: for conditions.
        """
        self._client = client
        self._key = Key("", node)
        self._objects = objects
        self._domain_type = domain_type
        self._reserved_memory = reserved_memory
        self._wall_clock = wall_clock
        self._facts: HostFacts | None = None
        self._fault: HostFault | None = None
        self._known = False

    @property
    def overcommit(self) -> Overcommit:
        """The administrator's ratios for this host, or the defaults."""
        obj = self._objects.get(self._key)
        return (Hypervisor.parse(obj).spec.overcommit if obj is not None else None) or Overcommit()

    def answers(self, facts: HostFacts) -> None:
        """The host answers, and is this."""
        self._facts, self._fault, self._known = facts, None, True

    def fails(self, fault: HostFault) -> None:
        """The host does not answer, or refuses what an agent needs of it."""
        self._fault, self._known = fault, True

    async def reconcile(self, _: str) -> float | None:
        """Make the object say what is known, if it does not; nothing is said before anything is."""
        if not self._known:
            return None
        obj = self._objects.get(self._key)
        if obj is None:
            obj = await self._create()
        before = Hypervisor.parse(obj)
        status = status_of(
            before.status,
            self._facts,
            self._fault,
            generation=before.metadata.generation,
            domain_type=self._domain_type,
            reserved_memory=self._reserved_memory,
            now=self._wall_clock(),
        )
        if status is None:
            return None
        patch = {"metadata": {"resourceVersion": before.metadata.resource_version}, "status": status}
        try:
            await self._client.patch(HYPERVISORS, self._key.name, patch, subresource="status")
        except Conflict:
            return 1.0  # an administrator has just edited it; by then the watch has told us
        log.info("hypervisor status", node=self._key.name, reason=reason_of(self._fault))
        return None

    async def _create(self) -> Object:
        new = {
            "apiVersion": HYPERVISORS.api_version,
            "kind": HYPERVISORS.kind,
            "metadata": {"name": self._key.name},
            "spec": {},
        }
        try:
            return await self._client.create(HYPERVISORS, new)
        except AlreadyExists:
            return await self._client.get(HYPERVISORS, self._key.name)
