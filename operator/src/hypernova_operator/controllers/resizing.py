"""What becomes of a bound Instance's wish for another flavor on the host it is on.

A resize is granted by the operator (status.resize) and given by the node's agent, which then writes it as the flavor
and clears the grant; in between the guest has the one, the other or parts of both, and both are counted. So a grant is
never just taken away: one that is no longer asked for changes places with the flavor before, and the agent goes back
the way it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_api.instance import BoundImage
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache, wants
from hypernova_operator.cache.records import Amount, Flavor, Instance, Resize
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.quotas import Charge
from hypernova_operator.controllers.resolve import Unmet, resolve_flavor
from hypernova_operator.controllers.waiting import Growth, Named
from hypernova_operator.scheduler import Allocation, Misfit, Request, in_place
from hypernova_operator.scheduler.resources import needed

GRANTED = "Granted"
WITHDRAWN = "Withdrawn"
_UNDER_WAY = (GRANTED, WITHDRAWN)


@dataclass(frozen=True, slots=True)
class Grant:
    """It gets another flavor."""

    flavor: Flavor
    to: Resize
    over: bool
    """Whether the flavor granted before is what it may have already, from which it goes on."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """What was granted is not asked for any more, but the flavor before."""


@dataclass(frozen=True, slots=True)
class Resume:
    """What was granted is asked for again, another flavor having been refused meanwhile."""


@dataclass(frozen=True, slots=True)
class Settle:
    """It has what it asks for."""


Decision = Grant | Withdraw | Resume | Settle


def asks(instance: Instance) -> bool:
    """Whether there is anything to decide about a bound Instance's flavor. Pure."""
    resize, told = instance.resize, instance.resized
    if instance.want is None:
        return False
    if resize is None:
        return instance.flavor != instance.bound_flavor or told is not None
    return instance.flavor != resize.flavor or (told is not None and told.reason in _REFUSALS)


def decide(instance: Instance, image: BoundImage, cache: Cache, ledger: Ledger) -> Decision | Unmet | None:
    """What to do about it; None if nothing is. What is granted is not claimed yet.

    Args:
        instance: a bound one.
        image: its image, as it was bound.
        cache: what it names.
        ledger: what there is; its table is looked at with the Instance's own claim given back.
    """
    has, resize = instance.want, instance.resize
    if has is None or not asks(instance):
        return None
    if resize is None and instance.flavor == instance.bound_flavor:
        return Settle()
    if resize is not None and instance.flavor == resize.flavor:
        return Resume()
    disk = max(has.disk, resize.want.disk) if resize is not None else has.disk
    if instance.flavor == instance.bound_flavor:
        return _disk_cannot_shrink(instance, has, disk) or Withdraw()
    flavor = resolve_flavor(instance, cache)
    if isinstance(flavor, Unmet):
        return flavor
    over = resize is not None and _covers(resize.want, resize.allocation, has, instance.allocation)
    if resize is not None and not over and not _covers(has, instance.allocation, resize.want, resize.allocation):
        return _under_way(instance, resize)
    want = wants.with_image(flavor.want, image.sha256, image.properties)
    if unmet := _disk_cannot_shrink(instance, want, disk) or ledger.quotas.exceeded(_growth(instance, want)):
        return unmet
    got = in_place(ledger.table, instance.uid, want)
    if isinstance(got, Misfit):
        message = f"node {instance.node} has no room for flavor {instance.flavor}: it {got.reason}"
        return Unmet("NoRoomOnHost", message, frozenset({Growth(instance.key), _flavor(instance)}))
    return Grant(flavor, Resize(instance.flavor, want, got), over)


_REFUSALS = frozenset(
    {
        "DiskCannotShrink",
        "FlavorNotAllowed",
        "FlavorNotFound",
        "FlavorTooSmall",
        "NamespaceNotFound",
        "NoRoomOnHost",
        "QuotaExceeded",
        "ResizeUnderWay",
    }
)
"""Reasons for which we leave an Instance as it is."""


def _disk_cannot_shrink(instance: Instance, want: Request, disk: int) -> Unmet | None:
    """Neither can one of the size of its image take the place of a larger one. (Nova: CannotResizeDisk.)"""
    if want.disk >= disk:
        return None
    size = f"only {needed(want.disk)}" if want.disk else "the size of the image"
    return Unmet(
        "DiskCannotShrink",
        f"the root disk has {needed(disk)}, and flavor {instance.flavor} {size}: a disk cannot be made smaller, choose "
        f"a flavor with a rootDisk of {needed(disk)} or more",
        frozenset({_flavor(instance)}),
    )


def _under_way(instance: Instance, resize: Resize) -> Unmet:
    return Unmet(
        "ResizeUnderWay",
        f"the guest may have parts of flavors {instance.bound_flavor} and {resize.flavor}: flavor {instance.flavor} "
        "comes when it has one of them in full, at the latest when it has been restarted",
        frozenset({_flavor(instance)}),
    )


def _growth(instance: Instance, want: Request) -> Charge:
    """What it would use of quotas beside what it does."""
    held = [each for each in (instance.want, instance.resize.want if instance.resize else None) if each is not None]
    more = Amount(
        vcpus=max(0, want.vcpus - max(each.vcpus for each in held)),
        memory=max(0, want.memory - max(each.memory for each in held)),
        disk=max(0, want.disk - max(each.disk for each in held)),
    )
    return Charge(instance.key.namespace, instance.user, more)


def _covers(one: Request, ones: Allocation, other: Request, others: Allocation) -> bool:
    """Whether who has the one, with its allocation, has all that the other takes, and that of quotas."""
    amounts = one.resources | other.resources == one.resources
    size = one.vcpus >= other.vcpus and one.memory >= other.memory
    return amounts and size and (not others or others == ones)


def _flavor(instance: Instance) -> Named:
    return Named("Flavor", Key("", instance.flavor))
