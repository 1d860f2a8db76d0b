"""Users of a cluster, and a console proxy that is played."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from hypernova_kube.client import Client
from support.acted import Acted
from support.console_api import ConsoleApi, a_console_api
from support.plugin import Plugin


@pytest.fixture
def plugin(cluster: Cluster, namespace: str) -> Plugin:
    """The plugin, as the administrator runs it."""
    return Plugin(cluster.kubeconfig, namespace)


@pytest.fixture
async def acted(client: Client, namespace: str) -> AsyncIterator[Acted]:
    """Instances whose statuses a test writes, as operator and agent would."""
    acted = Acted(client, namespace)
    try:
        yield acted
    finally:
        await acted.clear()


@pytest.fixture
async def console_api(cluster: Cluster, client: Client, tmp_path: Path) -> AsyncIterator[ConsoleApi]:
    """A console proxy that is played, behind the API server."""
    async with a_console_api(cluster, client, tmp_path) as api:
        yield api
