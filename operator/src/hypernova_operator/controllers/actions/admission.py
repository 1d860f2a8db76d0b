"""Whether an InstanceAction may go to its Instance's node, and with what; or why not. Pure.

Whether the Instance is in a state for it is the node's to see, when the action's turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hypernova_api.action import ADMINISTER, ActionType, BoundRebuild, BoundSnapshot
from hypernova_api.conditions import timestamp
from hypernova_api.instance import BoundImage, BoundKeyPair, InstanceStatus
from hypernova_api.instance import Instance as InstanceKind
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache, wants
from hypernova_operator.cache.records import Instance, InstanceAction
from hypernova_operator.controllers.resolve import host_part, shortages
from hypernova_operator.controllers.waiting import Kind, Named
from hypernova_operator.scheduler import HostTable, Request
from hypernova_operator.scheduler.image_fit import image_misfits

PATIENCE = timedelta(seconds=60)
"""How long what an action names may come after it: who applies a folder of manifests applies them in any order. Later,
an action that begins to run surprises."""

READING: frozenset[ActionType] = frozenset({"GetConsoleLog", "GetGuestInfo"})
"""What a lock is not about, as it does nothing to the Instance. (Nova's locks neither.)"""


@dataclass(frozen=True, slots=True)
class Admitted:
    """It is for the node to run."""

    node: str
    instance_uid: str
    rebuild: BoundRebuild | None = None
    rescue_image: BoundImage | None = None
    snapshot: BoundSnapshot | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It fails."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waits:
    """It may yet run."""

    reason: str
    message: str
    until: datetime | None = None
    """When it is refused for the same reason; None: never."""


Verdict = Admitted | Refused | Waits


def needs(action: InstanceAction) -> frozenset[Named]:
    """All whose change may change what is to be done about an action that is not finished."""
    found = {Named("Instance", action.instance)}
    if action.image:
        found.add(Named("Image", action.image))
    if action.makes:
        found.add(Named("Image", action.makes))
    found.update(Named("KeyPair", Key(action.key.namespace, name)) for name in action.key_pairs or ())
    return frozenset(found)


def before_admission(action: InstanceAction, instance: Instance | None, now: datetime) -> Refused | Waits | None:
    """What stands against looking any closer; None if nothing does."""
    if instance is None:
        return _missing(action, "Instance", action.instance, now)
    if instance.deleting:
        return Refused("InstanceDeleted", f'Instance "{action.instance.name}" is being deleted')
    if not instance.node:
        message = f'Instance "{action.instance.name}" has no node yet; once it has, this goes on by itself'
        return Waits("InstanceNotBound", message)
    return None


def admit(
    action: InstanceAction,
    instance: Instance,
    obj: InstanceKind,
    cache: Cache,
    hosts: HostTable,
    rivals: Iterable[InstanceAction],
    now: datetime,
) -> Verdict:
    """The verdict on an action of an Instance that is bound.

    Args:
        action: it.
        instance: its Instance.
        obj: the same, whole.
        cache: where Images and KeyPairs are found.
        hosts: where the Instance's is.
        rivals: others that have been admitted, and are to make the same Image.
        now: when.
    """
    if obj.spec.locked and not action.administers and action.type not in READING:
        return Refused("Locked", _locked(action, obj.spec.locked.reason))
    try:
        match action.type:
            case "Rebuild":
                return _rebuild(action, instance, obj.status, cache, hosts, now)
            case "Rescue":
                image = _image(action, instance, obj.status, cache, hosts, now, disk=False)
                return Admitted(instance.node, instance.uid, rescue_image=image)
            case "Snapshot":
                return _snapshot(action, instance, obj.status, cache, rivals)
            case _:
                return Admitted(instance.node, instance.uid)
    except _Against as against:
        return against.verdict


class _Against(Exception):
    """Something that it names isn't there, or won't do."""

    def __init__(self, verdict: Refused | Waits) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def _rebuild(
    action: InstanceAction, instance: Instance, status: InstanceStatus, cache: Cache, hosts: HostTable, now: datetime
) -> Verdict:
    image = _image(action, instance, status, cache, hosts, now, disk=True)
    key_pairs = status.key_pairs
    if action.key_pairs is not None:
        keys = [Key(action.key.namespace, name) for name in action.key_pairs]
        key_pairs = [_key_pair(action, key, cache, now) for key in keys]
    return Admitted(instance.node, instance.uid, rebuild=BoundRebuild(image=image, key_pairs=key_pairs))


def _image(
    action: InstanceAction,
    instance: Instance,
    status: InstanceStatus,
    cache: Cache,
    hosts: HostTable,
    now: datetime,
    *,
    disk: bool,
) -> BoundImage:
    """What to boot from; `disk`: whether the Instance's root disk is made of it."""
    if action.image is None:
        if status.image is None:
            part = action.type.lower()
            message = f"it is not known what the Instance was made from: name an Image in spec.{part}.image"
            raise _Against(Refused("ImageUnknown", message))
        return status.image
    image = cache.image(action.image)
    if image is None:
        raise _Against(_missing(action, "Image", action.image, now))
    if instance.want is not None and (lacks := shortages(instance.want, image, disk=disk)):
        message = f'the Instance is too small for Image "{image.key.name}" in {" and ".join(lacks)}'
        raise _Against(Refused("FlavorTooSmall", f"{message}: resize it before, or take another Image"))
    bound = image.bound
    want = wants.with_image(Request(0, 0, 0), bound.sha256, bound.properties, bound.node_name or "")
    if why := image_misfits(hosts, instance.node, host_part(want, instance, image.labels, cache)):
        message = f"the Instance's node {instance.node} won't do for Image \"{image.key.name}\": {', '.join(why)}"
        raise _Against(Refused("ImageNotForNode", message))
    return bound


def _key_pair(action: InstanceAction, key: Key, cache: Cache, now: datetime) -> BoundKeyPair:
    found = cache.key_pair(key)
    if found is None:
        raise _Against(_missing(action, "KeyPair", key, now))
    return found.bound


def _snapshot(
    action: InstanceAction,
    instance: Instance,
    status: InstanceStatus,
    cache: Cache,
    rivals: Iterable[InstanceAction],
) -> Verdict:
    if action.makes is not None and cache.image(action.makes) is not None:
        message = f'there is an Image "{action.makes.name}" already: create the action anew with another name'
        return Refused("ImageExists", message)
    if rival := next(iter(rivals), None):
        message = f'InstanceAction "{rival.key.name}" makes an Image of that name: create the action anew with another'
        return Refused("ImageExists", message)
    snapshot = BoundSnapshot(image=status.image) if status.image else None
    return Admitted(instance.node, instance.uid, snapshot=snapshot)


def _missing(action: InstanceAction, kind: Kind, key: Key, now: datetime) -> Refused | Waits:
    there_is_none = f'there is no {kind} "{key.name}" in namespace {key.namespace}'
    reason, until = f"{kind}NotFound", action.created + PATIENCE
    if now >= until:
        return Refused(reason, f"{there_is_none}: create it, then the action anew")
    return Waits(reason, f"{there_is_none}; the action fails if there is none at {timestamp(until)}", until)


def _locked(action: InstanceAction, reason: str) -> str:
    locked = f"the Instance is locked ({reason}): only who may `administer` it can act on it"
    if action.user:
        return f"{locked}, which {action.user} may not. Ask an administrator, who can also take spec.locked off"
    # An API server without MutatingAdmissionPolicy does not tell by itself.
    return f'{locked}, and says so: create the action anew with the annotation {ADMINISTER}: "true"'
