"""User data in a Secret: the conductor's own code hands it to a real agent, and a Linux guest runs it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.guest import Guest
from hack.lab import Host
from hack.stack import program
from hypernova_kube.client import Client
from hypernova_kube.resources import Object
from hypernova_operator.conductor.server import Conductor
from hypernova_operator.conductor.user_data import SECRETS
from hypernova_operator.controllers.signing.signing import Signing
from hypernova_operator.metrics import Metrics
from support.agents import BootImage, Node, make_node
from support.image_server import ImageServer
from support.waiting import eventually

SECRET = "#!/bin/sh\necho HYPERNOVA-GUEST S3CRET >/dev/console\n"
REFERENCE: Object = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}


@pytest.fixture
def linux(image_server: ImageServer, guest: Guest) -> BootImage:
    """Linux, from a qcow2."""
    return BootImage(image_server.add("linux.qcow2", guest.qcow2), guest.sha256, format="qcow2", name="linux")


@pytest.fixture
async def asking_node(
    cluster: Cluster, client: Client, host: Host, namespace: str, tmp_path: Path
) -> AsyncIterator[Node]:
    """The shared host with an agent that knows where the conductor is."""
    node = make_node(cluster, client, host, tmp_path, namespace)
    flags = program.conductor_flags(cluster, tmp_path, node.name)
    node = replace(node, agent=program.agent(cluster, host, tmp_path, node.name, *flags))
    await node.start()
    yield node
    await node.clear()
    node.agent.stop()


@asynccontextmanager
async def conducting(cluster: Cluster, folder: Path) -> AsyncIterator[None]:
    """A conductor with an operator's rights, and the authority that certifies it."""
    login = cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
    async with await Client.connect(login, component="test") as client:
        metrics = Metrics()
        port = program.conductor_port(folder, "operator")
        conductor = Conductor(client, NAMESPACE, program.LOOPBACK, port, metrics)
        parts = [asyncio.create_task(each.run()) for each in (Signing(client, NAMESPACE, metrics), conductor)]
        try:
            yield
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)


async def shown(node: Node, uid: str, words: str) -> None:
    await asyncio.to_thread(eventually, lambda: words in node.console(uid), f"the guest to say {words}", 150)


async def test_a_guest_runs_what_is_in_a_secret_once_its_namespace_is_open_and_the_agent_keeps_nothing_of_it(
    asking_node: Node, linux: BootImage, cluster: Cluster, client: Client, namespace: str, tmp_path: Path
) -> None:
    node = asking_node
    metadata = {"name": "web-init", "namespace": namespace}
    data = {"user-data": base64.b64encode(SECRET.encode()).decode()}
    await client.create(SECRETS, {"metadata": metadata, "data": data})
    created = await node.create("web-1", linux, memory="96Mi", disk="1Gi", userData=REFERENCE)
    uid = created["metadata"]["uid"]
    await node.shows("web-1", "Failed", "ConductorUnreachable", message="next try at")
    async with conducting(cluster, tmp_path):
        await node.shows("web-1", "Failed", "UserDataForbidden", message="kubectl create rolebinding", seconds=90)
        account = f"--serviceaccount={NAMESPACE}:hypernova-operator"
        flags = ("--namespace", namespace, "--clusterrole=hypernova-user-data")
        await asyncio.to_thread(cluster.kubectl, "create", "rolebinding", "user-data", *flags, account)
        await node.shows("web-1", "Running", "Running", seconds=120)
        await shown(node, uid, "HYPERNOVA-GUEST S3CRET")
    await _runs_on_without_a_conductor(node, uid)
    stored = await node.get("web-1")
    kept: dict[str, Callable[[], str]] = {
        "the agent's log": lambda: node.agent.log,
        "the domain": lambda: node.host.run("virsh", "dumpxml", uid).stdout,
        "the Instance": lambda: str(stored),
    }
    for what, read in kept.items():
        text = read()
        assert text
        assert "S3CRET" not in text, what
        assert data["user-data"] not in text, what


async def _runs_on_without_a_conductor(node: Node, uid: str) -> None:
    """Its agent begins anew, and it is powered off and on."""
    before = node.qemus(uid)
    await asyncio.to_thread(node.agent.stop)
    await node.start()
    assert node.qemus(uid) == before
    await node.edit("web-1", powerState="Stopped", terminationGracePeriodSeconds=0)
    await node.shows("web-1", "Stopped", "Stopped")
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
