"""A node with a real agent process, and what a user and the operator would do to Instances on it."""

import asyncio
import itertools
import os
import re
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.devcluster import Cluster
from hack.lab import Host
from hack.stack import POOL, Program, program
from hypernova_agent.reconcile import INSTANCES
from hypernova_agent.registration import HYPERVISORS
from hypernova_api.meta import FINALIZER
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Object
from support.builders import AN_ED25519_KEY, a_condition, an_instance
from support.libvirt_subject import qemus
from support.proxy import TcpProxy, proxied
from support.waiting import eventually_async

_addresses = itertools.count(2)


@dataclass(frozen=True, slots=True)
class BootImage:
    """An image as the operator would put it into a status."""

    url: str
    sha256: str
    format: str = "raw"
    name: str = "boot"

    def bound(self) -> Object:
        return {
            "name": self.name,
            "namespace": "images",
            "url": self.url,
            "sha256": self.sha256,
            "format": self.format,
        }


@dataclass(frozen=True, slots=True)
class Node:
    """One lab host, registered as a Node, and its agent."""

    name: str
    cluster: Cluster
    client: Client
    """An administrator's."""

    host: Host
    namespace: str
    agent: Program

    async def start(self) -> None:
        """Start the agent, and let its host take far more guests than a small machine's CPUs would."""
        await asyncio.to_thread(self.agent.start)  # it may have to go by a proxy in this event loop
        await eventually_async(self.hypervisor, "the Hypervisor")
        await self.client.patch(HYPERVISORS, self.name, {"spec": {"overcommit": {"cpu": 64.0}}})

    # What a user and the operator do

    async def create(
        self,
        name: str,
        image: BootImage,
        *,
        disk: str = "0",
        memory: str = "16Mi",
        multicast: bool = False,
        flavor: Object | None = None,
        allocation: Object | None = None,
        **spec: Any,
    ) -> Object:
        """An Instance as it is after binding to this node: the operator's one status write is made here.

        Args:
            name: of the Instance.
            image: what it boots.
            disk: the flavor's root disk; 0 is as large as the image.
            memory: the flavor's memory.
            flavor: more of the flavor, by the names on the wire.
            allocation: what the scheduler packed for it, if anything.
            multicast: gives it a MAC that no network card can have, which libvirt refuses.
            spec: fields of the spec, by their names on the wire.
        """
        await self.client.create(INSTANCES, an_instance(name, self.namespace, finalizers=[FINALIZER], **spec))
        number = next(_addresses)
        mac = f"{'53' if multicast else '52'}:54:00:00:{number // 256:02x}:{number % 256:02x}"
        status = {
            "phase": "Pending",
            "nodeName": self.name,
            "flavor": {"name": "m1.tiny", "vcpus": 1, "memory": memory, "rootDisk": disk} | (flavor or {}),
            "image": image.bound(),
            "keyPairs": [{"name": "ops", "publicKey": AN_ED25519_KEY}],
            "addresses": [{"network": "default", "ip": f"10.60.{number // 250}.{number % 250}", "mac": mac}],
            "conditions": [a_condition("Scheduled")],
        } | ({} if allocation is None else {"allocation": allocation})
        return await self.client.patch(INSTANCES, name, {"status": status}, self.namespace, subresource="status")

    async def edit(self, name: str, **spec: Any) -> Object:
        return await self.client.patch(INSTANCES, name, {"spec": spec}, self.namespace)

    async def delete(self, name: str) -> None:
        await self.client.delete(INSTANCES, name, self.namespace)

    async def clear(self) -> None:
        """Delete all Instances of the test, and the images they came from; nothing else may be left."""
        names = [
            each["metadata"]["name"] for each in (await self.client.list(INSTANCES, namespace=self.namespace)).items
        ]
        for name in names:
            await self.edit(name, terminationGracePeriodSeconds=0)
            await self.delete(name)
        for name in names:
            await self.gone(name)
        left = [name for name in self.volumes() if not name.startswith(("image-", "snapshot-"))]
        assert (self.domains().split(), left, self.reservations()) == ([], [], [])
        for name in self.volumes():
            self.host.path(f"{POOL}/{name}").unlink()

    # What they see

    async def get(self, name: str) -> Object | None:
        try:
            return await self.client.get(INSTANCES, name, self.namespace)
        except NotFound:
            return None

    async def hypervisor(self) -> Object | None:
        """The node's Hypervisor, once it tells what there is to give out."""
        found = (await self.client.list(HYPERVISORS, field_selector=f"metadata.name={self.name}")).items
        return found[0] if found and "allocatable" in found[0].get("status", {}) else None

    async def shows(self, name: str, phase: str, reason: str = "", *, message: str = "", seconds: float = 40) -> Object:
        """Wait until an Instance as it is asked for now shows a phase, a reason and a text in its message; it then."""

        async def look() -> Object | None:
            obj = await self.get(name)
            status = (obj or {}).get("status", {})
            ready = ready_of(obj)
            fits = (
                status.get("phase") == phase
                and obj is not None
                and status.get("observedGeneration") == obj["metadata"]["generation"]
                and (not reason or ready.get("reason") == reason)
                and message in ready.get("message", "")
            )
            return obj if fits else None

        try:
            return await eventually_async(look, f"{name} to be {phase} {reason} {message!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self._distress(name)}") from None

    async def gone(self, name: str, seconds: float = 40) -> None:
        async def look() -> bool:
            return await self.get(name) is None

        try:
            await eventually_async(look, f"{name} to be gone", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self._distress(name)}") from None

    async def _distress(self, name: str) -> str:
        """All that may tell why something does not happen: an agent that hangs, a program of the host that does."""
        status = (await self.get(name) or {}).get("status")
        words = self.agent.last_words()
        running = self.host.run("ps", "-eo", "pid,ppid,stat,etime,args", check=False).stdout
        return f"status: {status}\n{words}\n{self.agent.where()}\n{running}"

    # What is on the host

    def volumes(self, uid: str = "") -> list[str]:
        """Files in the pool, of one Instance if its UID is given."""
        pool = self.host.path(POOL)
        return sorted(file.name for file in pool.iterdir() if file.name.startswith(uid)) if pool.exists() else []

    def qemus(self, uid: str) -> list[int]:
        """Pids of the QEMUs that run an Instance's guest, as the machine sees them."""
        return qemus(self.host, uid)

    def kill_guest(self, uid: str) -> None:
        (pid,) = self.qemus(uid)
        os.kill(pid, signal.SIGKILL)

    def reservations(self) -> list[str]:
        """MACs that the default network knows."""
        network = self.host.run("virsh", "net-dumpxml", "hypernova-default").stdout
        return re.findall(r"<host mac='([^']+)'", network)

    def domains(self) -> str:
        """UUIDs of all domains, one a line."""
        return self.host.run("virsh", "list", "--all", "--uuid").stdout

    def console(self, uid: str) -> str:
        path = self.host.path(f"{POOL}/{uid}.console.log")
        return path.read_text(errors="replace") if path.exists() else ""


def ready_of(obj: Object | None) -> Object:
    """The condition Ready; empty if there is none."""
    conditions = (obj or {}).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})


def writes(node: Node) -> float:
    """Successful writes to Instances that the agent has made in its life."""
    return sum(
        node.agent.metric("hypernova_kube_requests_total", verb=verb, resource=resource, code="200")
        for verb in ("patch", "update", "create")
        for resource in ("instances", "instances/status")
    )


def make_node(
    cluster: Cluster,
    client: Client,
    host: Host,
    folder: Path,
    namespace: str,
    flags: tuple[str, ...] = (),
    proxy: TcpProxy | None = None,
) -> Node:
    """A Node of a new name for a host. Its agent is not started; it goes by the proxy, if there is one."""
    name = f"{host.name}-{uuid.uuid4().hex[:6]}"
    cluster.admin.ensure(
        "/api/v1/nodes", {"metadata": {"name": name, "labels": {"compute.hypernova.dev/hypervisor": "true"}}}
    )
    kubeconfig = proxied(cluster, proxy, folder, program.agent_kubeconfig(cluster, name)) if proxy is not None else None
    agent = program.agent(cluster, host, folder, name, *flags, kubeconfig=kubeconfig)
    return Node(name, cluster, client, host, namespace, agent)
