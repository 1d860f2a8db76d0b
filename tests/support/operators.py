"""Operator processes, agents that are only writers of objects, and what users do and see around them."""

from __future__ import annotations

import asyncio
import re
import signal
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.stack import program
from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_api.kinds import KINDS
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, NotFound
from hypernova_kube.lease import Heartbeat
from hypernova_kube.resources import EVENTS, LEASES, NODES, Object, Resource
from hypernova_operator.cache.cache import NAMESPACES
from support.builders import (
    a_flavor,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_node,
    an_image,
    an_instance,
)
from support.waiting import eventually_async

RESOURCES = {kind.kind: Resource.of(kind) for kind in KINDS} | {"Node": NODES, "Namespace": NAMESPACES}
INSTANCES = RESOURCES["Instance"]
HYPERVISORS = RESOURCES["Hypervisor"]
LEADER = "hypernova-operator"

EXACT = {"cpu": 1, "memory": 1, "disk": 1}
"""No overcommit: a host has what its status says."""


class OperatorProcess:
    """One operator, and what may happen to it."""

    def __init__(self, cluster: Cluster, folder: Path, name: str, *flags: str, kubeconfig: Path | None = None) -> None:
        self.name = name
        self.conductor = f"{program.LOOPBACK}:{program.conductor_port(folder, name)}"
        """Where it serves agents."""

        self._program = program.operator(cluster, folder, name, *flags, kubeconfig=kubeconfig)
        self.start, self.stop = self._program.start, self._program.stop
        self.answers, self.metric = self._program.answers, self._program.metric

    def kill(self) -> None:
        """As a power cut does: SIGKILL."""
        self._program.stop(kill=True)

    def freeze(self) -> None:
        """Let it hang, as a machine does that swaps or a virtual machine that is paused."""
        self._program.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._program.signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._program.pid is not None

    @property
    def log(self) -> str:
        return self._program.log

    @property
    def leads(self) -> bool:
        return self.metric("hypernova_leader") == 1


class FakeAgent:
    """A node whose agent writes its Hypervisor and its Lease, and does nothing else."""

    def __init__(self, cluster: Cluster, client: Client, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._client = client
        self._heart: asyncio.Task[None] | None = None

    async def register(self, spec: Object, status: Object) -> None:
        """Node and Hypervisor."""
        await self._client.create(NODES, a_node(self.name))
        await self._client.create(HYPERVISORS, a_hypervisor(self.name, **{"overcommit": EXACT} | spec))
        await self.report(status)

    async def report(self, status: Object) -> None:
        """Write the Hypervisor's status."""
        await self._client.patch(HYPERVISORS, self.name, {"status": status}, subresource="status")

    async def edit(self, **spec: Any) -> None:
        """What an administrator does to the Hypervisor."""
        await self._client.patch(HYPERVISORS, self.name, {"spec": spec})

    async def label(self, hypervisor: bool) -> None:
        """What an administrator does to the Node."""
        labels = {HYPERVISOR_LABEL: "true" if hypervisor else None}
        await self._client.patch(NODES, self.name, {"metadata": {"labels": labels}})

    def beat(self, duration: int = 60) -> None:
        """Show life once a second; who hears none for `duration` seconds is to take the agent for dead."""
        self._heart = asyncio.create_task(self._live(duration))

    async def _live(self, duration: int) -> None:
        # By connections of its own, as an agent: a heartbeat that is late, as when a test waits for a process to end
        # in this event loop, has its client make them anew, which cuts what others ask over them.
        async with await Client.connect(self._cluster.kubeconfig, component="agent") as client:
            await Heartbeat(
                client,
                NAMESPACE,
                LEASE_PREFIX + self.name,
                self.name,
                duration=duration,
                interval=1,
                labels={HYPERVISOR_LABEL: "true"},
            ).run()

    async def fall_silent(self) -> None:
        """Show no more life; the Lease stays as it is."""
        if self._heart is not None:
            self._heart.cancel()
            with suppress(asyncio.CancelledError):
                await self._heart

    async def remove(self) -> None:
        """Everything of it."""
        await self.fall_silent()
        for resource, name, namespace in (
            (LEASES, LEASE_PREFIX + self.name, NAMESPACE),
            (HYPERVISORS, self.name, ""),
            (NODES, self.name, ""),
        ):
            with suppress(NotFound):
                await self._client.delete(resource, name, namespace)


class Cloud:
    """A namespace of users, and hosts, in a cluster that one test has for itself for the time of the test."""

    def __init__(self, cluster: Cluster, client: Client, namespace: str) -> None:
        self.cluster = cluster
        self.client = client
        self.namespace = namespace
        self._agents: list[FakeAgent] = []
        self._everybodys: list[Object] = []
        """Objects that are in no namespace."""

    async def prepare(self) -> None:
        """The catalog that builders' Instances name."""
        with suppress(AlreadyExists):
            await self.create(a_flavor(rootDisk="0"))
        await self.create(an_image(namespace=self.namespace))

    async def clear(self) -> None:
        """Remove hosts and Instances, bound ones too, and what was said of hosts."""
        for obj in self._everybodys:
            await self.remove(obj)
        for agent in self._agents:
            await agent.remove()
        for instance in (await self.client.list(INSTANCES)).items:
            name, namespace = instance["metadata"]["name"], instance["metadata"]["namespace"]
            with suppress(NotFound):
                await self.client.delete(INSTANCES, name, namespace)
                await self.client.patch(INSTANCES, name, {"metadata": {"finalizers": None}}, namespace)

    async def host(
        self,
        name: str = "",
        *,
        vcpus: int = 8,
        memory: str = "16Gi",
        disk: str = "100Gi",
        duration: int = 60,
        **spec: Any,
    ) -> FakeAgent:
        """A host with these resources and no overcommit, its agent alive."""
        agent = FakeAgent(self.cluster, self.client, name or f"node-{uuid.uuid4().hex[:6]}")
        self._agents.append(agent)
        await agent.register(spec, a_hypervisor_status(vcpus=vcpus, memory=memory, disk=disk))
        agent.beat(duration)
        return agent

    async def create(self, obj: Object) -> Object:
        """As kubectl create."""
        if obj["kind"] in ("AvailabilityZone", "HostAggregate"):
            self._everybodys.append(obj)
        return await self.client.create(RESOURCES[obj["kind"]], obj)

    async def edit(self, obj: Object, **spec: Any) -> Object:
        """As kubectl edit: these fields of the spec, None to remove one."""
        metadata = obj["metadata"]
        resource = RESOURCES[obj["kind"]]
        return await self.client.patch(resource, metadata["name"], {"spec": spec}, metadata.get("namespace", ""))

    async def remove(self, obj: Object) -> None:
        """As kubectl delete; of what is gone already, nothing is left to do."""
        metadata = obj["metadata"]
        with suppress(NotFound):
            await self.client.delete(RESOURCES[obj["kind"]], metadata["name"], metadata.get("namespace", ""))

    async def finish(self, name: str) -> None:
        """Delete an Instance, and have its agent be done with it."""
        await self.delete(name)
        await self.client.patch(INSTANCES, name, {"metadata": {"finalizers": None}}, self.namespace)

    async def says(self, obj: Object, type_: str, status: str, reason: str = "", seconds: float = 30) -> str:
        """The message of an object's condition once it is so (for that reason)."""
        metadata, last = obj["metadata"], []

        async def check() -> str | None:
            stored = await self.client.get(RESOURCES[obj["kind"]], metadata["name"], metadata.get("namespace", ""))
            last[:] = [stored.get("status", {})]
            for each in last[0].get("conditions", []):
                if (each["type"], each["status"]) == (type_, status) and reason in ("", each["reason"]):
                    return each["message"] or " "
            return None

        try:
            return await eventually_async(check, f"{metadata['name']} to say {type_}={status} {reason}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {last}") from None

    async def status(self, obj: Object, what: str, look: Callable[[Object], object], seconds: float = 30) -> Object:
        """The status of an object of any kind once `look` at it is true."""
        metadata, last = obj["metadata"], []

        async def check() -> bool:
            stored = await self.client.get(RESOURCES[obj["kind"]], metadata["name"], metadata.get("namespace", ""))
            last[:] = [stored.get("status", {})]
            return bool(last[0] and look(last[0]))

        try:
            await eventually_async(check, f"{metadata['name']} to be {what}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {last}") from None
        return dict(last[0])

    async def usable(self, hosts: int) -> None:
        """Return once the operator has seen that so many hosts take Instances."""
        every_host = a_host_aggregate(f"all-{uuid.uuid4().hex[:6]}", nodeSelector={})
        await self.create(every_host)
        await self.status(every_host, f"of {hosts} usable", lambda status: status["hosts"]["usable"] == hosts)
        await self.remove(every_host)

    async def instance(self, name: str = "web-1", **parts: Any) -> Object:
        """Create an Instance."""
        return await self.create(an_instance(name, self.namespace, **parts))

    async def delete(self, name: str = "web-1") -> None:
        await self.client.delete(INSTANCES, name, self.namespace)

    async def get(self, name: str = "web-1") -> Object | None:
        try:
            return await self.client.get(INSTANCES, name, self.namespace)
        except NotFound:
            return None

    async def all(self) -> list[Object]:
        return (await self.client.list(INSTANCES, namespace=self.namespace)).items

    async def sees(self, name: str, what: str, look: Callable[[Object], object], seconds: float = 30) -> Object:
        """The Instance once `look` at its status is true."""
        last: Object = {}

        async def check() -> Object | None:
            obj = await self.get(name) or {}
            last.clear()
            last.update(obj.get("status", {}))
            return obj if obj and look(last) else None

        try:
            return await eventually_async(check, f"{name} to be {what}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; its status: {last}") from None

    async def bound(self, name: str = "web-1", to: str = "", seconds: float = 30) -> Object:
        """The Instance once it is bound (to that node)."""
        return await self.sees(
            name, f"bound to {to or 'a node'}", lambda status: to in status.get("nodeName", ()), seconds
        )

    async def refused(self, reason: str, name: str = "web-1", message: str = "", seconds: float = 30) -> str:
        """The message of the Instance once it waits for that reason (with that text in the message)."""
        obj = await self.sees(
            name,
            f"refused: {reason} {message}",
            lambda status: scheduled(status).get("reason") == reason and message in scheduled(status)["message"],
            seconds,
        )
        assert obj["status"]["phase"] == "Pending"
        return str(scheduled(obj["status"])["message"])

    async def settled(self, **reasons: int) -> list[Object]:
        """All Instances once so many wait, or do no longer, for each reason, e.g. `Bound=2, NoHostFits=1`.

        That is where they end, not what they are told first: an operator may see an Instance before its host.
        """
        last: list[Counter[str]] = []

        async def check() -> list[Object] | None:
            instances = await self.all()
            last[:] = [Counter(scheduled(each.get("status", {})).get("reason", "") for each in instances)]
            return instances if last[0] == reasons else None

        try:
            return await eventually_async(check, f"Instances to settle as {reasons}", 120)
        except AssertionError as error:
            raise AssertionError(f"{error}; their reasons: {last}") from None

    async def gone(self, name: str = "web-1", seconds: float = 30) -> None:
        async def check() -> bool:
            return await self.get(name) is None

        await eventually_async(check, f"{name} to be gone", seconds)

    async def events(self, reason: str, namespace: str = "") -> list[Object]:
        """Events of that reason about what is in the namespace; those of cluster-scoped objects are in `default`."""
        events = (await self.client.list(EVENTS, namespace=namespace or self.namespace)).items
        return [event for event in events if event["reason"] == reason]

    async def writes(self) -> dict[str, float]:
        """Writes the API server has done so far to what is ours, by `VERB resource`, whoever asked for them."""
        totals: dict[str, float] = {}
        for line in (await self.client.get_raw("/metrics")).splitlines():
            if not line.startswith("apiserver_request_total{"):
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels["verb"] in ("POST", "PUT", "PATCH", "DELETE", "APPLY") and labels["resource"] in _OURS:
                resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
                name = f"{labels['verb']} {resource}"
                totals[name] = totals.get(name, 0) + float(line.rsplit(" ", 1)[1])
        return totals


_OURS = {resource.plural for kind, resource in RESOURCES.items() if kind not in ("Namespace", "Node")} | {"events"}


def scheduled(status: Object) -> Object:
    """The condition Scheduled; empty if there is none."""
    return next((each for each in status.get("conditions", []) if each["type"] == "Scheduled"), {})
