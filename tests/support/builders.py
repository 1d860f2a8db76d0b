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
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypernova_api.meta import GROUP, HYPERVISOR_LABEL, VERSION

Object = dict[str, Any]

AN_ED25519_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4hTb6hN0y1vZ3pWbQmK5m3nq8rVtXy2cFz7dGkLp0A ops@example.com"
EPOCH = "2026-01-01T00:00:00Z"


def an_instance(name: str = "web-1", namespace: str = "default", **parts: Any) -> Object:
    """An Instance."""
    return _object("Instance", name, namespace, parts, flavor="m1.small", image={"name": "debian-12"})


def an_action(type_: str = "Reboot", name: str = "act-1", namespace: str = "default", **parts: Any) -> Object:
    """An InstanceAction on the Instance web-1."""
    return _object("InstanceAction", name, namespace, parts, instance="web-1", type=type_)


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


def a_console_session(name: str = "web-1-7ee45bd84cc5", namespace: str = "default", **parts: Any) -> Object:
    """A ConsoleSession: ann's, of the screen of web-1."""
    spec = {
        "instanceName": "web-1",
        "instanceUID": "7",
        "type": "VNC",
        "user": {"username": "ann"},
        "maxSeconds": 28800,
    }
    return _object("ConsoleSession", name, namespace, parts, **spec)


def a_hypervisor(name: str = "node-a", **parts: Any) -> Object:
    """A Hypervisor as its agent creates it: with an empty spec."""
    return _object("Hypervisor", name, "", parts)


def a_hypervisor_status(
    *,
    ready: bool = True,
    vcpus: int = 8,
    memory: str = "16Gi",
    disk: str = "100Gi",
    **parts: Any,
) -> Object:
    """The status of a Hypervisor that has these resources, all of them allocatable.

    `parts` are further fields of the status by their name on the wire, or others for what stands here: `cells` (of
    `a_cell`), `devices` (of `a_device`), `traits`, `firmware`, `domainType`.
    """
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
    } | copy.deepcopy(parts)


def a_cell(
    id_: int = 0,
    *,
    cores: Sequence[str] = (),
    memory: str = "8Gi",
    huge_pages: Mapping[str, int] | None = None,
) -> Object:
    """A NUMA cell of a host's status: `a_cell(0, cores=["0,4", "1,5"], memory="32Gi", huge_pages={"2Mi": 1024})`.

    Without `cores` (the threads of one each), four of one thread: CPUs 0 to 3 in cell 0, 4 to 7 in cell 1, and so on.
    """
    cell = {"id": id_, "cores": list(cores) or [str(4 * id_ + core) for core in range(4)], "memory": memory}
    pages = [{"size": size, "count": count} for size, count in (huge_pages or {}).items()]
    return cell | ({"hugePages": pages} if pages else {})


def a_device(address: str = "0000:65:00.0", *, cell: int | None = 0, **parts: Any) -> Object:
    """A PCI device of a host's status: an NVIDIA A100, near to a cell or (None) to nobody knows which."""
    place = {} if cell is None else {"cell": cell}
    return {"address": address, "vendorId": "10de", "productId": "20b0"} | place | parts


def a_host_aggregate(name: str = "rack-1", **parts: Any) -> Object:
    """A HostAggregate: of the host node-a alone, unless `nodes` or `nodeSelector` are given."""
    hosts = {} if {"nodes", "nodeSelector"} & parts.keys() else {"nodes": ["node-a"]}
    return _object("HostAggregate", name, "", parts, **hosts)


def a_zone(name: str = "az1", **parts: Any) -> Object:
    """An AvailabilityZone: with an empty spec. Its hosts come from aggregates: `availabilityZone="az1"`."""
    return _object("AvailabilityZone", name, "", parts)


def a_group(name: str = "web", namespace: str = "default", **parts: Any) -> Object:
    """An InstanceGroup: AntiAffinity unless said otherwise."""
    return _object("InstanceGroup", name, namespace, parts, policy="AntiAffinity")


def a_quota(name: str = "limits", namespace: str = "default", **parts: Any) -> Object:
    """A ComputeQuota: ten Instances, and nothing else, for its own namespace."""
    return _object("ComputeQuota", name, namespace, parts, hard={"instances": 10})


def a_node(
    name: str = "node-a",
    *,
    hypervisor: bool = True,
    labels: dict[str, str] | None = None,
    taints: Iterable[Object] = (),
) -> Object:
    """A Node, labelled to take Instances unless said otherwise. `taints` are of `a_taint`."""
    own = {HYPERVISOR_LABEL: "true"} if hypervisor else {}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": own | (labels or {})}}
    tainted = copy.deepcopy(list(taints))
    return node | ({"spec": {"taints": tainted}} if tainted else {})


def a_taint(key: str, value: str = "", effect: str = "NoSchedule") -> Object:
    """A taint of a Node."""
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def a_namespace(name: str = "default", labels: dict[str, str] | None = None) -> Object:
    """A Namespace, with the label that the API server puts on each."""
    own = {"kubernetes.io/metadata.name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": (labels or {}) | own}}


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
