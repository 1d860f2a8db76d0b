"""What an Instance names, found; or what is missing, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import Flavor, Image, Instance, KeyPair
from hypernova_operator.controllers.waiting import Named, Need
from hypernova_operator.scheduler import Request
from hypernova_operator.scheduler.resources import needed


class Catalog(Protocol):
    """Where to find what Instances name."""

    def flavor(self, name: str) -> Flavor | None: ...

    def image(self, key: Key) -> Image | None: ...

    def key_pair(self, key: Key) -> KeyPair | None: ...


@dataclass(frozen=True, slots=True)
class Resolved:
    """All that an Instance names."""

    flavor: Flavor
    image: Image
    key_pairs: tuple[KeyPair, ...]

    @property
    def want(self) -> Request:
        """What it wants of a host."""
        size = self.flavor.resources
        return Request(size.vcpus, size.memory, size.disk)


@dataclass(frozen=True, slots=True)
class Unmet:
    """Why an Instance can't be bound now: reason and message of its condition, and what would change that."""

    reason: str
    message: str
    needs: frozenset[Need]


def resolve(instance: Instance, catalog: Catalog) -> Resolved | Unmet:
    """Look up what an Instance names; the first thing missing is told."""
    if instance.user_data_secret:
        return Unmet(
            "UserDataSecretUnsupported",
            "this version hands out inline user data only: delete the Instance, and create it anew with the text in "
            "spec.userData.inline",
            frozenset(),
        )
    flavor = catalog.flavor(instance.flavor)
    if flavor is None:
        return _missing(Named("Flavor", Key("", instance.flavor)))
    image = catalog.image(instance.image)
    if image is None:
        return _missing(Named("Image", instance.image))
    if too_small := _too_small(flavor, image):
        return too_small
    key_pairs = []
    for name in instance.key_pairs:
        key = Key(instance.key.namespace, name)
        key_pair = catalog.key_pair(key)
        if key_pair is None:
            return _missing(Named("KeyPair", key))
        key_pairs.append(key_pair)
    return Resolved(flavor, image, tuple(key_pairs))


def _missing(what: Named) -> Unmet:
    where = f" in namespace {what.key.namespace}" if what.key.namespace else ""
    return Unmet(
        f"{what.kind}NotFound",
        f'there is no {what.kind} "{what.key.name}"{where}; once there is, this goes on by itself',
        frozenset({what}),
    )


def _too_small(flavor: Flavor, image: Image) -> Unmet | None:
    """The image's demands on the flavor. (Nova: min_ram and min_disk.)"""
    has, lacks = flavor.resources, []
    if has.memory < image.min_memory:
        lacks.append(f"memory (has {needed(has.memory)}, needs {needed(image.min_memory)})")
    if 0 < has.disk < image.min_disk:  # a root disk of 0 takes the image's own size
        lacks.append(f"disk (has {needed(has.disk)}, needs {needed(image.min_disk)})")
    if not lacks:
        return None
    return Unmet(
        "FlavorTooSmall",
        f'Flavor "{flavor.key.name}" is too small for Image "{image.key.name}" in {" and ".join(lacks)}: '
        "delete the Instance, and create it anew with a larger flavor",
        frozenset({Named("Flavor", flavor.key), Named("Image", image.key)}),
    )
