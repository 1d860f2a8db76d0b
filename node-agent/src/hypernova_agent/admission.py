"""Whether an Instance that was bound to this node finds room on it: the host's own word, as kubelet's on Pods.

The scheduler counts the same things; but two of them, or one with an old view, can bind more than there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypernova_agent.desired import Guest
from hypernova_agent.sizes import size
from hypernova_api.hypervisor import Resources
from hypernova_api.overcommit import Overcommit, ratios


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Instance takes of a host, or what a host has to give. Memory and disk in bytes."""

    vcpus: int
    memory: int
    disk: int


def claim_of(guest: Guest) -> Claim:
    """What a guest takes, running or not."""
    return Claim(vcpus=guest.vcpus, memory=guest.memory, disk=guest.disk)


def room_of(allocatable: Resources, overcommit: Overcommit) -> Claim:
    """What a host gives out in all."""
    ratio = ratios(overcommit)
    return Claim(
        vcpus=int(allocatable.vcpus * ratio.cpu),
        memory=int(allocatable.memory.value * ratio.memory),
        disk=int(allocatable.disk.value * ratio.disk),
    )


def refusal(claim: Claim, taken: Iterable[Claim], room: Claim) -> str | None:
    """Why a claim does not fit beside those that are taken, as a sentence; None if it does. Pure."""
    taken = list(taken)
    free_vcpus = room.vcpus - sum(other.vcpus for other in taken)
    free_memory = room.memory - sum(other.memory for other in taken)
    free_disk = room.disk - sum(other.disk for other in taken)
    lacks = []
    if claim.vcpus > free_vcpus:
        lacks.append(f"vCPUs (need {claim.vcpus}, free {max(free_vcpus, 0)})")
    if claim.memory > free_memory:
        lacks.append(f"memory (need {size(claim.memory)}, free {size(max(free_memory, 0))})")
    # A claim of no disk fits any pool, an overcommitted one too: nothing can be gained by refusing it.
    if claim.disk and claim.disk > free_disk:
        lacks.append(f"disk (need {size(claim.disk)}, free {size(max(free_disk, 0))})")
    return f"this node lacks {' and '.join(lacks)}" if lacks else None
