"""What is kept of objects, and how hosts are joined of it."""

from __future__ import annotations

import sys

import pytest

from hypernova_api.meta import FINALIZER
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.cache.hosts import join
from hypernova_operator.scheduler import NOTHING, Host, Resources
from support.builders import (
    a_condition,
    a_flavor,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    a_node,
    an_image,
    an_instance,
    stored,
)

GI = 2**30


def hypervisor(**parts: object) -> records.Hypervisor:
    return records.hypervisor(stored(a_hypervisor(**{"status": a_hypervisor_status()} | parts)))


def bound_instance(**status: object) -> Object:
    binding = {
        "phase": "Running",
        "nodeName": "node-a",
        "flavor": {"name": "m1.small", "vcpus": 2, "memory": "4Gi", "rootDisk": "10Gi"},
        "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:00:00:01"}],
        "conditions": [a_condition("Ready")],
    }
    return stored(an_instance(finalizers=[FINALIZER], status=binding | status))


def test_a_flavor_is_what_instances_get_of_it() -> None:
    flavor = records.flavor(stored(a_flavor("m1.tiny", vcpus=1, memory="512Mi", rootDisk="1Gi")))
    assert flavor.resources == Resources(1, 512 * 2**20, GI)
    assert flavor.bound.to_wire() == {"name": "m1.tiny", "vcpus": 1, "memory": "512Mi", "rootDisk": "1Gi"}


def test_an_image_is_bound_with_its_namespace() -> None:
    image = records.image(stored(an_image("debian-12", "images", minDisk="2Gi", minMemory="256Mi")))
    assert (image.min_disk, image.min_memory) == (2 * GI, 256 * 2**20)
    assert image.bound.namespace == "images"


def test_a_key_pair_is_its_public_key() -> None:
    key_pair = a_key_pair()
    assert records.key_pair(stored(key_pair)).bound.public_key == key_pair["spec"]["publicKey"]


def test_a_waiting_instance_claims_nothing() -> None:
    instance = records.instance(stored(an_instance(image={"name": "x", "namespace": "images"}, finalizers=[FINALIZER])))
    assert instance.image == Key("images", "x")
    assert (instance.node, instance.claim, instance.addresses) == ("", NOTHING, ())
    assert instance.protected


def test_an_image_without_namespace_is_the_instances_own() -> None:
    assert records.instance(stored(an_instance(namespace="shop"))).image == Key("shop", "debian-12")


def test_a_bound_instance_claims_the_flavor_it_was_bound_with() -> None:
    instance = records.instance(bound_instance())
    assert (instance.node, instance.claim) == ("node-a", Resources(2, 4 * GI, 10 * GI))


def test_news_of_a_guests_life_is_no_news_to_the_scheduler() -> None:
    assert records.instance(bound_instance()) == records.instance(
        bound_instance(phase="Stopped", conditions=[a_condition("Ready", False, "Stopped")])
    )


def test_a_phase_of_a_newer_version_does_not_make_an_instance_unreadable() -> None:
    assert records.instance(bound_instance(phase="Levitating")).node == "node-a"


def test_an_instance_that_cannot_be_read_keeps_its_claim() -> None:
    cache = Cache()
    good = bound_instance()
    cache.instances.put(good)
    nonsense = good | {"status": {"nodeName": "node-a", "flavor": {"vcpus": "many"}}}
    cache.instances.put(nonsense | {"metadata": good["metadata"] | {"resourceVersion": "9"}})
    assert cache.instance(Key("default", "web-1")) == records.instance(good)


def test_a_record_is_a_fraction_of_its_object() -> None:
    user_data = {"inline": "#cloud-config\n" + "x" * 60000}
    instance = records.instance(stored(an_instance(userData=user_data)))
    assert not any("x" * 60000 in str(getattr(instance, slot)) for slot in instance.__slots__)
    assert sys.getsizeof(instance) < 200


def test_a_host_has_its_allocatable_times_the_default_overcommit() -> None:
    status = a_hypervisor_status(vcpus=8, memory="16Gi", disk="100Gi")
    assert hypervisor(status=status).total == Resources(32, 16 * GI, 100 * GI)


def test_an_administrators_overcommit_replaces_the_default() -> None:
    status = a_hypervisor_status(vcpus=3, memory="16Gi", disk="100Gi")
    overcommit = {"cpu": 1.5, "memory": 2, "disk": 1}
    assert hypervisor(status=status, overcommit=overcommit).total == Resources(4, 32 * GI, 100 * GI)


NODE = records.node(stored(a_node()))
BARE_NODE = records.node(stored(a_node(hypervisor=False)))
TOTAL = Resources(32, 16 * GI, 100 * GI)

JOINS = {
    "a labelled node whose agent is alive and ready": (
        (NODE, hypervisor(), True),
        Host("node-a", True, "", False, "", TOTAL),
    ),
    "an agent that fell silent": ((NODE, hypervisor(), False), Host("node-a", True, "no heartbeat", False, "", TOTAL)),
    "an agent that is not ready": (
        (NODE, hypervisor(status=a_hypervisor_status(ready=False)), True),
        Host("node-a", True, "not ready, PoolInactive", False, "", TOTAL),
    ),
    "an agent that has not reported": (
        (NODE, hypervisor(status={}), True),
        Host("node-a", True, "has not reported yet", False, "", NOTHING),
    ),
    "a labelled node that never had an agent": (
        (NODE, None, False),
        Host("node-a", True, "never registered", False, "", NOTHING),
    ),
    "a node that lost its label": ((BARE_NODE, hypervisor(), True), Host("node-a", False, "", False, "", TOTAL)),
    "a node that is gone": ((None, hypervisor(), False), Host("node-a", False, "no heartbeat", False, "", TOTAL)),
    "what the administrator says": (
        (NODE, hypervisor(maintenance=True, disabled={"reason": "fan"}), True),
        Host("node-a", True, "", True, "fan", TOTAL),
    ),
    "a node that is none of ours": ((BARE_NODE, None, False), None),
}


@pytest.mark.parametrize(("parts", "host"), list(JOINS.values()), ids=list(JOINS))
def test_a_host_is_joined_of(
    parts: tuple[records.Node | None, records.Hypervisor | None, bool], host: Host | None
) -> None:
    assert join("node-a", *parts) == host


def test_hosts_tell_each_difference_once() -> None:
    cache, news = Cache(), []
    cache.hosts.subscribe(lambda name, old, new: news.append((name, old and old.trouble, new and new.trouble)))
    cache.nodes.put(stored(a_node()))
    cache.hypervisors.put(stored(a_hypervisor(status=a_hypervisor_status())))
    cache.hosts.set_alive("node-a", True)
    cache.hosts.set_alive("node-a", True)
    cache.nodes.put(stored(a_node(), resourceVersion="2"))
    cache.hypervisors.remove(stored(a_hypervisor(), resourceVersion="3"))
    cache.nodes.remove(stored(a_node(), resourceVersion="4"))
    assert news == [
        ("node-a", None, "never registered"),
        ("node-a", "never registered", "no heartbeat"),
        ("node-a", "no heartbeat", ""),
        ("node-a", "", "never registered"),
        ("node-a", "never registered", None),
    ]
