"""A console proxy behind a real API server, with an operator that signs for it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from hack.devcluster import Cluster, install
from hack.stack import aggregated, program
from hack.stack.program import Program
from hypernova_kube.client import Client
from support.console_town import PUBLIC_URL, PlayedAgent, Town, api_port
from support.operators import OperatorProcess


@pytest.fixture(scope="package")
def console_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of our own: what is in its API server's log is about us."""
    with Cluster(tmp_path_factory.mktemp("console-cluster")) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture(scope="package")
def console_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs log."""
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="package")
def operator(console_cluster: Cluster, console_folder: Path) -> Iterator[OperatorProcess]:
    """Signs."""
    operator = OperatorProcess(console_cluster, console_folder, "operator")
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()


@pytest.fixture(scope="package")
def console(console_cluster: Cluster, console_folder: Path, operator: OperatorProcess) -> Iterator[Program]:
    """A proxy that reviews sessions each second, and logs all that it ever would."""
    assets = console_folder / "assets"
    for name in ("novnc", "xterm"):
        (assets / name).mkdir(parents=True)
        (assets / name / "index.js").write_text("")  # the page itself is tested elsewhere
    console = program.console(
        console_cluster,
        console_folder,
        "console",
        *("--assets", str(assets), "--public-url", PUBLIC_URL),
        *("--review-seconds", "1", "--log-level", "debug"),
    )
    console.start()
    aggregated.register(console_cluster, api_port(console_folder))
    try:
        aggregated.wait_available(console_cluster)
        yield console
    finally:
        aggregated.unregister(console_cluster)
        console.stop()


@pytest.fixture
async def town(console_cluster: Cluster, console: Program) -> AsyncIterator[Town]:
    """A namespace, an agent and the Instance web-1, for one test."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    delete = ("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await Client.connect(console_cluster.kubeconfig, component="test"))
        await asyncio.to_thread(console_cluster.kubectl, "create", "namespace", namespace)
        stack.push_async_callback(asyncio.to_thread, console_cluster.kubectl, *delete)
        agent = PlayedAgent(console_cluster, client)
        stack.push_async_callback(agent.stop)
        await agent.start()
        town = Town(console_cluster, client, namespace, agent, console)
        stack.push_async_callback(town.end)
        await town.place()
        yield town
