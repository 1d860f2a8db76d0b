"""The agent's loops between a real API server, with the rights of its ServiceAccount, and a host in memory."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_agent.host import DomainState, HostCell, PciDevice
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.reconcile import INSTANCES
from hypernova_agent.registration import HYPERVISORS
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_api.conditions import find
from hypernova_api.hypervisor import Hypervisor
from hypernova_api.instance import Instance
from hypernova_kube import transport
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import LEASES, Object
from support.guests import a_bound_image, a_bound_instance
from support.memory_host import FACTS, Machine, MemoryHost, MemoryVolume
from support.waiting import eventually_async


@dataclass
class Agent:
    """An agent in this process, on a node of its own."""

    node: str
    namespace: str
    admin: Client
    own: Client
    """The agent's."""
    host: MemoryHost
    sync: Sync

    async def create(self, name: str, **spec: object) -> Object:
        bound = a_bound_instance(name, **spec)
        del bound["metadata"]["resourceVersion"], bound["metadata"]["uid"]
        bound["metadata"]["namespace"] = self.namespace
        await self.admin.create(INSTANCES, bound)
        status = bound["status"] | {"nodeName": self.node}
        return await self.admin.patch(INSTANCES, name, {"status": status}, self.namespace, subresource="status")

    async def instance(self, name: str) -> Instance | None:
        try:
            return Instance.parse(await self.admin.get(INSTANCES, name, self.namespace))
        except NotFound:
            return None

    async def shows(self, name: str, phase: str) -> Instance:
        async def look() -> Instance | None:
            found = await self.instance(name)
            return found if found is not None and found.status.phase == phase else None

        return await eventually_async(look, f"{name} to be {phase}")

    async def hypervisor_says(self, reason: str) -> Hypervisor:
        async def look() -> Hypervisor | None:
            found = (await self.admin.list(HYPERVISORS, field_selector=f"metadata.name={self.node}")).items
            hypervisor = Hypervisor.parse(found[0]) if found else None
            conditions = hypervisor.status.conditions if hypervisor is not None else []
            ready = find(conditions, "Ready")
            return hypervisor if ready is not None and ready.reason == reason else None

        return await eventually_async(look, f"the Hypervisor to say {reason}")

    def writes(self) -> float:
        """Requests of the agent that were to change something of Instances."""
        samples = [sample for metric in self.own.metrics.requests.collect() for sample in metric.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name.endswith("_total")
            and sample.labels["verb"] in ("create", "patch", "update", "delete")
            and sample.labels["resource"].startswith("instances")
        )

    async def has_written(self, writes: float) -> None:
        """As many in all, and no more; the answer to the last may still be on its way when others see what it did."""

        async def counted() -> bool:
            return self.writes() >= writes

        await eventually_async(counted, f"{writes:g} writes")
        assert self.writes() == writes


@asynccontextmanager
async def an_agent(cluster: Cluster, admin: Client, namespace: str, machine: Machine) -> AsyncIterator[Agent]:
    node = f"node-{uuid.uuid4().hex[:6]}"
    cluster.admin.ensure("/api/v1/nodes", {"metadata": {"name": node}})
    kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "hypernova-node-agent", node=node)
    host = MemoryHost(machine)
    async with await Client.connect(kubeconfig, component="agent") as own, new_session() as session:
        metrics = AgentMetrics()
        sync = Sync(Settings(node_name=node), own, host, ImageStore(host, session, metrics), metrics)
        running = asyncio.create_task(sync.run())
        yield Agent(node, namespace, admin, own, host, sync)
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
async def agent(cluster: Cluster, client: Client, namespace: str) -> AsyncIterator[Agent]:
    image = a_bound_image()
    marker = b'{"format": "qcow2", "virtualSize": 1048576, "source": "x"}'
    volumes = {f"image-{image.sha256}": MemoryVolume(), f"image-{image.sha256}.json": MemoryVolume(marker)}
    async with an_agent(cluster, client, namespace, Machine(volumes=volumes, obedient=True)) as agent:
        yield agent


async def test_a_life_costs_one_write_a_change_and_none_in_between(agent: Agent) -> None:
    await agent.hypervisor_says("LibvirtReady")
    before = agent.writes()
    await agent.create("web-1")
    running = await agent.shows("web-1", "Running")
    await agent.has_written(before + 1)
    for _ in range(3):
        agent.sync._wake_all()
        agent.sync._registrations.add("own")
    await agent.create("web-2")
    await agent.shows("web-2", "Running")
    await agent.has_written(before + 2)
    assert (await agent.instance("web-1")) == running

    await agent.admin.patch(INSTANCES, "web-1", {"spec": {"powerState": "Stopped"}}, agent.namespace)
    stopped = await agent.shows("web-1", "Stopped")
    assert stopped.status.observed_generation == stopped.metadata.generation == 2
    await agent.admin.delete(INSTANCES, "web-1", agent.namespace)

    async def gone() -> bool:
        return await agent.instance("web-1") is None

    await eventually_async(gone, "web-1 to be gone")
    assert list(agent.host.machine.domains) != []
    assert running.metadata.uid not in agent.host.machine.domains


async def test_the_heartbeat_is_a_lease_of_the_node(agent: Agent) -> None:
    async def renewed() -> bool:
        try:
            lease = await agent.admin.get(LEASES, f"hypervisor-{agent.node}", NAMESPACE)
        except NotFound:
            return False
        return bool(lease["spec"]["holderIdentity"] == agent.node)

    await eventually_async(renewed, "the Lease")


async def test_a_hypervisor_that_somebody_deletes_or_rewrites_is_put_right(agent: Agent) -> None:
    first = await agent.hypervisor_says("LibvirtReady")
    await agent.admin.delete(HYPERVISORS, agent.node)

    async def anew() -> bool:
        return (await agent.hypervisor_says("LibvirtReady")).metadata.uid != first.metadata.uid

    await eventually_async(anew, "a new Hypervisor")
    lie = {"status": {"capacity": {"vcpus": 1000, "memory": "1Ti", "disk": "1Ti"}}}
    await agent.admin.patch(HYPERVISORS, agent.node, lie, subresource="status")

    async def right() -> bool:
        hypervisor = await agent.hypervisor_says("LibvirtReady")
        return hypervisor.status.capacity == first.status.capacity

    await eventually_async(right, "the truth about the capacity")


async def test_a_lost_host_is_told_and_its_instances_wait_for_it(agent: Agent) -> None:
    created = await agent.create("web-1")
    await agent.shows("web-1", "Running")
    agent.host.lose()
    await agent.hypervisor_says("LibvirtUnreachable")
    assert agent.sync.not_ready() == ["libvirt does not answer"]
    await agent.admin.patch(INSTANCES, "web-1", {"spec": {"powerState": "Stopped"}}, agent.namespace)
    assert agent.host.machine.domains[created["metadata"]["uid"]].state is DomainState.RUNNING
    agent.host.recover()
    await agent.hypervisor_says("LibvirtReady")
    await agent.shows("web-1", "Stopped")
    assert agent.sync.not_ready() == []


async def test_a_pool_that_does_not_answer_is_told_until_it_does_again(agent: Agent) -> None:
    await agent.hypervisor_says("LibvirtReady")
    agent.host.machine.fails.add("space")
    agent.sync._looks.add("space")
    told = await agent.hypervisor_says("HostError")
    ready = find(told.status.conditions, "Ready")
    assert ready is not None
    assert ready.message.startswith("internal error: space does not work today; running guests go on")

    agent.host.machine.fails.clear()
    agent.sync._looks.add("space")
    await agent.hypervisor_says("LibvirtReady")


async def test_a_libvirt_that_is_too_old_is_refused_until_it_is_upgraded(agent: Agent) -> None:
    created = await agent.create("web-1")
    await agent.shows("web-1", "Running")
    agent.host.machine.facts = replace(FACTS, libvirt_version="6.0.0")
    agent.host.lose()
    agent.host.recover()
    ready = find((await agent.hypervisor_says("HostTooOld")).status.conditions, "Ready")
    assert ready is not None
    assert ready.status == "False"
    assert ready.message.startswith("libvirt 6.0.0 is too old: Hypernova needs 8.0.0 or newer")
    assert agent.sync.not_ready() == ["libvirt does not answer"]
    assert agent.host.machine.domains[created["metadata"]["uid"]].state is DomainState.RUNNING

    agent.host.machine.facts = FACTS
    await agent.hypervisor_says("LibvirtReady")
    assert agent.sync.not_ready() == []


async def test_a_clock_hours_behind_is_said_and_keeps_no_host_from_its_work(
    cluster: Cluster, client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Behind:
        monotonic = time.monotonic

        @staticmethod
        def time() -> float:
            return time.time() - 7200

    async def skewed(agent: Agent, status: str) -> str:
        async def look() -> str | None:
            agent.sync._looks.add("space")
            found = find((await agent.hypervisor_says("LibvirtReady")).status.conditions, "ClockSkewed")
            return found.reason if found is not None and found.status == status else None

        return await eventually_async(look, f"ClockSkewed to be {status}")

    with monkeypatch.context() as patched:
        patched.setattr(transport, "time", Behind)
        async with an_agent(cluster, client, namespace, Machine(obedient=True)) as agent:
            assert await skewed(agent, "True") == "ClocksDiffer"
            patched.undo()
            assert await skewed(agent, "False") == "ClocksAgree"


async def test_the_administrator_s_overcommit_is_taken_up_at_once(agent: Agent) -> None:
    await agent.hypervisor_says("LibvirtReady")
    await agent.admin.patch(HYPERVISORS, agent.node, {"spec": {"overcommit": {"cpu": 1.0}}})
    for number in range(4):
        await agent.create(f"web-{number}", number=number + 10)
        await agent.shows(f"web-{number}", "Running")
    await agent.create("late", number=20)
    refused = await agent.shows("late", "Failed")
    assert refused.status.conditions[-1].reason == "OutOfResources"
    await agent.admin.patch(HYPERVISORS, agent.node, {"spec": {"overcommit": {"cpu": 2.0}}})
    await agent.shows("late", "Running")


async def test_facts_that_no_host_can_have_are_said_and_running_guests_go_on(agent: Agent) -> None:
    true = (await agent.hypervisor_says("LibvirtReady")).status
    created = await agent.create("web-1")
    await agent.shows("web-1", "Running")
    agent.host.machine.facts = replace(FACTS, memory=1 << 62)
    agent.host.lose()
    agent.host.recover()
    refused = (await agent.hypervisor_says("FactsRefused")).status
    assert "memory must be between 0 and 1Ei" in refused.conditions[0].message
    assert (refused.capacity, refused.allocatable) == (true.capacity, true.allocatable)
    assert agent.host.machine.domains[created["metadata"]["uid"]].state is DomainState.RUNNING
    agent.host.machine.facts = FACTS
    agent.host.lose()
    agent.host.recover()
    await agent.hypervisor_says("LibvirtReady")


async def test_all_that_a_large_host_has_is_taken_by_the_api_server(agent: Agent) -> None:
    cells = tuple(
        HostCell(
            cell,
            tuple(frozenset({128 * cell + core, 4096 + 128 * cell + core}) for core in range(128)),
            1 << 40,
            {2 << 20: 1 << 18, 1 << 30: 256},
        )
        for cell in range(16)
    )
    devices = tuple(PciDevice(f"0000:{n // 8:02x}:00.{n % 8}", "8086", "1572", n % 16) for n in range(600))
    agent.host.machine.facts = replace(FACTS, cells=cells, devices=devices, cpus=4096, memory=1 << 44)
    agent.host.lose()
    agent.host.recover()

    async def told() -> bool:
        hypervisor = await agent.hypervisor_says("LibvirtReady")
        return len(hypervisor.status.cells) == 16 and len(hypervisor.status.devices) == 512

    await eventually_async(told, "the large host")


async def test_a_host_that_shrinks_is_overcommitted_until_an_instance_leaves(agent: Agent) -> None:
    await agent.hypervisor_says("LibvirtReady")
    for number in range(4):
        await agent.create(f"web-{number}", number=number + 10)
        await agent.shows(f"web-{number}", "Running")

    async def overcommitted(status: str) -> str:
        async def look() -> str | None:
            found = find((await agent.hypervisor_says("LibvirtReady")).status.conditions, "Overcommitted")
            return found.message or "nothing" if found is not None and found.status == status else None

        return await eventually_async(look, f"Overcommitted to be {status}")

    await overcommitted("False")
    await agent.admin.patch(HYPERVISORS, agent.node, {"spec": {"dedicatedCpus": "1-3", "overcommit": {"cpu": 3.0}}})
    assert "vCPUs (4 of 3)" in await overcommitted("True")
    assert len(agent.host.machine.domains) == 4
    await agent.admin.patch(INSTANCES, "web-0", {"spec": {"terminationGracePeriodSeconds": 0}}, agent.namespace)
    await agent.admin.delete(INSTANCES, "web-0", agent.namespace)
    await overcommitted("False")
