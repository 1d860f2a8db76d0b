"""Two nodes with an Instance and an InstanceAction each, and clients with the tokens of what runs there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_api.meta import FINALIZER
from hypernova_kube.certificates.request import (
    REQUESTS,
    SERVER_USAGES,
    Subject,
    new_key,
    request_object,
    signing_request,
)
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import LEASES, NODES, Object, Resource
from support.builders import a_condition, a_hypervisor, an_action, an_instance
from support.operators import RESOURCES

INSTANCES, ACTIONS, HYPERVISORS = (RESOURCES[kind] for kind in ("Instance", "InstanceAction", "Hypervisor"))

LAUNCHED_AT = "2026-01-01T00:00:00Z"
_SMALL = {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "0"}
LARGE = _SMALL | {"name": "m1.large", "vcpus": 4}
_IMAGE = {
    "name": "debian-12",
    "namespace": "images",
    "sha256": "0" * 64,
    "format": "raw",
    "url": "http://i.example.com",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Instances web-here and web-there, web-resized and web-leaving (here too), web-unbound; actions named alike."""

    namespace: str
    here: str
    """The node of the agent's token."""

    there: str
    admin: Client
    agent: Client
    """The agent of the node `here`."""

    nowhere: Client
    """With a token of the agents that is bound to no node."""

    operator: Client
    console: Client

    async def status(self, who: Client, name: str, **status: Any) -> Object:
        """Write an Instance's status."""
        return await who.patch(INSTANCES, name, {"status": status}, self.namespace, subresource="status")

    async def edit(self, who: Client, name: str, **parts: Any) -> Object:
        """Write an Instance's metadata or spec."""
        return await who.patch(INSTANCES, name, parts, self.namespace)

    async def tell(self, who: Client, name: str, **status: Any) -> Object:
        """Write an InstanceAction's status."""
        return await who.patch(ACTIONS, name, {"status": status}, self.namespace, subresource="status")

    async def report(self, who: Client, node: str, **status: Any) -> Object:
        """Write a Hypervisor's status."""
        return await who.patch(HYPERVISORS, node, {"status": status}, subresource="status")

    async def hold(self, who: Client, name: str, holder: str) -> Object:
        """Write a Lease, whether or not it is there."""
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 40}
        try:
            return await who.patch(LEASES, name, {"spec": spec}, NAMESPACE)
        except NotFound:
            return await self.make(who, LEASES, NAMESPACE, name, spec=spec)

    async def ask(self, who: Client, signer: str) -> Object:
        """Ask for a certificate."""
        request = signing_request(new_key(), Subject("somebody", (self.here,), ()))
        name = f"asked-{uuid.uuid4().hex}"
        return await who.create(
            REQUESTS, request_object(name, request, signer=signer, usages=SERVER_USAGES, seconds=600)
        )

    async def event(self, who: Client, node: str, about: Object) -> Object:
        """Write an Event as the agent of a node does."""
        fields: Object = {
            "involvedObject": about,
            "type": "Warning",
            "reason": "Tried",
            "source": {"component": "hypernova-agent", "host": node},
            "reportingComponent": "hypernova-agent",
            "reportingInstance": node,
        }
        namespace = about.get("namespace", "default")
        return await self.make(who, Resource("", "v1", "events", "Event"), namespace, **fields)

    async def make(self, who: Client, resource: Resource, namespace: str = "", name: str = "", **fields: Any) -> Object:
        """Create an object of any kind."""
        metadata = {"name": name or f"made-{uuid.uuid4().hex[:8]}", **({"namespace": namespace} if namespace else {})}
        identity = {"apiVersion": resource.api_version, "kind": resource.kind}
        return await who.create(resource, {**identity, **fields, "metadata": metadata | fields.get("metadata", {})})

    def instance(self, name: str) -> Object:
        """What an Event says that it is about."""
        return {"apiVersion": INSTANCES.api_version, "kind": "Instance", "namespace": self.namespace, "name": name}

    async def everything(self) -> list[Object]:
        """All that attacks are about, as it is now."""
        listings = [
            await self.admin.list(INSTANCES, namespace=self.namespace),
            await self.admin.list(ACTIONS, namespace=self.namespace),
            await self.admin.list(HYPERVISORS),
            await self.admin.list(LEASES, namespace=NAMESPACE),
        ]
        return [obj for listing in listings for obj in listing.items]


@asynccontextmanager
async def a_scene(cluster: Cluster, admin: Client, namespace: str) -> AsyncIterator[Scene]:
    """One in a namespace, and on nodes, of its own."""
    here, there = (f"node-{uuid.uuid4().hex[:6]}" for _ in range(2))

    async def login(account: str, node: str | None = None) -> Client:
        path: Path = await asyncio.to_thread(cluster.service_account_kubeconfig, NAMESPACE, account, node=node)
        return await stack.enter_async_context(await Client.connect(path, component="thief"))

    async with AsyncExitStack() as stack:
        agent = await login("hypernova-node-agent", here)
        nowhere = await login("hypernova-node-agent")
        operator, console = await login("hypernova-operator"), await login("hypernova-console")
        scene = Scene(namespace, here, there, admin, agent, nowhere, operator, console)
        await admin.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": there}})
        for node in (here, there):
            await admin.create(HYPERVISORS, a_hypervisor(node))
        for name, node in (
            *(("web-here", here), ("web-there", there), ("web-resized", here), ("web-leaving", here)),
            ("web-unbound", ""),
        ):
            await _place(scene, name, node)
        await admin.delete(INSTANCES, "web-leaving", namespace)
        try:
            yield scene
        finally:
            await _clear(scene)


async def _place(scene: Scene, name: str, node: str) -> None:
    await scene.admin.create(INSTANCES, an_instance(name, scene.namespace, finalizers=[FINALIZER, "example.com/other"]))
    await scene.admin.create(ACTIONS, an_action("Reboot", name, scene.namespace, instance=name))
    if not node:
        return
    addresses = [
        {"network": "default", "ip": f"10.60.0.{number}", "mac": f"52:54:00:00:00:0{number}"} for number in (1, 2)
    ]
    bound = {
        "phase": "Running",
        "nodeName": node,
        "flavor": _SMALL,
        "image": _IMAGE,
        "addresses": addresses,
        "launchedAt": LAUNCHED_AT,
        "conditions": [a_condition("Scheduled")],
    } | ({"resize": {"flavor": LARGE}} if name == "web-resized" else {})
    await scene.status(scene.admin, name, **bound)
    phase = "Succeeded" if name == "web-leaving" else "Running"
    await scene.tell(scene.admin, name, phase=phase, nodeName=node, instanceUID="1", requestedBy="ann")


async def _clear(scene: Scene) -> None:
    for obj in (await scene.admin.list(INSTANCES, namespace=scene.namespace)).items:
        with suppress(NotFound):
            await scene.admin.delete(INSTANCES, obj["metadata"]["name"], scene.namespace)
            await scene.edit(scene.admin, obj["metadata"]["name"], metadata={"finalizers": None})
    for node in (scene.here, scene.there):
        for resource, name, namespace in (
            *((HYPERVISORS, node, ""), (NODES, node, "")),
            (LEASES, f"hypervisor-{node}", NAMESPACE),
        ):
            with suppress(NotFound):
                await scene.admin.delete(resource, name, namespace)
