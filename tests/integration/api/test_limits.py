"""What the fields take and refuse, on the real API server."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Object
from support.builders import a_flavor, a_hypervisor, a_key_pair, an_image, an_instance, without

SHA256 = "0" * 64
URL = "https://images.example.com/debian-12.qcow2"


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
        pytest.param(an_instance(powerState="Paused"), "spec.powerState", "Unsupported value", id="a power state"),
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
        pytest.param(a_flavor(memory="9e99"), "spec", "memory must be a whole number of MiB", id="more than there is"),
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

    assert instance["spec"] == an_instance()["spec"] | {"powerState": "Running", "terminationGracePeriodSeconds": 60}
    assert flavor["spec"]["rootDisk"] == "0"
    assert hypervisor["spec"] == {"maintenance": False}


async def test_an_overcommit_given_in_part_is_filled_up(objects: Any) -> None:
    hypervisor = await objects.create(a_hypervisor(overcommit={"cpu": 8}))

    assert hypervisor["spec"]["overcommit"] == {"cpu": 8, "memory": 1, "disk": 1}


async def test_a_status_comes_by_its_own_door_only(objects: Any) -> None:
    instance = await objects.create(an_instance(status={"phase": "Running"}))
    assert "status" not in instance

    patched = await objects.patch(
        instance, {"status": {"phase": "Running"}, "spec": {"powerState": "Stopped"}}, "status"
    )
    assert patched["status"] == {"phase": "Running"}
    assert patched["spec"]["powerState"] == "Running"
    assert patched["metadata"]["generation"] == 1


async def test_there_is_one_condition_of_a_type(objects: Any) -> None:
    instance = await objects.create(an_instance())
    ready = {"type": "Ready", "status": "True", "reason": "Running", "lastTransitionTime": "2026-01-01T00:00:00Z"}

    with pytest.raises(Invalid) as refused:
        await objects.patch(instance, {"status": {"conditions": [ready, ready]}}, "status")

    assert 'status.conditions[1]: Duplicate value: {"type":"Ready"}' in str(refused.value)
