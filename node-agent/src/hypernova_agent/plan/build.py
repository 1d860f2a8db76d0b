"""What a guest needs before it can be powered on: disks, addresses, a domain."""

from __future__ import annotations

from hypernova_agent import names
from hypernova_agent.definition import agrees, wanted
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.errors import DiskLost
from hypernova_agent.host import Definition
from hypernova_agent.observed import Observed
from hypernova_agent.steps import (
    CreateConfigDrive,
    CreateDisk,
    DefineDomain,
    DeleteVolume,
    EnsureImage,
    EnsureReservation,
    ReleaseReservation,
    ResizeDisk,
    Step,
)


def build(desired: Desired, guest: Guest, observed: Observed, *, starts: bool) -> list[Step]:
    """Everything up to a defined domain, of one that is off; defined anew whenever it is about to be started.

    What is new is made before what is old goes, and the old goes while the domain still knows of it: a crash leaks and
    loses nothing.

    Raises:
        DiskLost: what the guest has written is gone.
    """
    uid, domain = desired.owner.uid, observed.domain
    steps = [*_disks(desired, guest, observed), *reservations(guest, observed)]
    if names.config_drive(uid, guest.build) not in observed.volumes:
        steps.append(CreateConfigDrive(desired.owner, guest))
    before = domain.defined if domain is not None else Definition()
    should = wanted(uid, guest, desired.ask.boot or before.boot)
    # A guest that is over stays as it is: to be defined anew would be to forget that.
    if starts or domain is None or not (desired.on or agrees(before, should)):
        former = [name for name in before.volumes if name not in should.volumes and names.is_of(uid, name)]
        steps += [DeleteVolume(name) for name in former]
        steps.append(DefineDomain(desired.owner, guest, should.boot, desired.record))
    return steps


def images(desired: Desired, guest: Guest, observed: Observed) -> list[Step]:
    """The images of disks that are to be made, for a guest that goes on meanwhile."""
    uid, steps = desired.owner.uid, list[Step]()
    if names.root_disk(uid, guest.build) not in observed.volumes:
        steps.append(EnsureImage(guest.image, guest.disk))
    if guest.rescue is not None and names.rescue_disk(uid, guest.rescue.action) not in observed.volumes:
        steps.append(EnsureImage(guest.rescue.image, 0))
    return steps


def reservations(guest: Guest, observed: Observed) -> list[Step]:
    """An address for each network card; those of cards that are gone are given back."""
    asked = {nic.reservation for nic in guest.nics}
    steps: list[Step] = [
        EnsureReservation(nic.reservation) for nic in guest.nics if nic.reservation not in observed.reservations
    ]
    domain = observed.domain
    known = [each for each in (domain.defined, domain.running) if each is not None] if domain is not None else []
    used = {link.mac for each in known for link in each.links} | {reservation.mac for reservation in asked}
    former = sorted(each.mac for each in observed.reservations if each.mac not in used)
    return [*steps, *(ReleaseReservation(mac) for mac in former)]


def _disks(desired: Desired, guest: Guest, observed: Observed) -> list[Step]:
    uid, steps = desired.owner.uid, list[Step]()
    root = names.root_disk(uid, guest.build)
    if root not in observed.volumes:
        if _lost(desired, guest, observed, root):
            raise DiskLost(
                "the root disk is no longer in this node's pool: put its volume back, or have the Instance made anew "
                "by an InstanceAction of type Rebuild"
            )
        steps += [EnsureImage(guest.image, guest.disk), CreateDisk(root, guest.image, guest.disk)]
    elif observed.volumes[root] < guest.disk:
        growth = ResizeDisk(uid, root, guest.disk)
        steps += [growth] if growth not in observed.tried else []
    if guest.rescue is not None:
        rescue = names.rescue_disk(uid, guest.rescue.action)
        if rescue not in observed.volumes:
            steps += [EnsureImage(guest.rescue.image, 0), CreateDisk(rescue, guest.rescue.image, 0)]
    return steps


def _lost(desired: Desired, guest: Guest, observed: Observed, root: str) -> bool:
    """Whether a root disk that is not there has been there: all but a rebuild's that is under way."""
    domain, boot = observed.domain, desired.ask.boot
    if boot and boot == guest.build:
        return domain is not None and domain.defined.boot == boot
    return guest.launched or (domain is not None and root in domain.defined.volumes)
