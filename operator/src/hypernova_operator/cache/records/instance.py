"""Instances."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from hypernova_api import conditions
from hypernova_api import instance as instance_api
from hypernova_api.image import ImageProperties
from hypernova_api.meta import CREATED_BY, FINALIZER, GROUP, ObjectMeta
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import allocations, wants
from hypernova_operator.cache.records.identity import as_labels, identity
from hypernova_operator.scheduler import NO_ALLOCATION, Allocation, Request, Toleration
from hypernova_operator.scheduler.request import Labels

DRIFT = "PlacementDrift"
"""The condition of an Instance that would not be placed on its node today."""

RESIZED = "Resized"
"""The condition of an Instance whose spec.flavor is not what its guest has."""

NODE_LOST = "NodeLost"
"""The reason of a condition Ready that the operator writes in place of an agent that is silent."""

ADOPT = f"adopt.{GROUP}/orphan"
"""Annotation that the operator creates an Instance with for a domain that is there already: `UID@NODE`. It is not to
be placed."""

_OURS_ALONE = (FINALIZER,)
_STATUS_USED = ("nodeName", "addresses", "allocation")
_KINDS_OF_WANT = 4096
"""Flavors times images that are in use at once: more are read again for each Instance."""


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Where an Instance may and should go."""

    group: str = ""
    """An InstanceGroup of its namespace."""
    node_selector: Labels = ()
    tolerations: tuple[Toleration, ...] = ()
    same_host_as: tuple[str, ...] = ()
    """Names of Instances of its namespace."""
    different_host_from: tuple[str, ...] = ()
    node_name: str = ""


NO_SCHEDULING = Scheduling()


@dataclass(frozen=True, slots=True)
class Resize:
    """A flavor that has been granted, and that the guest does not have in full yet."""

    flavor: str
    want: Request
    allocation: Allocation = NO_ALLOCATION


class Told(NamedTuple):
    """What a condition says that is not True."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An Instance. `conditions` are kept only while they are ours to write: before it is bound."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    user: str
    """Who created it; empty where the API server doesn't say."""
    flavor: str
    image: Key
    zone: str
    """The AvailabilityZone it asks for."""
    scheduling: Scheduling
    key_pairs: tuple[str, ...]
    node: str
    """Where it is bound to; empty while it waits."""
    bound_flavor: str
    """The flavor that it has."""
    want: Request | None
    """What that and its image want of the node; None before it is bound."""
    allocation: Allocation
    resize: Resize | None
    """What is granted beside that."""
    resized: Told | None
    """What the condition Resized says."""
    building: bool
    """Whether its node is making it."""
    failed: bool
    """Whether its node could not."""
    drift: str
    """What the condition PlacementDrift says, if it is True."""
    lost: str
    """What the condition Ready says, if that is that its node is lost."""
    adopt: str
    """The annotation ADOPT."""
    cards: int
    """Network cards that it asks for."""
    addresses: tuple[instance_api.Address, ...]
    conditions: tuple[conditions.Condition, ...]

    @property
    def protected(self) -> bool:
        """Whether our finalizer keeps it until its domain is gone."""
        return FINALIZER in self.finalizers

    @property
    def group(self) -> Key | None:
        """Its InstanceGroup."""
        return Key(self.key.namespace, self.scheduling.group) if self.scheduling.group else None


def instance(obj: Object) -> Instance:
    """Read an Instance. Of its status only what is used is looked at: a newer agent may write what we can't read."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    spec = instance_api.InstanceSpec.model_validate(obj["spec"])
    wire = obj.get("status", {})
    bound = bool(wire.get("nodeName"))
    used = _STATUS_USED if bound else ("conditions",)
    status = instance_api.InstanceStatus.model_validate({field: wire[field] for field in used if field in wire})
    said = {each["type"]: each for each in wire.get("conditions", ())} if bound else {}
    phase = wire.get("phase")
    return Instance(
        *identity(metadata),
        generation=metadata.generation,
        deleting=metadata.deletion_timestamp is not None,
        # Many Instances say the same of these: it is kept once.
        finalizers=_OURS_ALONE if metadata.finalizers == [FINALIZER] else tuple(metadata.finalizers),
        user=sys.intern(metadata.annotations.get(CREATED_BY, "")),
        flavor=sys.intern(spec.flavor),
        image=Key(sys.intern(spec.image.namespace or metadata.namespace), sys.intern(spec.image.name)),
        zone=sys.intern(spec.availability_zone or ""),
        scheduling=_scheduling(spec.scheduling) if spec.scheduling else NO_SCHEDULING,
        key_pairs=tuple(spec.key_pairs),
        node=sys.intern(status.node_name or ""),
        bound_flavor=sys.intern(wire.get("flavor", {}).get("name", "")) if bound else "",
        want=_want_of(wire, wire.get("flavor")) if bound else None,
        allocation=allocations.read(status.allocation) if status.allocation else NO_ALLOCATION,
        resize=_resize_of(wire) if bound and "resize" in wire else None,
        resized=_told(said.get(RESIZED)),
        building=bound and phase == instance_api.Phase.BUILDING,
        failed=bound and phase == instance_api.Phase.FAILED,
        drift=_drift(said.get(DRIFT)),
        lost=_lost(said.get("Ready")),
        adopt=metadata.annotations.get(ADOPT, ""),
        cards=len(spec.networks or (None,)),
        addresses=tuple(status.addresses),
        conditions=tuple(status.conditions),
    )


def _scheduling(scheduling: instance_api.Scheduling) -> Scheduling:
    return Scheduling(
        group=scheduling.group or "",
        node_selector=as_labels(scheduling.node_selector),
        tolerations=tuple(
            Toleration(each.key, each.operator, each.value, each.effect or "") for each in scheduling.tolerations
        ),
        same_host_as=tuple(scheduling.same_host_as),
        different_host_from=tuple(scheduling.different_host_from),
        node_name=scheduling.node_name or "",
    )


def _resize_of(status: Object) -> Resize | None:
    resize = status["resize"]
    want = _want_of(status, resize.get("flavor"))
    if want is None:
        return None
    allocation = resize.get("allocation")
    return Resize(
        sys.intern(resize["flavor"]["name"]),
        want,
        allocations.read(instance_api.Allocation.model_validate(allocation)) if allocation else NO_ALLOCATION,
    )


def _want_of(status: Object, flavor: Object | None) -> Request | None:
    if flavor is None:
        return None
    image = status.get("image", {})
    properties = image.get("properties")
    return _want(json.dumps(flavor), image.get("sha256", ""), json.dumps(properties) if properties else "")


@lru_cache(_KINDS_OF_WANT)
def _want(flavor: str, sha256: str, properties: str) -> Request:
    """Read once for all Instances that have the same, which then share it."""
    want = wants.of_flavor(instance_api.BoundFlavor.model_validate_json(flavor))
    return wants.with_image(want, sha256, ImageProperties.model_validate_json(properties) if properties else None)


def _drift(condition: Object | None) -> str:
    return sys.intern(condition.get("message", "")) if condition and condition["status"] == "True" else ""


def _lost(condition: Object | None) -> str:
    return sys.intern(condition["message"]) if condition and condition["reason"] == NODE_LOST else ""


def _told(condition: Object | None) -> Told | None:
    return Told(condition["reason"], condition["message"]) if condition and condition["status"] != "True" else None
