"""Four hosts with real agents and libvirt in memory, and an operator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from hack.devcluster import Cluster, install
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from support.gitops import Town, an_agent, condition
from support.operators import RESOURCES, OperatorProcess
from support.waiting import eventually_async

ZONES = {"node-a": "hall-1", "node-b": "hall-1", "node-c": "hall-2", "node-d": "hall-2"}


@pytest.fixture(scope="package")
def gitops_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with our kinds and an operator."""
    with Cluster(tmp_path_factory.mktemp("gitops-cluster")) as cluster:
        install(cluster)
        for node, hall in ZONES.items():
            labels = {HYPERVISOR_LABEL: "true", "topology.kubernetes.io/zone": hall}
            cluster.admin.create("/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
        operator = OperatorProcess(cluster, tmp_path_factory.mktemp("gitops-operator"), "operator")
        operator.start()
        try:
            yield cluster
        finally:
            operator.stop()


@pytest.fixture
async def town(gitops_cluster: Cluster) -> AsyncIterator[Town]:
    """Four hosts that take Instances, and nothing that was applied."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await Client.connect(gitops_cluster.kubeconfig, component="test"))
        machines = {node: await stack.enter_async_context(an_agent(gitops_cluster, node)) for node in ZONES}
        town = Town(gitops_cluster, client, machines)

        async def registered() -> bool:
            hypervisors = (await client.list(RESOURCES["Hypervisor"])).items
            return sum(condition(each.get("status", {}), "Ready") == "True" for each in hypervisors) == len(ZONES)

        await eventually_async(registered, "all hosts to be ready", 60)
        yield town
        await town.clear("production/project", "production/cluster")
