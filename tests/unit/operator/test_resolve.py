"""What Instances name, and what they are told when it is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import records
from hypernova_operator.controllers.resolve import Resolved, Unmet, named, resolve
from hypernova_operator.controllers.waiting import Named
from hypernova_operator.scheduler import Group, Request, Toleration
from support.builders import (
    a_flavor,
    a_group,
    a_host_aggregate,
    a_key_pair,
    a_namespace,
    a_zone,
    an_image,
    an_instance,
    stored,
)
from support.caches import a_cache
from support.scheduling import GI, a_want


def resolved(instance: Object, *objects: Object) -> Resolved | Unmet:
    return resolve(records.instance(stored(instance)), a_cache(*objects))


def wanted(instance: Object, *objects: Object) -> Request:
    """What an Instance wants of a host, of a small flavor and a plain image unless others are given."""
    kinds = {obj["kind"] for obj in objects}
    catalog = [obj for obj in (a_flavor(), an_image()) if obj["kind"] not in kinds]
    found = resolved(instance, *catalog, *objects)
    assert isinstance(found, Resolved)
    return found.want


SHA256 = an_image()["spec"]["source"]["sha256"]
PLAIN = a_want(vcpus=1, memory=GI // 2, disk=4 * GI, image=SHA256)


def test_all_that_is_named_is_found() -> None:
    found = resolved(an_instance(keyPairs=["ops"]), a_flavor(), an_image(), a_key_pair())
    assert isinstance(found, Resolved)
    assert found.want == PLAIN
    assert [key_pair.bound.name for key_pair in found.key_pairs] == ["ops"]


def placed(name: str, node: str, **parts: Any) -> Object:
    return an_instance(name, status={"nodeName": node}, **parts)


GOLD = {"matchLabels": {"tier": "gold"}}
WANTS = {
    "its zone": (
        an_instance(availabilityZone="az1"),
        [a_zone()],
        {"zone": "az1"},
    ),
    "its node": (
        an_instance(
            scheduling={
                "nodeSelector": {"rack": "1"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "nodeName": "node-b",
            }
        ),
        [],
        {
            "node_selector": (("rack", "1"),),
            "tolerations": (Toleration("gpu", "Exists", "", ""),),
            "node_name": "node-b",
        },
    ),
    "its group": (
        an_instance(scheduling={"group": "web"}),
        [a_group(maxPerHost=2)],
        {"group": Group("default/web", "AntiAffinity", 2)},
    ),
    "others it must be with": (
        an_instance(scheduling={"sameHostAs": ["db", "cache"]}),
        [placed("db", "node-a"), placed("cache", "node-b")],
        {"same_hosts": frozenset({"node-a", "node-b"})},
    ),
    "others it must not be with, of those that are anywhere": (
        an_instance(scheduling={"differentHostFrom": ["db", "unbound", "unknown"]}),
        [placed("db", "node-a"), an_instance("unbound")],
        {"different_hosts": frozenset({"node-a"})},
    ),
    "what its image needs beside what its flavor does": (
        an_instance(),
        [
            a_flavor(traits={"required": ["CUSTOM_A"], "forbidden": ["CUSTOM_B"]}),
            an_image(
                properties={
                    "architecture": "aarch64",
                    "domainType": "kvm",
                    "firmware": "UEFI",
                    "traits": {"required": ["CUSTOM_C"]},
                }
            ),
        ],
        {
            "required_traits": frozenset({"CUSTOM_A", "CUSTOM_C"}),
            "forbidden_traits": frozenset({"CUSTOM_B"}),
            "architecture": "aarch64",
            "domain_type": "kvm",
            "firmware": "UEFI",
        },
    ),
    "the TPM that its flavor gives": (
        an_instance(),
        [a_flavor(tpmVersion="2.0")],
        {"required_traits": frozenset({"COMPUTE_SECURITY_TPM_2_0"})},
    ),
    "the TPM and the secure boot that its image needs": (
        an_instance(),
        [an_image(properties={"firmware": "UEFI", "secureBoot": "Required", "tpmVersion": "2.0"})],
        {
            "firmware": "UEFI",
            "required_traits": frozenset({"COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_UEFI_SECURE_BOOT"}),
        },
    ),
    "no secure boot where its image can do without": (
        an_instance(),
        [an_image(properties={"firmware": "UEFI", "secureBoot": "Optional"})],
        {"firmware": "UEFI"},
    ),
    "nothing of its namespace's labels where no aggregate looks at them": (
        an_instance(),
        [a_namespace(labels={"tier": "gold"}), a_host_aggregate()],
        {},
    ),
    "hosts that are not kept for others": (
        an_instance(),
        [a_namespace(), a_host_aggregate(projects={"namespaceSelector": GOLD})],
        {"namespace_labels": (("kubernetes.io/metadata.name", "default"),)},
    ),
    "the hosts that its namespace is confined to": (
        an_instance(),
        [
            a_namespace(labels={"tier": "gold"}),
            a_host_aggregate("gold-1", projects={"namespaceSelector": GOLD, "confine": True}),
            a_host_aggregate("gold-2", projects={"namespaceSelector": GOLD, "confine": True}),
            a_host_aggregate("gold-too", projects={"namespaceSelector": GOLD}),
        ],
        {
            "namespace_labels": (("kubernetes.io/metadata.name", "default"), ("tier", "gold")),
            "confined_to": frozenset({"gold-1", "gold-2"}),
        },
    ),
    "the hosts that its image is confined to": (
        an_instance(),
        [an_image(labels={"tier": "gold"}), a_host_aggregate("gold", images={"selector": GOLD, "confine": True})],
        {"image_labels": (("tier", "gold"),), "image_confined_to": frozenset({"gold"})},
    ),
}


@pytest.mark.parametrize(("instance", "objects", "fields"), list(WANTS.values()), ids=list(WANTS))
def test_an_instance_wants(instance: Object, objects: list[Object], fields: dict[str, Any]) -> None:
    assert wanted(instance, *objects) == replace(PLAIN, **fields)


def test_one_that_is_about_to_be_bound_is_kept_apart_from_already() -> None:
    cache = a_cache(a_flavor(), an_image(), an_instance("db"))
    apart = records.instance(stored(an_instance(scheduling={"differentHostFrom": ["db"]})))
    found = resolve(apart, cache, lambda other: "node-a" if other.key.name == "db" else "")
    assert isinstance(found, Resolved)
    assert found.want.different_hosts == {"node-a"}


def test_everything_whose_change_would_change_the_answer_is_waited_for() -> None:
    instance = an_instance(
        availabilityZone="az1",
        scheduling={"group": "web", "sameHostAs": ["db"], "differentHostFrom": ["late"]},
        image={"name": "debian-12", "namespace": "images"},
    )
    assert set(named(records.instance(stored(instance)))) == {
        Named("AvailabilityZone", Key("", "az1")),
        Named("Flavor", Key("", "m1.small")),
        Named("Image", Key("images", "debian-12")),
        Named("Instance", Key("default", "db")),
        Named("Instance", Key("default", "late")),
        Named("InstanceGroup", Key("default", "web")),
        Named("Namespace", Key("", "default")),
    }


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
    "an unknown zone": (
        an_instance(availabilityZone="az9"),
        [a_flavor(), an_image(), a_zone("az1"), a_host_aggregate(availabilityZone="az9")],
        Unmet(
            "AvailabilityZoneNotFound",
            'there is no AvailabilityZone "az9"; once there is, this goes on by itself',
            frozenset({Named("AvailabilityZone", Key("", "az9"))}),
        ),
    ),
    "an unknown group": (
        an_instance(scheduling={"group": "web"}),
        [a_flavor(), an_image(), a_group("web", "other")],
        Unmet(
            "InstanceGroupNotFound",
            'there is no InstanceGroup "web" in namespace default; once there is, this goes on by itself',
            frozenset({Named("InstanceGroup", Key("default", "web"))}),
        ),
    ),
    "a flavor for others": (
        an_instance(namespace="shop"),
        [a_flavor(access={"namespaceSelector": GOLD}), an_image(namespace="shop"), a_namespace("shop")],
        Unmet(
            "FlavorNotAllowed",
            'Flavor "m1.small" is not for Instances of namespace shop: choose another one in spec.flavor, or ask for '
            "this one",
            frozenset({Named("Flavor", Key("", "m1.small")), Named("Namespace", Key("", "shop"))}),
        ),
    ),
    "a namespace that has not been seen, where its labels matter": (
        an_instance(),
        [a_flavor(), an_image(), a_host_aggregate(projects={"namespaceSelector": GOLD})],
        Unmet(
            "NamespaceNotFound",
            'there is no Namespace "default"; once there is, this goes on by itself',
            frozenset({Named("Namespace", Key("", "default"))}),
        ),
    ),
    "being with an Instance that is not there": (
        an_instance(scheduling={"sameHostAs": ["db"]}),
        [a_flavor(), an_image()],
        Unmet(
            "InstanceNotFound",
            'there is no Instance "db" in namespace default; once there is, this goes on by itself',
            frozenset({Named("Instance", Key("default", "db"))}),
        ),
    ),
    "being with an Instance that is nowhere yet": (
        an_instance(scheduling={"sameHostAs": ["db"]}),
        [a_flavor(), an_image(), an_instance("db")],
        Unmet(
            "InstanceNotBound",
            'it is to be on the same host as Instance "db", which has no node yet; once it has, this goes on by itself',
            frozenset({Named("Instance", Key("default", "db"))}),
        ),
    ),
    "a flavor too small for the image": (
        an_instance(),
        [a_flavor(memory="512Mi", rootDisk="1Gi"), an_image(minMemory="1Gi", minDisk="2Gi")],
        Unmet(
            "FlavorTooSmall",
            'Flavor "m1.small" is too small for Image "debian-12" in memory (has 512Mi, needs 1Gi) and disk (has 1Gi, '
            "needs 2Gi): choose a larger one in spec.flavor",
            frozenset({Named("Flavor", Key("", "m1.small")), Named("Image", Key("default", "debian-12"))}),
        ),
    ),
}


@pytest.mark.parametrize(("instance", "objects", "unmet"), list(CASES.values()), ids=list(CASES))
def test_bad_input_is_told(instance: Object, objects: list[Object], unmet: Unmet) -> None:
    assert resolved(instance, *objects) == unmet


def test_a_flavor_without_disk_takes_the_images_own_whatever_that_needs() -> None:
    assert isinstance(resolved(an_instance(), a_flavor(rootDisk="0"), an_image(minDisk="2Gi")), Resolved)


def test_a_flavor_is_for_the_namespaces_it_says() -> None:
    for_gold = a_flavor(access={"namespaceSelector": GOLD})
    assert wanted(an_instance(), for_gold, a_namespace(labels={"tier": "gold"})) == PLAIN
