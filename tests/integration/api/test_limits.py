"""What the fields take and refuse, on the real API server."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Object
from support.builders import (
    a_cell,
    a_device,
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    a_quota,
    a_zone,
    an_action,
    an_image,
    an_instance,
    without,
)

REQUIREMENT = "spec.aggregateRequirements[0]"
SHA256 = "0" * 64
URL = "https://images.example.com/debian-12.qcow2"


def requiring(operator: str, *values: str) -> Object:
    return a_flavor(aggregateRequirements=[{"key": "disk", "operator": operator, "values": list(values)}])


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(a_flavor(memory=2147483648), id="a quantity as a whole number"),
        pytest.param(a_flavor(memory="1.5Gi", rootDisk="2e10"), id="a quantity as Kubernetes takes them"),
        pytest.param(without(a_flavor(), "spec.rootDisk"), id="a flavor without a disk of its own"),
        pytest.param(an_image(source={"url": "http://10.0.0.1:8080/a/b?c=d", "sha256": SHA256}), id="any http address"),
        pytest.param(an_image("debian-12.5"), id="dots in the name of an image"),
        pytest.param(an_instance(keyPairs=["ops", "dev.team"]), id="several key pairs"),
        pytest.param(an_instance(terminationGracePeriodSeconds=0), id="no patience at all"),
        pytest.param(a_key_pair(publicKey="sk-ssh-ed25519@openssh.com AAAA"), id="a key on a token, without comment"),
        pytest.param(a_hypervisor(overcommit={"cpu": 1.5}), id="a fraction of overcommit"),
        pytest.param(a_hypervisor(disabled={"reason": "disk swap"}), id="a disabled host"),
        pytest.param(a_hypervisor(dedicatedCpus="4-63,128-191"), id="CPUs set apart"),
        pytest.param(a_flavor(devices=[{"alias": "gpu-a100"}, {"alias": "nic", "count": 16}]), id="devices"),
        pytest.param(
            a_flavor(vcpus=512, memory="2Ti", numa={"cells": 16}, cpu={"policy": "Dedicated"}, hugePageSize="1Gi"),
            id="the largest guest",
        ),
        pytest.param(a_flavor(access={"namespaceSelector": {}}), id="a flavor for all namespaces, said in words"),
        pytest.param(an_image(properties={"architecture": "aarch64", "firmware": "UEFI"}), id="what an image needs"),
        pytest.param(an_instance(availabilityZone="az1", scheduling={}), id="nothing to say of where"),
        pytest.param(a_host_aggregate(weightMultipliers={"freeMemory": -1.5, "builds": 0}), id="weights turned around"),
        pytest.param(a_host_aggregate(overcommit={"cpu": 64, "memory": 16, "disk": 64}), id="the most of overcommit"),
        pytest.param(a_host_aggregate(metadata={"disk": "ssd,nvme", "empty": ""}), id="metadata with a list"),
        pytest.param(a_zone(description="hall 2", reserve={"hosts": 1}), id="a zone with a reserve"),
        pytest.param(without(a_zone(), "spec"), id="a zone of which there is nothing to say"),
        pytest.param(a_quota(hard={"instances": 0, "vcpus": 0, "memory": 0, "disk": "0"}), id="a quota of nothing"),
        pytest.param(without(a_quota(), "spec.hard"), id="a quota that limits nothing"),
        pytest.param(a_quota(perUser={"instances": 3}, namespaceSelector={}), id="a quota of users, of all namespaces"),
    ],
)
async def test_taken(obj: Object, objects: Any) -> None:
    await objects.create(obj)


@pytest.mark.parametrize(
    ("obj", "field", "complaint"),
    [
        pytest.param(without(an_instance(), "spec.flavor"), "spec.flavor", "Required value", id="no flavor"),
        pytest.param(without(an_instance(), "spec.image"), "spec.image", "Required value", id="no image"),
        pytest.param(an_instance(flavor="m1 small"), "spec.flavor", "should match", id="a flavor that cannot exist"),
        pytest.param(an_instance(image={"name": "x" * 254}), "spec.image.name", "Too long", id="too long a name"),
        pytest.param(
            an_instance(image={"name": "x", "namespace": "a.b"}),
            "spec.image.namespace",
            "should match",
            id="dots in a namespace",
        ),
        pytest.param(an_instance(powerState="Frozen"), "spec.powerState", "Unsupported value", id="a power state"),
        pytest.param(an_instance(restartPolicy="Maybe"), "spec.restartPolicy", "Unsupported value", id="a policy"),
        pytest.param(an_instance(locked={"reason": ""}), "spec.locked.reason", "should be at least 1", id="no reason"),
        pytest.param(an_action("Destroy"), "spec.type", "Unsupported value", id="an action that nobody knows"),
        pytest.param(
            an_action("SetPassword", setPassword={"hash": "secret"}),
            "spec.setPassword.hash",
            "should match",
            id="a password that could be read",
        ),
        pytest.param(
            an_instance(keyPairs=["ops", "ops"]), "spec.keyPairs[1]", "Duplicate value", id="a key pair twice"
        ),
        pytest.param(
            an_instance(keyPairs=[f"key-{index}" for index in range(17)]),
            "spec.keyPairs",
            "Too many",
            id="17 key pairs",
        ),
        pytest.param(
            an_instance(userData={"secretKeyRef": {"name": "web"}}),
            "spec.userData.secretKeyRef.key",
            "Required value",
            id="user data in no key",
        ),
        pytest.param(
            an_instance(userData={"secretKeyRef": {"name": "web", "key": "a/b"}}),
            "spec.userData.secretKeyRef.key",
            "should match",
            id="user data in a key that cannot exist",
        ),
        pytest.param(
            an_instance(terminationGracePeriodSeconds=-1),
            "spec.terminationGracePeriodSeconds",
            "greater than or equal to 0",
            id="negative patience",
        ),
        pytest.param(a_flavor(vcpus=0), "spec.vcpus", "greater than or equal to 1", id="no vCPU"),
        pytest.param(a_flavor(vcpus=1.5), "spec.vcpus", "must be of type integer", id="half a vCPU"),
        pytest.param(
            a_flavor(memory="9e99"), "spec.memory", "memory must be a whole number of MiB", id="more than there is"
        ),
        pytest.param(a_flavor(memory="2GB"), "spec.memory", "should match", id="a malformed quantity"),
        pytest.param(a_flavor(memory=1.5), "spec.memory", "must be of type integer", id="half a byte"),
        pytest.param(a_flavor(memory="0" * 33), "spec.memory", "Too long", id="an endless quantity"),
        pytest.param(
            an_image(source={"url": URL, "sha256": "A" * 64}), "spec.source.sha256", "should match", id="capital digits"
        ),
        pytest.param(
            an_image(source={"url": URL, "sha256": "a" * 63}), "spec.source.sha256", "should match", id="a digit less"
        ),
        pytest.param(
            an_image(source={"url": "file:///etc/shadow", "sha256": SHA256}),
            "spec.source.url",
            "should match",
            id="a path",
        ),
        pytest.param(
            an_image(source={"url": "https://a b", "sha256": SHA256}), "spec.source.url", "should match", id="a space"
        ),
        pytest.param(an_image(format="vmdk"), "spec.format", "Unsupported value", id="another format"),
        pytest.param(a_key_pair(publicKey="ssh-dss AAAA"), "spec.publicKey", "should match", id="a key type of old"),
        pytest.param(
            a_key_pair(publicKey="ssh-rsa AAAA\nssh-rsa BBBB"), "spec.publicKey", "should match", id="two keys in one"
        ),
        pytest.param(
            a_hypervisor(overcommit={"memory": 0.5}),
            "spec.overcommit.memory",
            "greater than or equal to 1",
            id="too little",
        ),
        pytest.param(a_hypervisor(disabled={"reason": ""}), "spec.disabled.reason", "at least 1", id="no reason"),
        *(
            pytest.param(
                a_host_aggregate(overcommit={resource: ratio}),
                f"spec.overcommit.{resource}",
                complaint,
                id=f"{resource} given out {ratio} times",
            )
            for resource, ratio, complaint in [
                ("cpu", 0.5, "greater than or equal to 1"),
                ("cpu", 1000, "less than or equal to 64"),
                ("memory", 0, "greater than or equal to 1"),
                ("memory", 16.5, "less than or equal to 16"),
                ("disk", -1, "greater than or equal to 1"),
                ("disk", "2", "must be of type number"),
            ]
        ),
        pytest.param(a_hypervisor(dedicatedCpus="0..3"), "spec.dedicatedCpus", "should match", id="no set of CPUs"),
        pytest.param(
            a_hypervisor(passthrough=[{"alias": "gpu", "vendorId": "0x10de", "productId": "20b0"}]),
            "spec.passthrough[0].vendorId",
            "should match",
            id="a vendor as others write it",
        ),
        pytest.param(a_flavor(cpu={"policy": "Pinned"}), "spec.cpu.policy", "Unsupported value", id="a CPU policy"),
        pytest.param(a_flavor(numa={"cells": 0}), "spec.numa.cells", "greater than or equal to 1", id="no cell"),
        pytest.param(a_flavor(hugePageSize="4Mi"), "spec.hugePageSize", "Unsupported value", id="a page size"),
        pytest.param(
            a_flavor(devices=[{"alias": "gpu"}, {"alias": "gpu", "count": 2}]),
            "spec.devices[1]",
            "Duplicate value",
            id="an alias twice",
        ),
        pytest.param(
            a_flavor(traits={"required": ["hw_cpu_x86_avx2"]}), "spec.traits.required[0]", "should match", id="a trait"
        ),
        pytest.param(requiring("~", "x"), REQUIREMENT + ".operator", "Unsupported value", id="an operator"),
        pytest.param(requiring("In"), REQUIREMENT + ".values", "at least 1 items", id="a requirement of no value"),
        pytest.param(
            requiring("=", "a,b"), REQUIREMENT + ".values[0]", "should match", id="a comma, that no value of a host has"
        ),
        pytest.param(
            an_image(properties={"domainType": "xen"}), "spec.properties.domainType", "Unsupported value", id="xen"
        ),
        pytest.param(
            an_instance(availabilityZone="z" * 254), "spec.availabilityZone", "Too long", id="too long a zone's name"
        ),
        pytest.param(
            an_instance(scheduling={"group": "g" * 254}), "spec.scheduling.group", "Too long", id="a group's name"
        ),
        pytest.param(
            an_instance(scheduling={"nodeSelector": {"rack": "r 1"}}),
            "spec.scheduling.nodeSelector.rack",
            "should match",
            id="a label that cannot be",
        ),
        pytest.param(
            an_instance(scheduling={"tolerations": [{"key": "a b", "operator": "Exists"}]}),
            "spec.scheduling.tolerations[0].key",
            "should match",
            id="a taint that cannot be",
        ),
        pytest.param(
            an_instance(scheduling={"sameHostAs": ["db-1", "db-1"]}),
            "spec.scheduling.sameHostAs[1]",
            "Duplicate value",
            id="an Instance twice",
        ),
        pytest.param(
            a_host_aggregate(nodes=["Node A"]), "spec.nodes[0]", "should match", id="a node that cannot exist"
        ),
        pytest.param(a_host_aggregate(nodes=["a", "a"]), "spec.nodes[1]", "Duplicate value", id="a node twice"),
        pytest.param(
            a_host_aggregate(metadata={"disk": "x" * 256}), "spec.metadata.disk", "Too long", id="too long a value"
        ),
        pytest.param(
            a_host_aggregate(reserve={"hosts": 0}), "spec.reserve.hosts", "greater than or equal to 1", id="no reserve"
        ),
        pytest.param(
            a_host_aggregate(projects={"confine": True}),
            "spec.projects.namespaceSelector",
            "Required value",
            id="isolation from nobody knows whom",
        ),
        pytest.param(a_zone(description="x" * 1025), "spec.description", "Too long", id="too much of a zone"),
        pytest.param(a_group(policy="anti-affinity"), "spec.policy", "Unsupported value", id="a policy as in Nova"),
        pytest.param(a_group(maxPerHost=0), "spec.maxPerHost", "greater than or equal to 1", id="none on a host"),
        pytest.param(
            a_quota(hard={"instances": -1}), "spec.hard.instances", "greater than or equal to 0", id="less than none"
        ),
        pytest.param(a_quota(hard={"memory": "lots"}), "spec.hard.memory", "should match", id="lots"),
    ],
)
async def test_refused(obj: Object, field: str, complaint: str, objects: Any) -> None:
    with pytest.raises(Invalid) as refused:
        await objects.create(obj)

    causes = {cause["field"]: cause["message"] for cause in refused.value.details["causes"]}
    assert complaint in causes[field]


@pytest.mark.parametrize(
    ("obj", "unknown"),
    [
        (an_instance(flavour="m1.small"), 'unknown field "spec.flavour"'),
        (an_instance(image={"name": "x", "tag": "y"}), 'unknown field "spec.image.tag"'),
    ],
)
def test_a_misspelt_field_is_refused_by_kubectl(obj: Object, unknown: str, cluster: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterError, match="strict decoding error: " + unknown):
        cluster.kubectl(
            "apply", f"--namespace={namespace}", "--filename=-", input=yaml.safe_dump(without_namespace(obj))
        )


def without_namespace(obj: Object) -> Object:
    return without(obj, "metadata.namespace")


async def test_what_is_left_out_is_filled_in(objects: Any) -> None:
    instance = await objects.create(an_instance())
    flavor = await objects.create(without(a_flavor(), "spec.rootDisk"))
    hypervisor = await objects.create(without(a_hypervisor(), "spec"))

    defaults = {"powerState": "Running", "restartPolicy": "Always", "terminationGracePeriodSeconds": 60}
    assert instance["spec"] == an_instance()["spec"] | defaults
    assert flavor["spec"]["rootDisk"] == "0"
    assert hypervisor["spec"] == {"maintenance": False, "dedicatedCpus": ""}


async def test_what_is_left_out_for_others_to_say_stays_out(objects: Any) -> None:
    """A ratio may come from an aggregate, so a host that says one of them says nothing of the others."""
    hypervisor = await objects.create(a_hypervisor(overcommit={"cpu": 8}))
    aggregate = await objects.create(a_host_aggregate())
    group = await objects.create(a_group())

    assert hypervisor["spec"]["overcommit"] == {"cpu": 8}
    assert aggregate["spec"] == {"nodes": ["node-a"]}
    assert group["spec"] == {"policy": "AntiAffinity"}


async def test_the_parts_of_a_flavor_are_filled_in_where_it_has_them(objects: Any) -> None:
    flavor = await objects.create(a_flavor(cpu={"policy": "Dedicated"}, devices=[{"alias": "gpu"}]))

    assert flavor["spec"]["cpu"] == {"policy": "Dedicated", "threadPolicy": "Prefer"}
    assert flavor["spec"]["devices"] == [{"alias": "gpu", "count": 1, "numaAffinity": "Preferred"}]


NAMES = [f"{index:04}-{'x' * 248}" for index in range(1024)]
"""Names of 253 characters, the longest there can be."""
CORES = [f"{core},{core + 1024}" for core in range(1024)]
DEVICES = [f"{index // 256:04x}:{index % 256:02x}:00.0" for index in range(512)]


@pytest.mark.parametrize(
    "obj",
    [
        pytest.param(a_host_aggregate(nodes=NAMES), id="an aggregate of 1,024 hosts by name"),
        pytest.param(
            a_host_aggregate(metadata={f"{index:02}" + "k" * 253: "v" * 255 for index in range(64)}), id="metadata"
        ),
        pytest.param(
            a_flavor(
                devices=[{"alias": f"gpu-{index}", "count": 16} for index in range(8)],
                traits={
                    "required": [f"CUSTOM_{index:02}{'A' * 246}" for index in range(64)],
                    "forbidden": [f"CUSTOM_{index:02}{'B' * 246}" for index in range(64)],
                },
                aggregateRequirements=[
                    {"key": "k" * 255, "operator": "AllIn", "values": ["v" * 255] * 32} for _ in range(16)
                ],
            ),
            id="a flavor that asks for all it can",
        ),
        pytest.param(
            an_instance(
                scheduling={
                    "nodeSelector": {f"example.com/{index:02}{'k' * 61}": "v" * 63 for index in range(16)},
                    "tolerations": [{"key": f"taint-{index}", "operator": "Exists"} for index in range(16)],
                    "sameHostAs": NAMES[:16],
                    "differentHostFrom": NAMES[16:32],
                    "group": "g" * 253,
                },
                availabilityZone="z" * 253,
            ),
            id="an Instance that asks for all it can",
        ),
        pytest.param(
            a_quota(
                namespaceSelector={
                    "matchLabels": {f"{index:02}{'k' * 61}": "v" * 63 for index in range(32)},
                    "matchExpressions": [
                        {"key": "k" * 63, "operator": "NotIn", "values": ["v" * 63] * 64} for _ in range(32)
                    ],
                }
            ),
            id="a selector of everything",
        ),
        pytest.param(
            a_hypervisor(
                passthrough=[
                    {"alias": "nic", "vendorId": "8086", "productId": "154c", "addresses": DEVICES[:64]}
                    for _ in range(16)
                ],
                traits=[f"CUSTOM_{index}" for index in range(64)],
            ),
            id="a host with all its devices for guests",
        ),
    ],
)
async def test_the_largest_that_the_bounds_allow_is_taken(obj: Object, objects: Any) -> None:
    await objects.create(obj)


@pytest.mark.parametrize(
    ("obj", "status"),
    [
        pytest.param(
            a_hypervisor(),
            a_hypervisor_status(
                vcpus=65536,
                memory="1Ei",
                disk="1Ei",
                cells=[
                    a_cell(index, cores=CORES if index < 4 else CORES[:64], memory="1Ei", huge_pages={"2Mi": 1 << 30})
                    for index in range(64)
                ],
                devices=[a_device(address, cell=None) for address in DEVICES],
                traits=[f"HW_CPU_X86_{index}" for index in range(512)],
                firmware=["BIOS", "UEFI"],
            ),
            id="a host as large as they come",
        ),
        pytest.param(
            a_host_aggregate(),
            {
                "nodes": NAMES,
                "hosts": {"total": 100_000, "usable": 99_999},
                "instances": 2_000_000,
                "capacity": {"vcpus": 51_200_000, "memory": "100Ei", "disk": "100Ei"},
                "free": {"vcpus": 0, "memory": "0", "disk": "0"},
            },
            id="an aggregate of 100,000 hosts",
        ),
        pytest.param(
            a_group(),
            {"members": [{"name": name, "nodeName": name} for name in NAMES], "count": 5000, "hosts": 5000},
            id="a group of thousands",
        ),
        pytest.param(
            a_quota(),
            {
                "used": {"instances": 1_000_000, "vcpus": 1_000_000, "memory": "10Pi", "disk": "1Ei"},
                "users": [{"user": f"user-{index}", "used": {"instances": index}} for index in range(100)],
            },
            id="a quota of many users",
        ),
    ],
)
async def test_the_largest_that_is_reported_is_taken(obj: Object, status: dict[str, Any], objects: Any) -> None:
    made = await objects.create(obj)

    reported = await objects.patch(made, {"status": status}, "status")

    assert reported["status"].keys() == status.keys()


@pytest.mark.parametrize(
    ("nonsense", "field", "complaint"),
    [
        ({"capacity": {"vcpus": -1}}, "status.capacity.vcpus", "greater than or equal to 0"),
        ({"capacity": {"vcpus": 65537}}, "status.capacity.vcpus", "less than or equal to 65536"),
        ({"capacity": {"memory": "NaN"}}, "status.capacity.memory", "should match"),
        ({"capacity": {"memory": "inf"}}, "status.capacity.memory", "should match"),
        ({"capacity": {"memory": None}}, "status.capacity.memory", "Required value"),
        ({"cells": [a_cell(-1)]}, "status.cells[0].id", "greater than or equal to 0"),
        ({"cells": [a_cell(0), a_cell(0)]}, "status.cells[1]", "Duplicate value"),
        ({"cells": [a_cell(0, cores=["zero"])]}, "status.cells[0].cores[0]", "should match"),
        ({"cells": [a_cell(0, cores=["0", ""])]}, "status.cells[0].cores[1]", "at least 1 chars"),
        (
            {"cells": [a_cell(0, huge_pages={"2Mi": -1})]},
            "status.cells[0].hugePages[0].count",
            "greater than or equal to 0",
        ),
        ({"devices": [a_device("65:00.0")]}, "status.devices[0].address", "should match"),
        ({"devices": [a_device(), a_device()]}, "status.devices[1]", "Duplicate value"),
        ({"traits": ["AVX 2"]}, "status.traits[0]", "should match"),
        ({"firmware": ["Coreboot"]}, "status.firmware[0]", "Unsupported value"),
        ({"domainType": "xen"}, "status.domainType", "Unsupported value"),
    ],
)
async def test_nonsense_of_an_agent_is_refused(
    nonsense: dict[str, Any], field: str, complaint: str, objects: Any
) -> None:
    hypervisor = await objects.create(a_hypervisor())
    await objects.patch(hypervisor, {"status": a_hypervisor_status()}, "status")

    with pytest.raises(Invalid) as refused:
        await objects.patch(hypervisor, {"status": nonsense}, "status")

    causes = {cause["field"]: cause["message"] for cause in refused.value.details["causes"]}
    assert complaint in causes[field]


async def test_a_status_comes_by_its_own_door_only(objects: Any) -> None:
    instance = await objects.create(an_instance(status={"phase": "Running"}))
    assert "status" not in instance

    patched = await objects.patch(
        instance, {"status": {"phase": "Running"}, "spec": {"powerState": "Stopped"}}, "status"
    )
    assert patched["status"] == {"phase": "Running", "restartCount": 0}
    assert patched["spec"]["powerState"] == "Running"
    assert patched["metadata"]["generation"] == 1


async def test_there_is_one_condition_of_a_type(objects: Any) -> None:
    instance = await objects.create(an_instance())
    ready = {"type": "Ready", "status": "True", "reason": "Running", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    with pytest.raises(Invalid) as refused:
        await objects.patch(instance, {"status": {"conditions": [ready, ready]}}, "status")

    # Before 1.34 Kubernetes says map[string]interface {}{...}.
    assert re.search(r'status\.conditions\[1\]: Duplicate value: \S* ?\S*\{"type":"Ready"\}', str(refused.value))
