"""The API server is away, deaf, dumb, or has forgotten: guests run on, and the truth is told afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from hack.lab import Host
from hypernova_kube.client import Client
from hypernova_kube.resources import Object
from support.agents import BootImage, Node, make_node
from support.proxy import ANSWERS, REQUESTS, TcpProxy, proxy_of
from support.waiting import eventually_async

BACK_SECONDS = 40.0
"""From the API server's return until all is told: 30 s are promised, on an idle machine. A watch that nobody doubts
would stay silent for 70."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A node whose agent reaches the API server by a proxy."""

    node: Node
    proxy: TcpProxy


@asynccontextmanager
async def behind(cluster: Cluster, client: Client, host: Host, namespace: str, folder: Path) -> AsyncIterator[Behind]:
    async with proxy_of(cluster) as proxy:
        node = make_node(cluster, client, host, folder, namespace, proxy=proxy)
        await node.start()
        yield Behind(node, proxy)
        await node.clear()
        await asyncio.to_thread(node.agent.stop)


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Guests that run, and to which something happens while nobody hears of it: each is called what it does."""

    node: Node
    stays: Object
    uids: dict[str, str]
    pids: dict[str, int]

    @classmethod
    async def begin(cls, node: Node, image: BootImage) -> "Meanwhile":
        names = ("stays", "dies", "stops", "goes")
        uids = {
            name: (await node.create(name, image, terminationGracePeriodSeconds=0))["metadata"]["uid"] for name in names
        }
        for name in names:
            await node.shows(name, "Running", "Running")
        pids = {name: node.qemus(uid)[0] for name, uid in uids.items()}
        stays = await node.get("stays")
        assert stays is not None
        return cls(node, stays, uids, pids)

    async def happens(self, image: BootImage) -> None:
        """And nothing of it keeps the guest that dies from being started again at once."""
        self.node.kill_guest(self.uids["dies"])
        await self.node.edit("stops", powerState="Stopped")
        await self.node.delete("goes")
        await self.node.create("late", image)
        first, uid = self.pids["dies"], self.uids["dies"]
        await eventually_async(lambda: self.node.qemus(uid) not in ([], [first]), "the guest to be started again")

    async def is_told(self) -> None:
        """All of it, and nothing else has happened."""
        node = self.node
        began = time.monotonic()

        async def restarts() -> int | None:
            return ((await node.get("dies")) or {}).get("status", {}).get("restartCount")

        assert await eventually_async(restarts, "the restart to be told", BACK_SECONDS) == 1
        await node.shows("dies", "Running", "Running", seconds=BACK_SECONDS)
        await node.shows("stops", "Stopped", "Stopped", seconds=BACK_SECONDS)
        await node.shows("late", "Running", "Running", seconds=BACK_SECONDS)
        await node.gone("goes", seconds=BACK_SECONDS)
        print(f"all told {time.monotonic() - began:.1f} s after the API server's return")
        assert node.qemus(self.uids["stays"]) == [self.pids["stays"]]
        assert await node.get("stays") == self.stays
        assert len(node.qemus(self.uids["dies"])) == 1
        assert len(node.domains().split()) == 4


def missed_beats(node: Node) -> float:
    return node.agent.metric("hypernova_lease_errors_total")


@pytest.mark.parametrize("lost", [ANSWERS, REQUESTS])
async def test_an_api_server_whose_packets_are_lost_costs_nothing_and_all_is_told_when_it_is_back(
    cluster: Cluster,
    client: Client,
    host: Host,
    namespace: str,
    tmp_path: Path,
    boot_image: BootImage,
    lost: str,
) -> None:
    async with behind(cluster, client, host, namespace, tmp_path) as cut:
        meanwhile = await Meanwhile.begin(cut.node, boot_image)
        cut.proxy.hang(lost)
        await meanwhile.happens(boot_image)
        await eventually_async(lambda: missed_beats(cut.node), "the agent to miss a heartbeat", 60)
        # Those connections that have gone silent stay so, as they do behind a firewall that has lost its state.
        cut.proxy.serve()
        await meanwhile.is_told()


async def test_what_an_api_server_has_forgotten_is_found_by_comparing(
    own_cluster: Cluster, host: Host, tmp_path: Path, boot_image: BootImage
) -> None:
    async with (
        await Client.connect(own_cluster.kubeconfig, component="test") as client,
        behind(own_cluster, client, host, "default", tmp_path) as cut,
    ):
        meanwhile = await Meanwhile.begin(cut.node, boot_image)
        cut.proxy.refuse()
        await meanwhile.happens(boot_image)
        # A new server remembers changes from its own start on only.
        await asyncio.to_thread(own_cluster.stop_apiserver, kill=True)
        await asyncio.to_thread(own_cluster.start_apiserver)
        cut.proxy.serve()
        await meanwhile.is_told()
        assert cut.node.agent.metric("hypernova_kube_watch_restarts_total", cause="expired") >= 1
