"""What happens while the operator does not see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_api.meta import FINALIZER
from hypernova_kube.client import Client
from hypernova_kube.errors import ServerError
from hypernova_kube.resources import LEASES, Object
from support.operators import INSTANCES, LEADER, Cloud, OperatorProcess
from support.proxy import TcpProxy, proxy_of
from support.waiting import eventually_async

FAR_FUTURE = "2099-01-01T00:00:00.000000Z"


@pytest.fixture
async def proxy(own_cluster: Cluster) -> AsyncIterator[TcpProxy]:
    async with proxy_of(own_cluster) as proxy:
        yield proxy


def _operator(cluster: Cluster, proxy: TcpProxy, folder: Path) -> OperatorProcess:
    """An operator that reaches the API server by way of the proxy, and sweeps every few seconds."""
    direct = cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
    kubeconfig = folder / "proxied.yaml"
    kubeconfig.write_text(direct.read_text().replace(cluster.url, f"https://127.0.0.1:{proxy.port}"))
    return OperatorProcess(cluster, folder, "operator", "--sweep-seconds", "3", kubeconfig=kubeconfig)


async def _somebody_else_leads(client: Client) -> None:
    """Holds the leader's Lease, so that the operator stands by for as long as the watch is broken."""
    spec = {"holderIdentity": "test", "leaseDurationSeconds": 3600, "renewTime": FAR_FUTURE}
    lease = {"metadata": {"name": LEADER, "namespace": NAMESPACE}, "spec": spec}
    await client.create(LEASES, {"apiVersion": LEASES.api_version, "kind": LEASES.kind, **lease})


async def _create_when_served(cloud: Cloud, name: str) -> None:
    """A new API server is ready some time before its admission knows our kinds."""

    async def create() -> Object | None:
        with suppress(ServerError):
            return await cloud.instance(name)
        return None

    await eventually_async(create, "the API server to take Instances")


async def test_a_deletion_that_a_broken_watch_missed_is_noticed_and_its_room_given_away(
    own_cluster: Cluster, proxy: TcpProxy, tmp_path: Path
) -> None:
    own_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    operator = _operator(own_cluster, proxy, tmp_path)
    try:
        async with await Client.connect(own_cluster.kubeconfig, component="test") as client:
            cloud = Cloud(own_cluster, client, "shop")
            await cloud.prepare()
            await _somebody_else_leads(client)
            host = await cloud.host("node-a", vcpus=1)
            await cloud.instance("old", finalizers=[FINALIZER])
            binding = {
                "nodeName": "node-a",
                "flavor": {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "0"},
                "addresses": [{"network": "default", "ip": "10.60.0.2", "mac": "52:54:00:00:00:01"}],
            }
            await client.patch(INSTANCES, "old", {"status": binding}, "shop", subresource="status")
            await asyncio.to_thread(operator.start)  # the proxy lives in this event loop
            await eventually_async(lambda: operator.metric("hypernova_instances") == 1, "the operator to know it")

            proxy.refuse()
            await cloud.delete("old")
            await client.patch(INSTANCES, "old", {"metadata": {"finalizers": None}}, "shop")
            await cloud.gone("old")
            await host.fall_silent()
            # A new API server does not remember what was deleted before its time.
            await asyncio.to_thread(own_cluster.stop_apiserver, kill=True)
            await asyncio.to_thread(own_cluster.start_apiserver)
            proxy.serve()

            await eventually_async(
                lambda: operator.metric("hypernova_instances") == 0, "the deletion to be noticed", 60
            )
            assert operator.metric("hypernova_cache_differences_total", what="gone") == 1, (
                "the watch has told after all"
            )
            host.beat()
            await client.delete(LEASES, LEADER, NAMESPACE)
            await _create_when_served(cloud, "new")
            bound = await cloud.bound("new", to="node-a")
            assert bound["status"]["addresses"][0]["ip"] == "10.60.0.2"
            await host.fall_silent()
    finally:
        operator.stop()


async def test_connections_that_are_cut_or_go_silent_cost_nothing_but_time(
    own_cluster: Cluster, proxy: TcpProxy, tmp_path: Path
) -> None:
    own_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    operator = _operator(own_cluster, proxy, tmp_path)
    try:
        async with await Client.connect(own_cluster.kubeconfig, component="test") as client:
            cloud = Cloud(own_cluster, client, "shop")
            await cloud.prepare()
            host = await cloud.host("node-a", vcpus=6)
            await asyncio.to_thread(operator.start)  # the proxy lives in this event loop
            for number in range(8):
                (proxy.cut, proxy.stall)[number == 4]()
                await cloud.instance(f"web-{number}")
            instances = await cloud.settled(Bound=6, NoHostFits=2)
            assert Counter(obj["status"].get("nodeName", "nowhere") for obj in instances) == {
                host.name: 6,
                "nowhere": 2,
            }
            addresses = [obj["status"]["addresses"][0]["ip"] for obj in instances if "addresses" in obj["status"]]
            assert len(set(addresses)) == 6
            assert operator.running
            await host.fall_silent()
    finally:
        operator.stop()
