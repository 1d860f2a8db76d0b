"""What an Instance names, found; or what is missing, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from hypernova_kube.resources import Key
from hypernova_operator.cache import wants
from hypernova_operator.cache.isolation import Isolations
from hypernova_operator.cache.records import (
    NO_SCHEDULING,
    AvailabilityZone,
    Flavor,
    Image,
    Instance,
    InstanceGroup,
    KeyPair,
    Namespace,
)
from hypernova_operator.controllers.waiting import Kind, Named, Need
from hypernova_operator.scheduler import Group, Request
from hypernova_operator.scheduler.request import Labels
from hypernova_operator.scheduler.resources import needed

T = TypeVar("T")


class Catalog(Protocol):
    """Where to find what Instances name."""

    @property
    def projects(self) -> Isolations: ...

    @property
    def image_isolations(self) -> Isolations: ...

    def flavor(self, name: str) -> Flavor | None: ...

    def image(self, key: Key) -> Image | None: ...

    def key_pair(self, key: Key) -> KeyPair | None: ...

    def namespace(self, name: str) -> Namespace | None: ...

    def zone(self, name: str) -> AvailabilityZone | None: ...

    def group(self, key: Key) -> InstanceGroup | None: ...

    def instance(self, key: Key) -> Instance | None: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """All that an Instance names."""

    flavor: Flavor
    image: Image
    key_pairs: tuple[KeyPair, ...]
    want: Request
    """What it wants of a host."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why an Instance can't be bound now: reason and message of its condition, and what would change that."""

    reason: str
    message: str
    needs: frozenset[Need]


HostOf = Callable[[Instance], str]
"""Where an Instance is, or is about to be; empty if nowhere."""


def where_bound(instance: Instance) -> str:
    """Where it is by its status."""
    return instance.node


def resolve(instance: Instance, catalog: Catalog, host_of: HostOf = where_bound) -> Resolved | Unmet:
    """Look up what an Instance names; the first thing missing is told."""
    try:
        return _resolve(instance, catalog, host_of)
    except _Missing as missing:
        return missing.unmet


def resolve_flavor(instance: Instance, catalog: Catalog) -> Flavor | Unmet:
    """The flavor that a bound Instance is to have; or why it can't have it, wherever it is."""
    try:
        flavor = _found("Flavor", Key("", instance.flavor), catalog.flavor(instance.flavor))
        image = catalog.image(instance.image)  # its guest lives on without it
        unmet = _not_allowed(flavor, instance.key.namespace, catalog)
        return unmet or (_too_small(flavor, image) if image is not None else None) or flavor
    except _Missing as missing:
        return missing.unmet


def host_part(want: Request, instance: Instance, image_labels: Labels | None, catalog: Catalog) -> Request:
    """What it wants, with what Instance, namespace and Image ask of a host whoever else is on it.

    Labels are left out, as Requests are compared, where no aggregate looks at them.

    Args:
        want: what its flavor and image want.
        instance: the Instance.
        image_labels: those of its Image; None if it is gone.
        catalog: the rest.
    """
    labels: Labels = ()
    if catalog.projects:
        namespace = catalog.namespace(instance.key.namespace)
        labels = namespace.labels if namespace else ()
    image_labels = (image_labels or ()) if catalog.image_isolations else ()
    spec = instance.scheduling
    return replace(
        want,
        namespace_labels=labels,
        confined_to=catalog.projects.confined_to(labels) if labels else None,
        image_labels=image_labels,
        image_confined_to=catalog.image_isolations.confined_to(image_labels) if catalog.image_isolations else None,
        zone=instance.zone,
        node_selector=spec.node_selector,
        tolerations=spec.tolerations,
        node_name=spec.node_name,
    )


def named(instance: Instance) -> Iterator[Named]:
    """Everything whose change would change what an Instance wants of a host."""
    namespace, spec = instance.key.namespace, instance.scheduling
    yield Named("Flavor", Key("", instance.flavor))
    yield Named("Image", instance.image)
    yield Named("Namespace", Key("", namespace))
    if instance.zone:
        yield Named("AvailabilityZone", Key("", instance.zone))
    if instance.group:
        yield Named("InstanceGroup", instance.group)
    for name in (*spec.same_host_as, *spec.different_host_from):
        yield Named("Instance", Key(namespace, name))


def _resolve(instance: Instance, catalog: Catalog, host_of: HostOf) -> Resolved | Unmet:
    namespace = instance.key.namespace
    flavor = _found("Flavor", Key("", instance.flavor), catalog.flavor(instance.flavor))
    image = _found("Image", instance.image, catalog.image(instance.image))
    if unmet := _not_allowed(flavor, namespace, catalog) or _too_small(flavor, image):
        return unmet
    key_pairs = tuple(
        _found("KeyPair", key, catalog.key_pair(key)) for key in (Key(namespace, name) for name in instance.key_pairs)
    )
    if instance.zone:
        _found("AvailabilityZone", Key("", instance.zone), catalog.zone(instance.zone))
    if catalog.projects:
        _found("Namespace", Key("", namespace), catalog.namespace(namespace))
    want = wants.with_image(flavor.want, image.bound.sha256, image.bound.properties, image.bound.node_name or "")
    if instance.zone or instance.scheduling is not NO_SCHEDULING or catalog.projects or catalog.image_isolations:
        want = host_part(want, instance, image.labels, catalog)
        want = _beside_others(want, instance, catalog, host_of)
    return Resolved(flavor, image, key_pairs, want)


def _beside_others(want: Request, instance: Instance, catalog: Catalog, host_of: HostOf) -> Request:
    """What it wants, with what it asks of who else is on the host."""
    spec, namespace = instance.scheduling, instance.key.namespace
    group = None
    if instance.group:
        found = _found("InstanceGroup", instance.group, catalog.group(instance.group))
        group = Group(str(found.key), found.policy, found.max_per_host)
    same = {_its_node(Key(namespace, name), catalog) for name in spec.same_host_as}
    others = (catalog.instance(Key(namespace, name)) for name in spec.different_host_from)
    different = {host_of(other) for other in others if other is not None} - {""}
    if group is None and not same and not different:
        return want
    return replace(want, group=group, same_hosts=frozenset(same), different_hosts=frozenset(different))


def _its_node(key: Key, catalog: Catalog) -> str:
    """Where an Instance is that this one is to be with. One that is only about to be bound may yet go elsewhere."""
    other = _found("Instance", key, catalog.instance(key))
    if not other.node:
        raise _Missing(
            Unmet(
                "InstanceNotBound",
                f'it is to be on the same host as Instance "{key.name}", which has no node yet; once it has, this goes '
                "on by itself",
                frozenset({Named("Instance", key)}),
            )
        )
    return other.node


class _Missing(Exception):
    """Something that is named isn't there."""

    def __init__(self, unmet: Unmet) -> None:
        super().__init__(unmet.message)
        self.unmet = unmet


def _found(kind: Kind, key: Key, found: T | None) -> T:
    """What was found; raises _Missing otherwise."""
    if found is None:
        where = f" in namespace {key.namespace}" if key.namespace else ""
        message = f'there is no {kind} "{key.name}"{where}; once there is, this goes on by itself'
        raise _Missing(Unmet(f"{kind}NotFound", message, frozenset({Named(kind, key)})))
    return found


def _not_allowed(flavor: Flavor, namespace: str, catalog: Catalog) -> Unmet | None:
    """Who may use the flavor. (Nova: flavor access.)"""
    if flavor.access is None:
        return None
    labels = _found("Namespace", Key("", namespace), catalog.namespace(namespace)).labels
    if flavor.access.matches(dict(labels)):
        return None
    return Unmet(
        "FlavorNotAllowed",
        f'Flavor "{flavor.key.name}" is not for Instances of namespace {namespace}: choose another one in '
        "spec.flavor, or ask for this one",
        frozenset({Named("Flavor", flavor.key), Named("Namespace", Key("", namespace))}),
    )


def shortages(has: Request, image: Image, *, disk: bool = True) -> list[str]:
    """What is too small for an image, in words. (Nova: min_ram and min_disk.)

    Args:
        has: what a flavor gives.
        image: the image.
        disk: whether the root disk is made of it.
    """
    lacks = []
    if has.memory < image.min_memory:
        lacks.append(f"memory (has {needed(has.memory)}, needs {needed(image.min_memory)})")
    if disk and 0 < has.disk < image.min_disk:  # a root disk of 0 takes the image's own size
        lacks.append(f"disk (has {needed(has.disk)}, needs {needed(image.min_disk)})")
    return lacks


def _too_small(flavor: Flavor, image: Image) -> Unmet | None:
    """The image's demands on the flavor."""
    lacks = shortages(flavor.want, image)
    if not lacks:
        return None
    return Unmet(
        "FlavorTooSmall",
        f'Flavor "{flavor.key.name}" is too small for Image "{image.key.name}" in {" and ".join(lacks)}: '
        "choose a larger one in spec.flavor",
        frozenset({Named("Flavor", flavor.key), Named("Image", image.key)}),
    )
