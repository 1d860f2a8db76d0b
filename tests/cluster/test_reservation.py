"""On nodes that guests share with Pods, kube-scheduler sees what guests hold: kubelet grants a Pod what is bound there.

A real kubelet and the real scheduler; the operator is a process of this machine, and the node's agent is played.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from hack.devcluster import install
from hack.devcluster.install import NAMESPACE
from hack.nodes import KubeLab, pause
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_api.quantity import Quantity
from hypernova_kube.client import Client
from hypernova_operator.controllers.reservation import BASE, CONTAINER
from support.builders import a_flavor, a_hypervisor, a_hypervisor_status
from support.operators import EXACT, HYPERVISORS, Cloud, FakeAgent, OperatorProcess
from support.reservations import LABELS
from support.waiting import eventually_async

NODE = "node-r"
MI = 1 << 20

# A cluster of its own: what `installed` is has nothing but what Helm has put there.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeLab]:
    """One node."""
    with KubeLab(tmp_path_factory.mktemp("shared")) as lab:
        lab.add_node(NODE, {HYPERVISOR_LABEL: "true"})
        install(lab.cluster)
        yield lab


@pytest.fixture(scope="module")
def operator(lab: KubeLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(lab.cluster, tmp_path_factory.mktemp("operator"), "operator", "--reservation")
    operator.start()
    yield operator
    operator.stop()


class Node:
    """The node, as its Pods and kube-scheduler have it."""

    def __init__(self, lab: KubeLab, cloud: Cloud, most: int) -> None:
        self.cloud = cloud
        self.most = most
        """Bytes: there is room for one Pod or Instance of so much, and not for two."""
        self._lab = lab

    async def kubectl(self, *arguments: str, manifest: str = "") -> str:
        # In a thread: a loop that stands still for seconds loses the connections of its client.
        return await asyncio.to_thread(self._lab.cluster.kubectl, *arguments, input=manifest)

    async def run(self, name: str, namespace: str, labels: dict[str, str], memory: int) -> None:
        """A Pod that does nothing."""
        requests = {"cpu": f"{BASE.cpu}m", "memory": str(memory)}
        container = {"name": CONTAINER, "image": pause.NAME, "imagePullPolicy": "Never"}
        spec = {
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "terminationGracePeriodSeconds": 0,
            "containers": [container | {"resources": {"requests": requests}}],
        }
        metadata = {"name": name, "labels": labels}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        await self.kubectl("create", f"--namespace={namespace}", "--filename=-", manifest=json.dumps(body))

    async def neighbour(self, name: str) -> None:
        """A Pod of somebody who knows nothing of guests."""
        await self.run(name, self.cloud.namespace, {}, self.most)

    async def finds_no_memory(self, name: str) -> None:
        """Return once kube-scheduler says so."""
        query = "--output=jsonpath={.status.conditions[?(@.reason=='Unschedulable')].message}"

        async def look() -> bool:
            said = await self.kubectl("get", "pod", name, f"--namespace={self.cloud.namespace}", query)
            return "Insufficient memory" in said

        await eventually_async(look, f"{name} to find no room", 60)

    async def runs(self, name: str, namespace: str = "") -> None:
        where = f"--namespace={namespace or self.cloud.namespace}"
        await self.kubectl("wait", f"pod/{name}", where, "--for=condition=Ready", "--timeout=60s")

    async def end(self, name: str) -> None:
        await self.kubectl(
            *("delete", "pod", name, f"--namespace={self.cloud.namespace}", "--force", "--grace-period=0")
        )

    async def reservation(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            await self.kubectl("get", "pod", "reservation", f"--namespace={NAMESPACE}", "--output=json")
        )
        return found

    async def reserves(self, memory: int, granted: int) -> None:
        """Return once the reservation Pod requests so much, and kubelet has granted so much."""

        async def look() -> bool:
            pod = await self.reservation()
            (container,), (status,) = pod["spec"]["containers"], pod["status"]["containerStatuses"]
            asked = container["resources"]["requests"]["memory"]
            return (Quantity(asked).value, Quantity(status["allocatedResources"]["memory"]).value) == (memory, granted)

        await eventually_async(look, f"the reservation to be {memory} bytes, of which {granted} granted", 60)

    async def hold(self, name: str) -> None:
        """An Instance is bound to it."""
        await self.cloud.instance(name, flavor="most")
        await self.cloud.bound(name)


@pytest.fixture
async def node(lab: KubeLab, operator: OperatorProcess) -> AsyncIterator[Node]:
    """A namespace, the agent's Hypervisor, and the reservation Pod as the DaemonSet would make it."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    lab.cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    allocatable = lab.cluster.admin.get(f"/api/v1/nodes/{NODE}")["status"]["allocatable"]["memory"]
    most = Quantity(allocatable).value * 6 // 10 // MI * MI
    async with await Client.connect(lab.cluster.kubeconfig, component="test") as client:
        cloud = Cloud(lab.cluster, client, namespace)
        await cloud.prepare()
        flavor = await cloud.create(a_flavor("most", vcpus=1, memory=f"{most // MI}Mi", rootDisk="0"))
        agent = FakeAgent(client, NODE)
        await client.create(HYPERVISORS, a_hypervisor(NODE, overcommit=EXACT))
        await agent.report(a_hypervisor_status(memory="1Ti"))
        agent.beat()
        node = Node(lab, cloud, most)
        await node.run("reservation", NAMESPACE, LABELS, BASE.memory)
        await node.runs("reservation", NAMESPACE)
        yield node
        await agent.fall_silent()
        await node.kubectl("delete", "pod", "reservation", f"--namespace={NAMESPACE}", "--wait=true")
        await node.kubectl("delete", "pods", "--all", f"--namespace={namespace}", "--wait=true")
        await cloud.clear()
        await client.delete(HYPERVISORS, NODE)
        await cloud.remove(flavor)


async def test_a_pod_waits_for_memory_that_an_instance_holds_and_runs_when_that_is_gone(node: Node) -> None:
    await node.hold("web-1")
    await node.reserves(node.most, granted=node.most)
    generation = (await node.reservation())["metadata"]["generation"]
    await node.neighbour("neighbour")
    await node.finds_no_memory("neighbour")
    assert (await node.reservation())["metadata"]["generation"] == generation

    await node.cloud.finish("web-1")

    await node.reserves(BASE.memory, granted=BASE.memory)
    await node.runs("neighbour")


async def test_what_pods_took_before_is_theirs_and_the_hypervisor_says_so(
    node: Node, operator: OperatorProcess
) -> None:
    await node.neighbour("first")
    await node.runs("first")
    await node.hold("web-1")
    await node.reserves(node.most, granted=BASE.memory)

    async def told() -> list[str]:
        return [event["message"] for event in await node.cloud.events("ReservationDeferred", "default")]

    (message,) = await eventually_async(told, "an Event", 60)
    assert "Instances hold" in message
    assert "Node didn't have enough resource: memory" in message
    assert operator.metric("hypernova_reservations_pending", reason="Deferred") == 1
    await node.neighbour("second")
    await node.end("first")
    await node.reserves(node.most, granted=node.most)
    await node.finds_no_memory("second")
    await node.cloud.finish("web-1")
    await node.runs("second")
