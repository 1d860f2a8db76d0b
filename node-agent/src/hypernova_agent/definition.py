"""What a guest's domain should be made of, to be compared with what it is. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from hypernova_agent import names
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Definition, Domain, Link

_ELSEWHERE = {"name", "vcpus", "memory", "rootDisk", "traits", "aggregateRequirements", "access"}
"""Of a flavor: what is compared by itself, and what is about hosts and users, not about guests."""

_DIGITS = 16
"""Of a digest: two machines of one guest never meet by chance."""


def disks(uid: str, guest: Guest) -> tuple[str, ...]:
    """The volumes of a guest's disks, in the order in which it finds them: it boots from the first."""
    own = (names.root_disk(uid, guest.build), names.config_drive(uid, guest.build))
    return own if guest.rescue is None else (names.rescue_disk(uid, guest.rescue.action), *own)


def digest(guest: Guest) -> str:
    """Of all that a guest cannot be given or rid of while it runs. An older agent's is the same if it knew less."""
    flavor = guest.flavor.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    packed = guest.allocation
    parts = {
        "flavor": {key: value for key, value in flavor.items() if key not in _ELSEWHERE},
        "cells": [
            [cell.host_cell, cell.vcpus, cell.memory, cell.cpus, cell.idle_cpus, cell.page_size]
            for cell in packed.cells
        ],
        "devices": packed.devices,
        "build": guest.build,
        "rescue": guest.rescue.action if guest.rescue is not None else None,
        "cpuModel": guest.cpu_model,
    }
    said = {key: value for key, value in parts.items() if value}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def wanted(uid: str, guest: Guest, boot: str) -> Definition:
    """What the domain is to be made of. How much more it could have is the host's affair, and left at 0."""
    return Definition(
        vcpus=guest.vcpus,
        memory=guest.memory,
        volumes=disks(uid, guest),
        links=tuple(Link(nic.reservation.mac, nic.up) for nic in guest.nics),
        digest=digest(guest),
        boot=boot,
    )


def as_built(desired: Desired, domain: Domain | None) -> Desired:
    """What is desired, of the build that its domain has.

    A status may be older than that, put back from a backup; or tell of a rebuild whose action was deleted before it was
    done. What the guest has written is on the disk of its domain: no other is taken for it but by a rebuild under way.
    """
    guest = desired.guest
    if domain is None or not isinstance(guest, Guest) or (guest.build and guest.build == desired.ask.boot):
        return desired
    uid = desired.owner.uid
    has = [build for volume in domain.defined.volumes if (build := names.build_of(uid, volume)) is not None]
    if guest.build in has or not has:
        return desired
    resize = desired.resize
    return replace(
        desired,
        guest=replace(guest, build=has[0]),
        resize=replace(resize, build=has[0]) if isinstance(resize, Guest) else resize,
    )


def agrees(defined: Definition, guest: Definition) -> bool:
    """Whether a domain is defined as it is wanted."""
    # Room to grow is the definition's own affair.
    return replace(defined, max_vcpus=guest.max_vcpus, max_memory=guest.max_memory) == guest
