"""What the agent works with, as its own parts hand it around: guests, Instances bound to a node."""

import hashlib
from typing import Any

from hypernova_agent.desired import Guest, Nic
from hypernova_agent.host import Owner, Reservation
from hypernova_api.flavor import FlavorSpec
from hypernova_api.instance import BoundImage, BoundKeyPair, Instance
from hypernova_api.meta import FINALIZER
from hypernova_api.quantity import Quantity
from hypernova_kube.resources import Object
from support.builders import AN_ED25519_KEY, a_condition, an_instance, stored

NODE = "node-a"
UID = "0b7e9a52-6c3d-4a3e-9f0e-2f3d5c1b7a10"
OWNER = Owner(uid=UID, namespace="shop", name="web-1")
RESERVATION = Reservation(mac="52:54:00:00:00:07", ip="10.60.0.7", hostname="web-1.shop")
MIB = 1 << 20
GIB = 1 << 30


def a_bound_image(name: str = "debian-12", content: bytes | None = None, **parts: Any) -> BoundImage:
    """An image as it stands in a status; `content` gives it its digest."""
    digest = hashlib.sha256(name.encode() if content is None else content).hexdigest()
    url = f"http://images.example.com/{name}.img"
    return BoundImage(**{"name": name, "namespace": "images", "url": url, "sha256": digest, "format": "qcow2"} | parts)


def a_guest(**parts: Any) -> Guest:
    """1 vCPU, 512 MiB, 4 GiB of disk, unless `parts` say otherwise in bytes; they may be a whole `flavor` too."""
    sizes = {"vcpus": 1, "memory": 512 * MIB, "disk": 4 * GIB} | {
        name: parts.pop(name) for name in ("vcpus", "memory", "disk") if name in parts
    }
    flavor = FlavorSpec(
        vcpus=sizes["vcpus"],
        memory=Quantity.of_bytes(sizes["memory"]),
        root_disk=Quantity.of_bytes(sizes["disk"]),
    )
    defaults: dict[str, Any] = {
        "flavor": flavor,
        "image": a_bound_image(),
        "nics": (Nic(RESERVATION),),
    }
    return Guest(**defaults | parts)


def a_key_pair() -> BoundKeyPair:
    return BoundKeyPair(name="ops", public_key=AN_ED25519_KEY)


def a_bound_instance(
    name: str = "web-1",
    *,
    number: int = 7,
    image: BoundImage | None = None,
    memory: str = "512Mi",
    disk: str = "4Gi",
    status: Object | None = None,
    metadata: Object | None = None,
    **spec: Any,
) -> Object:
    """An Instance of namespace shop as the API server returns it after binding; `number` tells its address."""
    bound = {
        "phase": "Pending",
        "nodeName": NODE,
        "flavor": {"name": "m1.small", "vcpus": 1, "memory": memory, "rootDisk": disk},
        "image": (image or a_bound_image()).to_wire(),
        "addresses": [{"network": "default", "ip": f"10.60.0.{number}", "mac": f"52:54:00:00:00:{number:02x}"}],
        "conditions": [a_condition("Scheduled")],
    }
    obj = an_instance(name, "shop", finalizers=[FINALIZER], status=bound | (status or {}), **spec)
    return stored(obj, **(metadata or {}))


def parsed(obj: Object) -> Instance:
    return Instance.parse(obj)
