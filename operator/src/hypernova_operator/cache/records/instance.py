"""Instances."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import lru_cache

from hypernova_api import conditions
from hypernova_api import instance as instance_api
from hypernova_api.image import ImageProperties
from hypernova_api.meta import CREATED_BY, FINALIZER, ObjectMeta
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import allocations, wants
from hypernova_operator.cache.records.identity import as_labels, identity
from hypernova_operator.scheduler import NO_ALLOCATION, Allocation, Request, Toleration
from hypernova_operator.scheduler.request import Labels

DRIFT = "PlacementDrift"
"""The condition of an Instance that would not be placed on its node today."""

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
class Instance:
    """An Instance. `finalizers` and `conditions` are kept only while they are ours to write: before it is bound."""

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
    user_data_secret: bool
    """Whether its user data is in a Secret."""
    node: str
    """Where it is bound to; empty while it waits."""
    want: Request | None
    """What flavor and image as they were at binding want of that node; None before."""
    allocation: Allocation
    building: bool
    """Whether its node is making it."""
    failed: bool
    """Whether its node could not."""
    drift: str
    """What the condition PlacementDrift says, if it is True."""
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
    phase = wire.get("phase")
    return Instance(
        *identity(metadata),
        generation=metadata.generation,
        deleting=metadata.deletion_timestamp is not None,
        finalizers=() if bound else tuple(metadata.finalizers),
        # Many Instances say the same of these: the text is kept once.
        user=sys.intern(metadata.annotations.get(CREATED_BY, "")),
        flavor=sys.intern(spec.flavor),
        image=Key(sys.intern(spec.image.namespace or metadata.namespace), sys.intern(spec.image.name)),
        zone=sys.intern(spec.availability_zone or ""),
        scheduling=_scheduling(spec.scheduling) if spec.scheduling else NO_SCHEDULING,
        key_pairs=tuple(spec.key_pairs),
        user_data_secret=spec.user_data is not None and spec.user_data.secret_key_ref is not None,
        node=sys.intern(status.node_name or ""),
        want=_want_of(wire) if bound else None,
        allocation=allocations.read(status.allocation) if status.allocation else NO_ALLOCATION,
        building=bound and phase == instance_api.Phase.BUILDING,
        failed=bound and phase == instance_api.Phase.FAILED,
        drift=_drift(wire) if bound else "",
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


def _want_of(status: Object) -> Request | None:
    if "flavor" not in status:
        return None
    image = status.get("image", {})
    properties = image.get("properties")
    return _want(json.dumps(status["flavor"]), image.get("sha256", ""), json.dumps(properties) if properties else "")


@lru_cache(_KINDS_OF_WANT)
def _want(flavor: str, sha256: str, properties: str) -> Request:
    """Read once for all Instances that have the same, which then share it."""
    want = wants.of_flavor(instance_api.BoundFlavor.model_validate_json(flavor))
    return wants.with_image(want, sha256, ImageProperties.model_validate_json(properties) if properties else None)


def _drift(status: Object) -> str:
    for condition in status.get("conditions", ()):
        if condition["type"] == DRIFT and condition["status"] == "True":
            return sys.intern(condition.get("message", ""))
    return ""
