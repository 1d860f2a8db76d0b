"""What a Hypervisor's status says of its host, given what is known of it. Pure.

It is written only when it says something new, and nothing in it changes with what guests do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from hypernova_agent.admission import Claim, excess
from hypernova_agent.capacity import Room, unknown_cpus
from hypernova_agent.host import (
    Abilities,
    HostCell,
    HostFacts,
    HostFault,
    HostTooOld,
    HostUnreachable,
    PciDevice,
    Space,
)
from hypernova_agent.host_reasons import cure_of
from hypernova_agent.orphans import MOST_TOLD
from hypernova_api.architecture import DomainType
from hypernova_api.conditions import Condition, find, merge, timestamp
from hypernova_api.cpuset import format_cpuset
from hypernova_api.hypervisor import (
    ORPHAN_ANNOTATION,
    Cell,
    Cpu,
    Device,
    Endpoint,
    HugePages,
    Hypervisor,
    HypervisorSpec,
    Orphan,
    Resources,
    Versions,
)
from hypernova_api.quantity import Quantity, QuantityText

AGENT_VERSION = version("hypernova-operator")

MOST_DEVICES = 512
"""As many as the API takes."""

CLOCKS_AGREE_SECONDS = 60.0
"""By how much clocks may differ before it is told. Certificates are good from five minutes before they are signed."""

LEAST_SPACE = 0.05
"""Part of the pool that should be free."""

_Observation = tuple[str, bool, str, str]
"""Of a condition: type, truth, reason and message."""


@dataclass(frozen=True, slots=True)
class Known:
    """What an agent knows of its host."""

    facts: HostFacts | None = None
    """None as long as it has not answered since the agent started."""

    fault: HostFault | None = None
    """Why it cannot be used; None if it can."""

    refused: str = ""
    """What the API server says against the facts; empty if nothing."""

    orphans: tuple[Orphan, ...] = ()
    """Domains and disks without an Instance."""

    space: Space | None = None
    """Room in the pool; None as long as nobody has looked."""


def status_of(
    hypervisor: Hypervisor,
    known: Known,
    room: Room | None,
    claims: Iterable[Claim],
    *,
    console: Endpoint | None,
    domain_type: DomainType | None,
    now: datetime,
    clock_ahead: float = 0.0,
) -> dict[str, Any]:
    """The fields of the status that are to be written; empty if it says all that already.

    Args:
        hypervisor: what it says, and what the administrator says.
        known: what is.
        room: what the host has to give; None as long as it has not answered.
        claims: what the Instances on it take.
        console: where its agent passes on consoles; None if it does not.
        domain_type: from the settings.
        now: for a condition that changes.
        clock_ahead: seconds by which that is ahead of the API server's clock.

    Raises:
        ValueError: no host is as the facts say.
    """
    before, generation = hypervisor.status, hypervisor.metadata.generation
    observed = [_ready(known, hypervisor.spec)]
    if abs(clock_ahead) > CLOCKS_AGREE_SECONDS or find(before.conditions, "ClockSkewed") is not None:
        observed.append(_clock_skewed(clock_ahead))
    told: dict[str, Any] = {"observed_generation": generation, "console": console}
    if known.facts is not None and room is not None and not known.refused:
        told |= _facts(known.facts, room, domain_type) | {"orphans": list(known.orphans[:MOST_TOLD])}
        observed += [_overcommitted(excess(claims, room)), _orphans(known.orphans)]
        if known.space is not None:
            observed.append(_disk_pressure(known.space))
    conditions = [
        Condition(
            type=type_,
            status="True" if holds else "False",
            reason=reason,
            message=message,
            observed_generation=generation,
            last_transition_time=timestamp(now),
        )
        for type_, holds, reason, message in observed
    ]
    after = before.model_copy(update=told | {"conditions": merge(before.conditions, *conditions)})
    said, says = before.to_wire(), after.to_wire()
    return {field: says.get(field) for field in said | says if said.get(field) != says.get(field)}


def domain_type_of(facts: HostFacts, asked: DomainType | None) -> DomainType:
    """What domains are to be here: what the settings ask for, else kvm where the host offers it."""
    if asked is not None:
        return asked
    return "kvm" if "kvm" in facts.abilities else "qemu"


def _ready(known: Known, spec: HypervisorSpec) -> _Observation:
    if known.fault is not None:
        what = ": ".join(filter(None, (str(known.fault), cure_of(known.fault))))
        return "Ready", False, _reason(known.fault), f"{what}; running guests go on, and it is tried again and again"
    if known.refused:
        message = (
            f"the API server refuses what libvirt on this node says of it: {known.refused}; running guests go on, "
            "no new ones come until that is mended"
        )
        return "Ready", False, "FactsRefused", message
    if known.facts is not None and (unknown := unknown_cpus(known.facts, spec)):
        message = (
            f"spec.dedicatedCpus names CPUs {unknown}, which this node does not have: correct it; running guests go "
            "on, no new ones come until then"
        )
        return "Ready", False, "DedicatedCpusUnknown", message
    return "Ready", True, "LibvirtReady", ""


def _reason(fault: HostFault) -> str:
    match fault:
        case HostUnreachable():
            return "LibvirtUnreachable"
        case HostTooOld():
            return "HostTooOld"
        case _:
            return "HostError"


def _overcommitted(excess: str | None) -> _Observation:
    if excess is None:
        return "Overcommitted", False, "InstancesFit", ""
    message = f"{excess}: all go on, and no new one comes; delete some, or give the node back what it had"
    return "Overcommitted", True, "InstancesClaimTooMuch", message


def _orphans(orphans: Sequence[Orphan]) -> _Observation:
    if not orphans:
        return "Orphans", False, "NoOrphans", ""
    first = orphans[0]
    whose = f"{first.namespace}/{first.name}" if first.name else "an unknown Instance's"
    message = (
        f"{len(orphans)} on this node without an Instance, the first {whose}, UID {first.uid}: see status.orphans. "
        f"Nothing is done to any before this Hypervisor is annotated {ORPHAN_ANNOTATION}UID=adopt or =remove"
    )
    return "Orphans", True, "DomainsWithoutInstance", message


def _clock_skewed(ahead: float) -> _Observation:
    if abs(ahead) <= CLOCKS_AGREE_SECONDS:
        return "ClockSkewed", False, "ClocksAgree", ""
    # No numbers: the condition would be written anew with each change of them.
    message = (
        f"the clock of this node is more than a minute {'ahead of' if ahead > 0 else 'behind'} the API server's: set "
        "both by NTP, or nodes, operator and consoles come to refuse each other's certificates"
    )
    return "ClockSkewed", True, "ClocksDiffer", message


def _disk_pressure(space: Space) -> _Observation:
    if space.available >= space.capacity * LEAST_SPACE:
        return "DiskPressure", False, "PoolHasSpace", ""
    # No numbers: the condition would be written anew with each change of them.
    message = (
        f"less than {LEAST_SPACE:.0%} of the pool is free: when it is full, guests that write are halted until there "
        "is space again. Delete Instances or make the pool larger"
    )
    return "DiskPressure", True, "PoolNearlyFull", message


def _facts(facts: HostFacts, room: Room, domain_type: DomainType | None) -> dict[str, Any]:
    """What the host is, as fields of the status."""
    type_ = domain_type_of(facts, domain_type)
    abilities = facts.abilities.get(type_, Abilities())
    # Those that guests may have come first, if there are more than the API takes.
    devices = sorted(facts.devices, key=lambda device: (device.address not in room.devices, device.address))
    return {
        "domain_type": type_,
        "cpu": Cpu(architecture=facts.architecture, model=facts.cpu_model, vendor=facts.cpu_vendor),
        "versions": Versions(libvirt=facts.libvirt_version, qemu=facts.qemu_version, agent=AGENT_VERSION),
        "capacity": Resources(
            vcpus=facts.cpus, memory=Quantity.of_bytes(facts.memory), disk=Quantity.of_bytes(facts.disk)
        ),
        "allocatable": Resources(
            vcpus=room.vcpus, memory=Quantity.of_bytes(room.memory), disk=Quantity.of_bytes(room.disk)
        ),
        "cells": [_cell(cell) for cell in facts.cells],
        "devices": sorted((_device(device) for device in devices[:MOST_DEVICES]), key=lambda device: device.address),
        "firmware": sorted(abilities.firmware),
        "traits": sorted(abilities.traits),
    }


def _cell(cell: HostCell) -> Cell:
    return Cell(
        id=cell.id,
        cores=[format_cpuset(core) for core in cell.cores],
        memory=QuantityText.of_bytes(cell.memory),
        huge_pages=[
            HugePages.model_validate({"size": Quantity.of_bytes(size), "count": count})
            for size, count in sorted(cell.huge_pages.items())
        ],
    )


def _device(device: PciDevice) -> Device:
    return Device(address=device.address, vendor_id=device.vendor, product_id=device.product, cell=device.cell)
