"""What a guest that runs is given without being started anew, and what has to wait for its next start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypernova_agent import names
from hypernova_agent.definition import agrees, digest, wanted
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Definition, Domain, DomainState, Link
from hypernova_agent.observed import REFUSED, Observed
from hypernova_agent.outcome import Lack, Settled
from hypernova_agent.sizes import size
from hypernova_agent.steps import (
    AttachInterface,
    AwaitChange,
    Change,
    DefineDomain,
    DetachInterface,
    ResizeDisk,
    SetLink,
    SetMemory,
    SetVcpus,
    Step,
)

PATIENCE = 30.0
"""Seconds that a guest has to take what it is given."""

LOOK_AGAIN = 2.0
"""Seconds between looks meanwhile."""

_MIB = 1 << 20
_CARDS = "NetworksChanged"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a guest has otherwise than it is wanted."""

    part: str
    """What it would have, in words, e.g. `2 vCPUs`."""

    change: Change | None = None
    """What gives it to the guest as it runs; None: only a start does."""

    reason: str = "DomainChanged"
    """Why it is so, as a condition's reason."""

    start_helps: bool = True
    """Whether it would have it after a start."""


def changes(desired: Desired, guest: Guest, observed: Observed) -> list[Step]:
    """The steps for a guest that is to go on: its domain as it should be next time, then what it can have now."""
    domain = observed.domain
    if domain is None or not observed.alive or not desired.on:
        return []
    steps: list[Step] = []
    boot = domain.defined.boot
    if not agrees(domain.defined, wanted(desired.owner.uid, guest, boot)):
        steps.append(DefineDomain(desired.owner, guest, boot, desired.record))
    if domain.state is not DomainState.RUNNING:
        return steps  # its devices only answer while its CPUs go on
    awaited = [observed.now + LOOK_AGAIN]
    waits = False
    for difference in differences(desired, guest, observed):
        change = difference.change
        if change is None:
            continue
        if change not in observed.tried:
            steps.append(change)
        elif not _given_up(change, observed):
            awaited.append(observed.tried[change] + PATIENCE)
            waits = True
    return [*steps, AwaitChange(min(awaited))] if waits else steps


def settled(desired: Desired, observed: Observed) -> Settled:
    """What to say of a guest that has all that it can have now."""
    if not isinstance(desired.guest, Guest):
        return Settled(in_force=False)
    found = list(differences(desired, desired.guest, observed))
    over = [each for each in found if each.change is None or _given_up(each.change, observed)]
    lacks = [each for each in over if each.start_helps]
    return Settled(
        Lack(lacks[0].reason, tuple(each.part for each in lacks)) if lacks else None,
        in_force=not any(each.reason != _CARDS and (each.start_helps or each not in over) for each in found),
        cards=all(each.reason != _CARDS for each in found),
    )


def differences(desired: Desired, guest: Guest, observed: Observed) -> Iterator[Difference]:
    """All of them. A guest on disk can be given nothing; one that is off has none but its disk's size."""
    domain, uid = observed.domain, desired.owner.uid
    reason = "FlavorChanged" if desired.resizing else "DomainChanged"
    root = names.root_disk(uid, guest.build)
    found: list[Difference] = []
    if observed.volumes.get(root, guest.disk) < guest.disk:
        found.append(Difference(f"a root disk of {size(guest.disk)}", ResizeDisk(uid, root, guest.disk), reason))
    has = domain.running if domain is not None and observed.alive else None
    if domain is not None and observed.saved:
        has = domain.defined
    if domain is not None and has is not None:
        found += _machine(desired, guest, domain, has, reason)
    for difference in found:
        yield replace(difference, change=None, start_helps=True) if observed.saved else difference


def _machine(desired: Desired, guest: Guest, domain: Domain, has: Definition, reason: str) -> Iterator[Difference]:
    uid = desired.owner.uid
    # A domain that an older agent defined does not say.
    other = bool(has.digest) and has.digest != digest(guest)
    if has.vcpus != guest.vcpus:
        fits = guest.vcpus <= has.max_vcpus and not other
        yield Difference(f"{guest.vcpus} vCPUs", SetVcpus(uid, guest.vcpus) if fits else None, reason)
    if abs(has.memory - guest.memory) >= _MIB:
        fits = guest.memory <= has.max_memory and not other
        yield Difference(
            f"{size(guest.memory)} of memory",
            SetMemory(uid, guest.memory) if fits else None,
            reason,
            # A guest without a driver never takes what it does not have from the start.
            start_helps=has.max_memory != domain.defined.max_memory,
        )
    if other or has.volumes != wanted(uid, guest, "").volumes:
        yield Difference("other devices", None, reason)
    yield from _cards(desired, guest, has)


def _cards(desired: Desired, guest: Guest, has: Definition) -> Iterator[Difference]:
    uid, reason = desired.owner.uid, _CARDS
    there = {link.mac: link for link in has.links}
    for place, nic in enumerate(guest.nics):
        mac = nic.reservation.mac
        if mac not in there:
            yield Difference(f"network card {place}", AttachInterface(desired.owner, nic, guest), reason)
        elif there[mac].up != nic.up:
            yield Difference(f"the cable of network card {place}", SetLink(uid, Link(mac, nic.up)), reason)
    asked = {nic.reservation.mac for nic in guest.nics}
    for mac in there:
        if mac not in asked:
            yield Difference(f"no network card {mac}", DetachInterface(uid, mac), reason)


def _given_up(change: Change, observed: Observed) -> bool:
    since = observed.tried.get(change)
    return since is not None and (since == REFUSED or observed.now >= since + PATIENCE)
