"""What is remembered of each object: the few fields decisions are made of, never the body.

`version` is the resourceVersion as a number (Kubernetes lets them be compared since 1.35). It takes no part in
equality: two records are equal when nothing that matters here has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor

from hypernova_api import conditions
from hypernova_api import flavor as flavor_api
from hypernova_api import hypervisor as hypervisor_api
from hypernova_api import image as image_api
from hypernova_api import instance as instance_api
from hypernova_api import keypair as keypair_api
from hypernova_api.meta import FINALIZER, HYPERVISOR_LABEL, ObjectMeta
from hypernova_api.overcommit import ratios
from hypernova_kube.resources import Key, Object
from hypernova_operator.scheduler import NOTHING, Resources

_STATUS_USED = ("nodeName", "flavor", "addresses", "conditions")


@dataclass(frozen=True, slots=True)
class Flavor:
    """A Flavor."""

    key: Key
    uid: str
    version: int = field(compare=False)
    resources: Resources
    bound: instance_api.BoundFlavor
    """What an Instance gets of it."""


@dataclass(frozen=True, slots=True)
class Image:
    """An Image."""

    key: Key
    uid: str
    version: int = field(compare=False)
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
class Node:
    """A Node."""

    key: Key
    uid: str
    version: int = field(compare=False)
    labelled: bool


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """A Hypervisor."""

    key: Key
    uid: str
    version: int = field(compare=False)
    maintenance: bool
    disabled: str
    """The administrator's reason, or empty."""
    trouble: str
    """Why it is not ready, in a few words; empty when it is."""
    total: Resources
    """What Instances may claim, overcommit included."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An Instance. `finalizers` and `conditions` are kept only while they are ours to write: before it is bound."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    deleting: bool
    finalizers: tuple[str, ...]
    flavor: str
    image: Key
    key_pairs: tuple[str, ...]
    user_data_secret: bool
    """Whether its user data is in a Secret."""
    node: str
    """Where it is bound to; empty while it waits."""
    claim: Resources
    """What it takes of that node."""
    addresses: tuple[instance_api.Address, ...]
    conditions: tuple[conditions.Condition, ...]

    @property
    def protected(self) -> bool:
        """Whether our finalizer keeps it until its domain is gone."""
        return FINALIZER in self.finalizers


def flavor(obj: Object) -> Flavor:
    """Read a Flavor. Raises pydantic.ValidationError, as all of these."""
    parsed = flavor_api.Flavor.parse(obj)
    bound = instance_api.BoundFlavor(name=parsed.metadata.name, **dict(parsed.spec))
    return Flavor(*_identity(parsed.metadata), _flavor_resources(parsed.spec), bound)


def image(obj: Object) -> Image:
    """Read an Image."""
    parsed = image_api.Image.parse(obj)
    key, uid, version = _identity(parsed.metadata)
    bound = instance_api.BoundImage(
        name=key.name,
        namespace=key.namespace,
        url=parsed.spec.source.url,
        sha256=parsed.spec.source.sha256,
        format=parsed.spec.format,
    )
    return Image(key, uid, version, parsed.spec.min_memory.value, parsed.spec.min_disk.value, bound)


def key_pair(obj: Object) -> KeyPair:
    """Read a KeyPair."""
    parsed = keypair_api.KeyPair.parse(obj)
    bound = instance_api.BoundKeyPair(name=parsed.metadata.name, public_key=parsed.spec.public_key)
    return KeyPair(*_identity(parsed.metadata), bound)


def node(obj: Object) -> Node:
    """Read a Node."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    return Node(*_identity(metadata), metadata.labels.get(HYPERVISOR_LABEL) == "true")


def hypervisor(obj: Object) -> Hypervisor:
    """Read a Hypervisor."""
    parsed = hypervisor_api.Hypervisor.parse(obj)
    spec, status = parsed.spec, parsed.status
    total = NOTHING
    if status.allocatable is not None:
        ratio = ratios(spec.overcommit)
        total = Resources(
            floor(status.allocatable.vcpus * ratio.cpu),
            floor(status.allocatable.memory.value * ratio.memory),
            floor(status.allocatable.disk.value * ratio.disk),
        )
    return Hypervisor(
        *_identity(parsed.metadata),
        maintenance=spec.maintenance,
        disabled=spec.disabled.reason if spec.disabled else "",
        trouble=_trouble(status),
        total=total,
    )


def instance(obj: Object) -> Instance:
    """Read an Instance. Of its status only what is used is looked at: a newer agent may write what we can't read."""
    metadata = ObjectMeta.model_validate(obj["metadata"])
    spec = instance_api.InstanceSpec.model_validate(obj["spec"])
    wire = obj.get("status", {})
    status = instance_api.InstanceStatus.model_validate({field: wire[field] for field in _STATUS_USED if field in wire})
    bound = bool(status.node_name)
    return Instance(
        *_identity(metadata),
        generation=metadata.generation,
        deleting=metadata.deletion_timestamp is not None,
        finalizers=() if bound else tuple(metadata.finalizers),
        flavor=spec.flavor,
        image=Key(spec.image.namespace or metadata.namespace, spec.image.name),
        key_pairs=tuple(spec.key_pairs),
        user_data_secret=spec.user_data is not None and spec.user_data.secret_key_ref is not None,
        node=status.node_name or "",
        claim=_flavor_resources(status.flavor) if bound and status.flavor else NOTHING,
        addresses=tuple(status.addresses) if bound else (),
        conditions=() if bound else tuple(status.conditions),
    )


def _identity(metadata: ObjectMeta) -> tuple[Key, str, int]:
    return Key(metadata.namespace, metadata.name), metadata.uid, int(metadata.resource_version)


def _flavor_resources(spec: flavor_api.FlavorSpec) -> Resources:
    return Resources(spec.vcpus, spec.memory.value, spec.root_disk.value)


def _trouble(status: hypervisor_api.HypervisorStatus) -> str:
    ready = conditions.find(status.conditions, "Ready")
    if ready is None or status.allocatable is None:
        return "has not reported yet"
    return "" if ready.status == "True" else f"not ready, {ready.reason}"
