"""What Instances name: flavors, images, key pairs, zones, groups; and the namespaces they are in."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypernova_api import flavor as flavor_api
from hypernova_api import group as group_api
from hypernova_api import image as image_api
from hypernova_api import instance as instance_api
from hypernova_api import keypair as keypair_api
from hypernova_api import zone as zone_api
from hypernova_api.meta import ObjectMeta
from hypernova_api.selectors import LabelSelector
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import wants
from hypernova_operator.cache.records.identity import as_labels, identity
from hypernova_operator.scheduler import Request
from hypernova_operator.scheduler.request import Labels, Policy


@dataclass(frozen=True, slots=True)
class Flavor:
    """A Flavor."""

    key: Key
    uid: str
    version: int = field(compare=False)
    want: Request
    """What an Instance of it wants of a host, as far as the flavor says."""
    access: LabelSelector | None
    """The namespaces that may use it; None: all."""
    bound: instance_api.BoundFlavor
    """What an Instance gets of it."""


@dataclass(frozen=True, slots=True)
class Image:
    """An Image."""

    key: Key
    uid: str
    version: int = field(compare=False)
    labels: Labels
    min_memory: int
    """Bytes."""
    min_disk: int
    """Bytes."""
    bound: instance_api.BoundImage


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A KeyPair."""

    key: Key
    uid: str
    version: int = field(compare=False)
    bound: instance_api.BoundKeyPair


@dataclass(frozen=True, slots=True)
class Namespace:
    """A Namespace."""

    key: Key
    uid: str
    version: int = field(compare=False)
    labels: Labels


@dataclass(frozen=True, slots=True)
class AvailabilityZone:
    """An AvailabilityZone."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    reserve: int
    """How many of its hosts may fail with the others taking over; 0: nothing is kept free for that."""
    status: zone_api.AvailabilityZoneStatus = field(compare=False)


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """An InstanceGroup."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    policy: Policy
    max_per_host: int
    """For AntiAffinity."""
    status: group_api.InstanceGroupStatus = field(compare=False)


def flavor(obj: Object) -> Flavor:
    """Read a Flavor."""
    parsed = flavor_api.Flavor.parse(obj)
    # Read anew, for what the flavor leaves out to be left out of what is bound, too.
    bound = instance_api.BoundFlavor.model_validate(obj["spec"] | {"name": parsed.metadata.name})
    access = parsed.spec.access.namespace_selector if parsed.spec.access else None
    return Flavor(*identity(parsed.metadata), wants.of_flavor(parsed.spec), access, bound)


def image(obj: Object) -> Image:
    """Read an Image."""
    parsed = image_api.Image.parse(obj)
    key, uid, version = identity(parsed.metadata)
    bound = instance_api.BoundImage(
        name=key.name,
        namespace=key.namespace,
        url=parsed.spec.source.url,
        node_name=parsed.spec.source.node_name,
        sha256=parsed.spec.source.sha256,
        format=parsed.spec.format,
        properties=parsed.spec.properties,
    )
    return Image(
        key,
        uid,
        version,
        labels=as_labels(parsed.metadata.labels),
        min_memory=parsed.spec.min_memory.value,
        min_disk=parsed.spec.min_disk.value,
        bound=bound,
    )


def key_pair(obj: Object) -> KeyPair:
    """Read a KeyPair."""
    parsed = keypair_api.KeyPair.parse(obj)
    bound = instance_api.BoundKeyPair(name=parsed.metadata.name, public_key=parsed.spec.public_key)
    return KeyPair(*identity(parsed.metadata), bound)


def namespace(obj: Object) -> Namespace:
    """Read a Namespace."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    return Namespace(*identity(metadata), as_labels(metadata.labels))


def availability_zone(obj: Object) -> AvailabilityZone:
    """Read an AvailabilityZone."""
    parsed = zone_api.AvailabilityZone.parse(obj)
    reserve = parsed.spec.reserve.hosts if parsed.spec.reserve else 0
    return AvailabilityZone(*identity(parsed.metadata), parsed.metadata.generation, reserve, parsed.status)


def instance_group(obj: Object) -> InstanceGroup:
    """Read an InstanceGroup."""
    parsed = group_api.InstanceGroup.parse(obj)
    spec = parsed.spec
    most = spec.max_per_host or 1
    return InstanceGroup(*identity(parsed.metadata), parsed.metadata.generation, spec.policy, most, parsed.status)
