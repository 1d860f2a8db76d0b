"""What Instances name, and what they are told when it is not there."""

from __future__ import annotations

import pytest

from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.controllers.resolve import Resolved, Unmet, resolve
from hypernova_operator.controllers.waiting import Named
from support.builders import a_flavor, a_key_pair, an_image, an_instance, stored
from support.scheduling import GI, a_want


def resolved(instance: Object, *objects: Object) -> Resolved | Unmet:
    cache = Cache()
    kept = {"Flavor": cache.flavors, "Image": cache.images, "KeyPair": cache.key_pairs}
    for obj in objects:
        kept[obj["kind"]].put(stored(obj))
    return resolve(records.instance(stored(instance)), cache)


def test_all_that_is_named_is_found() -> None:
    found = resolved(an_instance(keyPairs=["ops"]), a_flavor(), an_image(), a_key_pair())
    assert isinstance(found, Resolved)
    assert found.want == a_want(vcpus=1, memory=GI // 2, disk=4 * GI)
    assert [key_pair.bound.name for key_pair in found.key_pairs] == ["ops"]


CASES = {
    "an unknown flavor": (
        an_instance(flavor="m1.huge"),
        [a_flavor(), an_image()],
        Unmet(
            "FlavorNotFound",
            'there is no Flavor "m1.huge"; once there is, this goes on by itself',
            frozenset({Named("Flavor", Key("", "m1.huge"))}),
        ),
    ),
    "an unknown image": (
        an_instance(namespace="shop"),
        [a_flavor(), an_image(namespace="default")],
        Unmet(
            "ImageNotFound",
            'there is no Image "debian-12" in namespace shop; once there is, this goes on by itself',
            frozenset({Named("Image", Key("shop", "debian-12"))}),
        ),
    ),
    "an unknown image of another namespace": (
        an_instance(image={"name": "debian-12", "namespace": "images"}),
        [a_flavor(), an_image()],
        Unmet(
            "ImageNotFound",
            'there is no Image "debian-12" in namespace images; once there is, this goes on by itself',
            frozenset({Named("Image", Key("images", "debian-12"))}),
        ),
    ),
    "an unknown key pair": (
        an_instance(keyPairs=["ops", "dev"]),
        [a_flavor(), an_image(), a_key_pair("ops")],
        Unmet(
            "KeyPairNotFound",
            'there is no KeyPair "dev" in namespace default; once there is, this goes on by itself',
            frozenset({Named("KeyPair", Key("default", "dev"))}),
        ),
    ),
    "user data in a Secret": (
        an_instance(userData={"secretKeyRef": {"name": "web", "key": "init"}}),
        [a_flavor(), an_image()],
        Unmet(
            "UserDataSecretUnsupported",
            "this version hands out inline user data only: delete the Instance, and create it anew with the text in "
            "spec.userData.inline",
            frozenset(),
        ),
    ),
    "a flavor too small for the image": (
        an_instance(),
        [a_flavor(memory="512Mi", rootDisk="1Gi"), an_image(minMemory="1Gi", minDisk="2Gi")],
        Unmet(
            "FlavorTooSmall",
            'Flavor "m1.small" is too small for Image "debian-12" in memory (has 512Mi, needs 1Gi) and disk (has 1Gi, '
            "needs 2Gi): delete the Instance, and create it anew with a larger flavor",
            frozenset({Named("Flavor", Key("", "m1.small")), Named("Image", Key("default", "debian-12"))}),
        ),
    ),
}


@pytest.mark.parametrize(("instance", "objects", "unmet"), list(CASES.values()), ids=list(CASES))
def test_bad_input_is_told(instance: Object, objects: list[Object], unmet: Unmet) -> None:
    assert resolved(instance, *objects) == unmet


def test_a_flavor_without_disk_takes_the_images_own_whatever_that_needs() -> None:
    assert isinstance(resolved(an_instance(), a_flavor(rootDisk="0"), an_image(minDisk="2Gi")), Resolved)
