"""The decision: what takes one Instance from what is to what should be.

Any prefix of a plan may already have happened: every step is safe to repeat, and planning again after a crash at any
line gives the rest. A plan ends early in a `Wait` where only the guest or time can bring it further.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent import names
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Owner, Reservation
from hypernova_agent.observed import Observed
from hypernova_api.instance import BoundImage

PRESS_AGAIN = 10.0
"""Seconds between presses of the power button: a guest that was still booting has missed the first. (Nova's too.)"""


@dataclass(frozen=True, slots=True)
class EnsureImage:
    """Have the image in the pool, complete and verified. `limit`: bytes its guest-visible size may have; 0: any."""

    image: BoundImage
    limit: int


@dataclass(frozen=True, slots=True)
class CreateRootDisk:
    """Make the root disk as an overlay on the image; `size` in bytes, 0 takes the image's own."""

    volume: str
    image: BoundImage
    size: int


@dataclass(frozen=True, slots=True)
class CreateConfigDrive:
    """Make the config drive."""

    owner: Owner
    guest: Guest


@dataclass(frozen=True, slots=True)
class EnsureReservation:
    """Make the default network give the guest its address."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class DefineDomain:
    """Make the domain known to libvirt. From here on the host itself remembers the Instance."""

    owner: Owner
    guest: Guest


@dataclass(frozen=True, slots=True)
class StartDomain:
    """Power on."""

    uid: str


@dataclass(frozen=True, slots=True)
class ShutdownDomain:
    """Press the power button."""

    uid: str


@dataclass(frozen=True, slots=True)
class DestroyDomain:
    """Pull the plug."""

    uid: str


@dataclass(frozen=True, slots=True)
class UndefineDomain:
    """Make libvirt forget the domain."""

    uid: str


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete a volume and what is in it."""

    volume: str


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """Give the address back."""

    mac: str


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the API server forget the Instance: nothing of it is left here."""

    owner: Owner


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing more to do before `until` (on the clock of `Observed.now`), or before the domain changes state."""

    until: float


Step = (
    EnsureImage
    | CreateRootDisk
    | CreateConfigDrive
    | EnsureReservation
    | DefineDomain
    | StartDomain
    | ShutdownDomain
    | DestroyDomain
    | UndefineDomain
    | DeleteVolume
    | ReleaseReservation
    | RemoveFinalizer
    | Wait
)


def plan(desired: Desired, observed: Observed) -> list[Step]:
    """The steps that take one Instance from what is to what should be. Pure; empty when they agree.

    A domain that exists is left as it is defined. A guest is only ever stopped because the Instance says so.
    """
    if desired.deleting:
        return _teardown(desired, observed)
    return [*_build(desired, observed), *_power(desired, observed)]


def _build(desired: Desired, observed: Observed) -> list[Step]:
    """Everything up to a defined domain. Of one that is there, only the reservation: it may go with its network."""
    if not isinstance(desired.guest, Guest):
        return []
    uid, guest = desired.owner.uid, desired.guest
    steps: list[Step] = []
    if observed.domain is None and names.root_disk(uid) not in observed.volumes:
        steps += [EnsureImage(guest.image, guest.disk), CreateRootDisk(names.root_disk(uid), guest.image, guest.disk)]
    if observed.reservation != guest.reservation:
        steps.append(EnsureReservation(guest.reservation))
    if observed.domain is None:
        if names.config_drive(uid) not in observed.volumes:
            steps.append(CreateConfigDrive(desired.owner, guest))
        steps.append(DefineDomain(desired.owner, guest))
    return steps


def _power(desired: Desired, observed: Observed) -> list[Step]:
    if desired.power_state == "Stopped":
        return _stop(desired, observed)
    if observed.alive:
        return []
    if observed.domain is None and not isinstance(desired.guest, Guest):
        return []
    if observed.start_after is not None and observed.now < observed.start_after:
        return [Wait(observed.start_after)]
    return [StartDomain(desired.owner.uid)]


def _stop(desired: Desired, observed: Observed) -> list[Step]:
    """The power button first, again every now and then, and the plug when the guest's grace is over."""
    if not observed.alive:
        return []
    uid, since = desired.owner.uid, observed.stopping
    if desired.grace == 0:
        return [DestroyDomain(uid)]
    if since is None:
        return [ShutdownDomain(uid), Wait(observed.now + min(PRESS_AGAIN, desired.grace))]
    deadline = since.since + desired.grace
    if observed.now >= deadline:
        return [DestroyDomain(uid)]
    if observed.now >= since.pressed + PRESS_AGAIN:
        return [ShutdownDomain(uid), Wait(min(observed.now + PRESS_AGAIN, deadline))]
    return [Wait(min(since.pressed + PRESS_AGAIN, deadline))]


def _teardown(desired: Desired, observed: Observed) -> list[Step]:
    if not desired.finalizer:
        return []
    uid = desired.owner.uid
    steps = _stop(desired, observed)
    if any(isinstance(step, Wait) for step in steps):
        return steps
    if observed.domain is not None:
        steps.append(UndefineDomain(uid))
    # All that there can be, seen or not: the host makes the console log behind our back.
    steps += [DeleteVolume(volume) for volume in names.volumes_of(uid)]
    if observed.reservation is not None:
        steps.append(ReleaseReservation(observed.reservation.mac))
    return [*steps, RemoveFinalizer(desired.owner)]
