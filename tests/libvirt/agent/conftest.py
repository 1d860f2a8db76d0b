"""Agents on lab hosts: one that tests share and leave alive, and one of a test's own, to be broken."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from hack.guest import Guest
from hack.lab import Host
from hypernova_kube.client import Client
from support.agents import BootImage, Node, make_node
from support.image_server import ImageServer


@pytest.fixture
async def node(cluster: Cluster, client: Client, host: Host, namespace: str, tmp_path: Path) -> AsyncIterator[Node]:
    """The shared host with an agent for this test, left without anything of it."""
    node = make_node(cluster, client, host, tmp_path, namespace)
    await node.start()
    yield node
    await node.clear()
    node.agent.stop()


@pytest.fixture
async def own_node(
    cluster: Cluster, client: Client, own_host: Host, namespace: str, tmp_path: Path
) -> AsyncIterator[Node]:
    """A host of the test's own, with its agent."""
    node = make_node(cluster, client, own_host, tmp_path, namespace)
    await node.start()
    yield node
    node.agent.stop()


@pytest.fixture
async def broken_api_node(own_cluster: Cluster, own_host: Host, tmp_path: Path) -> AsyncIterator[Node]:
    """A host and an API server of the test's own, and the agent between them."""
    async with await Client.connect(own_cluster.kubeconfig, component="test") as client:
        node = make_node(own_cluster, client, own_host, tmp_path, "default")
        await node.start()
        yield node
        node.agent.stop()


@pytest.fixture
def boot_image(image_server: ImageServer, guest: Guest) -> BootImage:
    """One boot sector that prints a line a second."""
    return BootImage(image_server.add("boot.raw", guest.boot_sector), guest.boot_sector_sha256)
