"""What is kept of objects."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from hypernova_api.meta import CREATED_BY, FINALIZER
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.scheduler import (
    NOTHING,
    AllocatedCell,
    Allocation,
    Cell,
    Device,
    DeviceWant,
    Request,
    Requirement,
    Resources,
    Taint,
    Toleration,
)
from support.builders import (
    a_cell,
    a_condition,
    a_device,
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    a_node,
    a_quota,
    a_taint,
    a_zone,
    an_image,
    an_instance,
    stored,
)

GI = 2**30
MI = 2**20


def hypervisor(spec: Object | None = None, **status: Any) -> records.Hypervisor:
    return records.hypervisor(stored(a_hypervisor(status=a_hypervisor_status(**status), **spec or {})))


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
    assert flavor.want == Request(1, 512 * 2**20, GI)
    assert flavor.bound.model_dump(by_alias=True, exclude_unset=True) == {
        "name": "m1.tiny",
        "vcpus": 1,
        "memory": "512Mi",
        "rootDisk": "1Gi",
    }


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
    assert (instance.node, instance.want, instance.addresses) == ("", None, ())
    assert instance.protected


def test_an_image_without_namespace_is_the_instances_own() -> None:
    assert records.instance(stored(an_instance(namespace="shop"))).image == Key("shop", "debian-12")


def test_a_bound_instance_claims_the_flavor_it_was_bound_with() -> None:
    instance = records.instance(bound_instance())
    assert (instance.node, instance.want) == ("node-a", Request(2, 4 * GI, 10 * GI))


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
    assert sys.getsizeof(instance) < 256


def test_a_resize_under_way_is_what_the_instance_has_and_what_is_granted() -> None:
    large = {"name": "m1.large", "vcpus": 4, "memory": "8Gi", "rootDisk": "10Gi"}
    allocation = {"devices": [{"alias": "gpu", "address": "0000:65:00.0"}]}
    granted = a_condition("Resized", False, "Granted", "it is being given")
    instance = records.instance(
        bound_instance(resize={"flavor": large, "allocation": allocation}, conditions=[granted])
    )
    assert (instance.bound_flavor, instance.want) == ("m1.small", Request(2, 4 * GI, 10 * GI))
    assert instance.resize == records.Resize(
        "m1.large", Request(4, 8 * GI, 10 * GI), Allocation((), (("gpu", "0000:65:00.0"),))
    )
    assert instance.resized == records.Told("Granted", "it is being given")
    done = records.instance(bound_instance(conditions=[granted | {"status": "True"}]))
    assert (done.resize, done.resized) == (None, None)


def test_an_instance_has_a_network_card_for_each_network_it_names_and_one_if_it_names_none() -> None:
    assert records.instance(stored(an_instance())).cards == 1
    two = [{"name": "default"}, {"name": "default", "linkState": "Down"}]
    assert records.instance(stored(an_instance(networks=two))).cards == 2


def test_that_a_node_is_lost_is_known_by_the_reason_and_what_is_said() -> None:
    lost = a_condition("Ready", None, records.NODE_LOST, "node-a is silent")
    assert records.instance(bound_instance(phase="Unknown", conditions=[lost])).lost == "node-a is silent"
    assert records.instance(bound_instance(phase="Unknown")).lost == ""


@pytest.mark.parametrize("effect", ["NoExecute", "NoSchedule", "PreferNoSchedule"])
def test_a_node_that_is_out_of_service_is_fenced(effect: str) -> None:
    assert records.node(stored(a_node(taints=[a_taint("node.kubernetes.io/out-of-service", effect=effect)]))).fenced
    assert not records.node(stored(a_node(taints=[a_taint("node.kubernetes.io/unreachable", effect=effect)]))).fenced


def test_a_hypervisor_whose_agent_is_lost_says_so_whatever_else_it_says() -> None:
    lost = [a_condition("Ready", None, records.AGENT_LOST)]
    assert hypervisor(conditions=lost).lost
    assert hypervisor(conditions=lost, domainType="nonsense").lost
    assert not hypervisor().lost


def test_an_orphan_is_known_with_what_its_instance_took_if_its_domain_remembers() -> None:
    status = bound_instance()["status"]
    record = json.dumps({"labels": {}, "spec": an_instance()["spec"], "status": status})
    told = {"uid": "u-1", "namespace": "shop", "name": "web-1", "running": True}
    known, unknown = hypervisor(orphans=[told | {"record": record}, told | {"uid": "u-2"}]).orphans
    assert known.key == unknown.key == Key("shop", "web-1")
    assert known.instance is not None
    assert (known.instance.node, known.instance.want) == ("node-a", Request(2, 4 * GI, 10 * GI))
    assert unknown.instance is None


def test_a_flavor_wants_of_a_host_what_it_says() -> None:
    flavor = a_flavor(
        vcpus=4,
        memory="4Gi",
        cpu={"policy": "Dedicated", "threadPolicy": "Isolate"},
        numa={"cells": 2},
        hugePageSize="1Gi",
        devices=[{"alias": "gpu", "count": 2, "numaAffinity": "Required"}],
        traits={"required": ["HW_CPU_X86_AVX2"], "forbidden": ["CUSTOM_OLD"]},
        aggregateRequirements=[{"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}],
    )
    assert records.flavor(stored(flavor)).want == Request(
        4,
        4 * GI,
        4 * GI,
        dedicated=True,
        threads="Isolate",
        cells=2,
        page_size=GI,
        devices=(DeviceWant("gpu", 2, near=True),),
        required_traits=frozenset({"HW_CPU_X86_AVX2"}),
        forbidden_traits=frozenset({"CUSTOM_OLD"}),
        requirements=(Requirement("disk", "In", ("ssd", "nvme")),),
    )


def test_instances_of_the_same_flavor_and_image_share_what_they_want() -> None:
    one, other = records.instance(bound_instance()), records.instance(bound_instance(phase="Stopped"))
    assert one.want is other.want


def test_a_bound_instance_wants_what_its_image_was_at_binding() -> None:
    properties = {"architecture": "x86_64", "firmware": "UEFI", "traits": {"required": ["CUSTOM_A"]}}
    image = {"name": "debian-12", "namespace": "images", "sha256": "ab", "properties": properties}
    want = records.instance(bound_instance(image=image)).want
    assert want == Request(
        2,
        4 * GI,
        10 * GI,
        image="ab",
        architecture="x86_64",
        firmware="UEFI",
        required_traits=frozenset({"CUSTOM_A"}),
    )


def test_what_an_instance_got_of_its_host_survives_a_restart() -> None:
    allocation = {
        "cells": [
            {"cell": 1, "vcpus": [0, 1], "cpus": [4, 6], "idleCpus": [5, 7], "memory": "2Gi", "hugePageSize": "2Mi"}
        ],
        "devices": [{"alias": "gpu", "address": "0000:65:00.0"}],
    }
    assert records.instance(bound_instance(allocation=allocation)).allocation == Allocation(
        (AllocatedCell(1, (0, 1), (4, 6), 2 * GI, 2 * MI, (5, 7)),), (("gpu", "0000:65:00.0"),)
    )


def test_an_instance_says_where_it_may_and_should_go_and_whose_it_is() -> None:
    scheduling = {
        "group": "web",
        "nodeSelector": {"rack": "1", "hall": "2"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "sameHostAs": ["db"],
        "differentHostFrom": ["web-2", "web-3"],
        "nodeName": "node-b",
    }
    instance = an_instance(
        scheduling=scheduling, availabilityZone="az1", annotations={CREATED_BY: "alice"}, namespace="shop"
    )
    read = records.instance(stored(instance))
    assert (read.zone, read.user, read.group) == ("az1", "alice", Key("shop", "web"))
    assert read.scheduling == records.Scheduling(
        "web",
        (("hall", "2"), ("rack", "1")),
        (Toleration("gpu", "Exists", "", "NoSchedule"),),
        ("db",),
        ("web-2", "web-3"),
        "node-b",
    )


def test_of_drift_what_it_says_is_kept_while_it_is_there() -> None:
    drifted = a_condition("PlacementDrift", message="not in zone az1")
    assert records.instance(bound_instance(conditions=[drifted])).drift == "not in zone az1"
    assert records.instance(bound_instance(conditions=[drifted | {"status": "False"}])).drift == ""


@pytest.mark.parametrize(
    ("phase", "building", "failed"),
    [("Building", True, False), ("Failed", False, True), ("Running", False, False), ("Deleting", False, False)],
)
def test_what_a_node_makes_of_an_instance(phase: str, building: bool, failed: bool) -> None:
    instance = records.instance(bound_instance(phase=phase))
    assert (instance.building, instance.failed) == (building, failed)


def test_of_a_nodes_taints_those_count_that_are_about_instances() -> None:
    node = a_node(
        taints=[
            a_taint("gpu", "a100"),
            a_taint("broken", effect="NoExecute"),
            a_taint("hot", effect="PreferNoSchedule"),
            a_taint("node.kubernetes.io/not-ready"),
            a_taint("node.kubernetes.io/unreachable", effect="NoExecute"),
            a_taint("node.kubernetes.io/network-unavailable"),
            a_taint("compute.hypernova.dev/hypervisor", "true"),
        ]
    )
    assert records.node(stored(node)).taints == (
        Taint("broken", "", "NoExecute"),
        Taint("gpu", "a100", "NoSchedule"),
    )


@pytest.mark.parametrize("taints", [[], [a_taint("node.kubernetes.io/unschedulable")]], ids=["field", "taint too"])
def test_a_cordoned_node_takes_none_from_the_moment_it_is(taints: list[Object]) -> None:
    node = a_node(taints=taints)
    cordoned = node | {"spec": node.get("spec", {}) | {"unschedulable": True}}
    assert records.node(stored(cordoned)).taints == (Taint("node.kubernetes.io/unschedulable", "", "NoSchedule"),)


def test_a_hypervisor_is_what_its_agent_found_and_its_administrator_says() -> None:
    spec = {
        "dedicatedCpus": "1,5,99",
        "traits": ["CUSTOM_COOLED"],
        "passthrough": [
            {"alias": "gpu-special", "vendorId": "10de", "productId": "20b0", "addresses": ["0000:66:00.0"]},
            {"alias": "gpu", "vendorId": "10de", "productId": "20b0"},
        ],
    }
    read = hypervisor(
        spec,
        cells=[
            a_cell(1, cores=["2,6"]),
            a_cell(0, cores=["0,4", "1,5"], memory="8Gi", huge_pages={"2Mi": 512, "1Gi": 2}),
        ],
        devices=[
            a_device("0000:66:00.0", cell=1),
            a_device("0000:65:00.0"),
            a_device("0000:01:00.0", productId="ffff"),
        ],
        traits=["HW_CPU_X86_AVX2"],
        firmware=["BIOS", "UEFI"],
    )
    assert read.trouble == ""
    assert read.allocatable == Resources(8, 16 * GI, 100 * GI)
    assert (read.architecture, read.domain_type, read.qemu_version) == ("x86_64", "qemu", 7002000)
    assert read.firmware == {"BIOS", "UEFI"}
    assert read.traits == {"HW_CPU_X86_AVX2", "CUSTOM_COOLED"}
    assert read.dedicated == {1, 5}, "it has no CPU 99"
    assert read.cells[0] == Cell(0, ((0, 4), (1, 5)), 5 * GI, {2 * MI: GI, GI: 2 * GI})
    assert read.devices == (Device("gpu", "0000:65:00.0", 0), Device("gpu-special", "0000:66:00.0", 1))


NONSENSE = {
    "a negative number of CPUs": ({"vcpus": -1}, "vcpus"),
    "more CPUs than any machine has": ({"vcpus": 100_000}, "vcpus"),
    "what is no number": ({"memory": "NaN"}, "memory"),
    "negative memory": ({"memory": "-1Gi"}, "-1Gi of memory"),
    "more memory than there is on earth": ({"memory": "8Ei"}, "8Ei of memory"),
    "more to give than there is": ({"capacity": {"vcpus": 4, "memory": "16Gi", "disk": "100Gi"}}, "8 of vcpus"),
    "a cell twice": ({"cells": [a_cell(0), a_cell(0, cores=["9"])]}, "a NUMA cell twice"),
    "a CPU twice": ({"cells": [a_cell(0), a_cell(1, cores=["3,9"])]}, "CPU 3 twice"),
    "no set of CPUs": ({"cells": [a_cell(0, cores=["3-1"])]}, "3-1"),
    "more huge pages than memory": ({"cells": [a_cell(0, memory="1Gi", huge_pages={"1Gi": 2})]}, "more huge pages"),
}


@pytest.mark.parametrize(("status", "words"), list(NONSENSE.values()), ids=list(NONSENSE))
def test_a_host_whose_agent_reports_nonsense_is_not_used(status: Object, words: str) -> None:
    read = hypervisor(**status)
    assert read.trouble.startswith("reports impossible facts (")
    assert words in read.trouble
    assert read.allocatable == NOTHING


def test_an_aggregate_is_its_hosts_and_what_goes_for_them() -> None:
    aggregate = a_host_aggregate(
        nodeSelector={"matchLabels": {"rack": "1"}},
        nodes=["node-z"],
        availabilityZone="az1",
        metadata={"disk": "ssd", "net": "10g, 25g"},
        weightMultipliers={"freeMemory": 2, "buildFailures": -5},
        maxInstancesPerHost=10,
        reserve={"hosts": 2},
        projects={"namespaceSelector": {"matchLabels": {"tier": "gold"}}, "confine": True},
    )
    read = records.host_aggregate(stored(aggregate))
    assert (read.nodes, read.zone, read.max_instances, read.max_builds, read.reserve) == (
        {"node-z"},
        "az1",
        10,
        None,
        2,
    )
    assert read.selector is not None
    assert read.selector.matches({"rack": "1"})
    assert read.multipliers == {"freeMemory": 2, "buildFailures": -5}
    assert read.judged.metadata == {"disk": {"ssd"}, "net": {"10g", "25g"}}
    assert read.judged.projects is not None
    assert read.judged.projects.confine
    assert read.judged.images is None


def test_zones_groups_and_quotas_are_what_is_decided_by() -> None:
    assert records.availability_zone(stored(a_zone(reserve={"hosts": 1}))).reserve == 1
    group = records.instance_group(stored(a_group(policy="SoftAffinity")))
    assert (group.policy, group.max_per_host) == ("SoftAffinity", 1)
    quota = records.compute_quota(stored(a_quota(hard={"memory": "4Gi"}, perUser={"vcpus": 2})))
    assert (quota.selector, quota.hard, quota.per_user) == (
        None,
        records.Limits(memory=4 * GI),
        records.Limits(vcpus=2),
    )


def test_a_status_of_our_own_writing_is_no_news() -> None:
    assert records.availability_zone(stored(a_zone())) == records.availability_zone(
        stored(a_zone(status={"available": True}), resourceVersion="2")
    )
