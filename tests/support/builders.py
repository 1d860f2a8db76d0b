"""Objects of every kind as a user would apply them: plain dicts, valid as they come, each part replaceable.

    an_instance()                                          the smallest Instance that is allowed
    an_instance("web-2", flavor="m1.large")                spec fields by their name on the wire
    an_instance(userData={"inline": "#cloud-config"})
    an_instance(status={"phase": "Running"})               with a status, for caches and status patches
    an_instance(labels={"app": "web"}, namespace="shop")   metadata
    without(an_instance(), "spec.image")                   a broken one
    stored(an_instance(), generation=2)                    as the API server returns it

The defaults fit each other: Instances take the flavor `m1.small` and the image `debian-12` of their own namespace.
"""

import copy
import hashlib
import uuid
from typing import Any

from hypernova_api.meta import GROUP, HYPERVISOR_LABEL, VERSION

Object = dict[str, Any]

AN_ED25519_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4hTb6hN0y1vZ3pWbQmK5m3nq8rVtXy2cFz7dGkLp0A ops@example.com"
EPOCH = "2026-01-01T00:00:00Z"


def an_instance(name: str = "web-1", namespace: str = "default", **parts: Any) -> Object:
    """An Instance."""
    return _object("Instance", name, namespace, parts, flavor="m1.small", image={"name": "debian-12"})


def a_flavor(name: str = "m1.small", **parts: Any) -> Object:
    """A Flavor: 1 vCPU, 512 MiB, 4 GiB of disk."""
    return _object("Flavor", name, "", parts, vcpus=1, memory="512Mi", rootDisk="4Gi")


def an_image(name: str = "debian-12", namespace: str = "default", **parts: Any) -> Object:
    """An Image at an address that does not exist; its sha256 follows from the name."""
    source = {
        "url": f"http://images.example.com/{name}.qcow2",
        "sha256": hashlib.sha256(name.encode()).hexdigest(),
    }
    return _object("Image", name, namespace, parts, source=source, format="qcow2")


def a_key_pair(name: str = "ops", namespace: str = "default", **parts: Any) -> Object:
    """A KeyPair."""
    return _object("KeyPair", name, namespace, parts, publicKey=AN_ED25519_KEY)


def a_hypervisor(name: str = "node-a", **parts: Any) -> Object:
    """A Hypervisor as its agent creates it: with an empty spec."""
    return _object("Hypervisor", name, "", parts)


def a_hypervisor_status(*, ready: bool = True, vcpus: int = 8, memory: str = "16Gi", disk: str = "100Gi") -> Object:
    """The status of a Hypervisor that has these resources, all of them allocatable."""
    resources = {"vcpus": vcpus, "memory": memory, "disk": disk}
    return {
        "domainType": "qemu",
        "cpu": {"architecture": "x86_64", "model": "EPYC", "vendor": "AMD"},
        "versions": {"libvirt": "9.0.0", "qemu": "7.2.0", "agent": "0.1.0"},
        "capacity": resources,
        "allocatable": dict(resources),
        "conditions": [
            a_condition("Ready", ready, reason="Ready" if ready else "PoolInactive"),
        ],
    }


def a_node(name: str = "node-a", *, hypervisor: bool = True, labels: dict[str, str] | None = None) -> Object:
    """A Node, labelled to take Instances unless said otherwise."""
    own = {HYPERVISOR_LABEL: "true"} if hypervisor else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": own | (labels or {})}}


def a_condition(type_: str, status: bool | None = True, reason: str = "", message: str = "") -> Object:
    """A condition; a status of None is Unknown."""
    return {
        "type": type_,
        "status": "Unknown" if status is None else str(status),
        "reason": reason or type_,
        "message": message,
        "lastTransitionTime": EPOCH,
    }


def stored(obj: Object, **metadata: Any) -> Object:
    """The object as the API server would return it: with uid, resourceVersion, generation and creationTimestamp.

    The uid follows from kind, namespace and name, so that it is the same in every run. `metadata` overrides, by its
    names on the wire.
    """
    own = obj["metadata"]
    identity = f"{obj['kind']}/{own.get('namespace', '')}/{own['name']}"
    server = {
        "uid": str(uuid.uuid5(uuid.NAMESPACE_URL, identity)),
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": EPOCH,
    }
    return copy.deepcopy(obj) | {"metadata": server | copy.deepcopy(own) | metadata}


def without(obj: Object, path: str) -> Object:
    """A copy of the object without the field at `path`, e.g. `spec.source.sha256`."""
    result = copy.deepcopy(obj)
    *parents, last = path.split(".")
    part = result
    for parent in parents:
        part = part[parent]
    del part[last]
    return result


def _object(kind: str, name: str, namespace: str, parts: Object, **spec: Any) -> Object:
    """`parts` are spec fields, but for `status` and the metadata's `labels`, `annotations` and `finalizers`."""
    parts = copy.deepcopy(parts)
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata |= {field: parts.pop(field) for field in ("labels", "annotations", "finalizers") if field in parts}
    status = parts.pop("status", None)
    obj: Object = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": metadata, "spec": spec | parts}
    return obj if status is None else obj | {"status": status}
