"""Certificates of our own processes: real operators sign, on a real API server, for tokens that are bound to Pods."""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_api.certificates import (
    AGENT_ACCOUNT,
    AUTHORITY,
    BUNDLE_KEY,
    CONSOLE_ACCOUNT,
    CONSOLE_NAME,
    Signer,
)
from hypernova_kube.certificates import CLIENT_USAGES, SERVER_USAGES, Identity, peer_names
from hypernova_kube.certificates.request import (
    REQUESTS,
    NoCertificate,
    Subject,
    answer,
    new_key,
    request_object,
    signing_request,
)
from hypernova_kube.client import Client
from hypernova_kube.errors import Forbidden, NotFound
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import NODES, Object
from hypernova_operator.controllers.signing.ca_bundle import API_SERVICES, CONSOLE_API
from hypernova_operator.controllers.signing.keeping import CONFIG_MAPS, SECRETS, Keeper
from hypernova_operator.metrics import Metrics as OperatorMetrics
from support.operators import OperatorProcess
from support.proxy import proxied, proxy_of
from support.waiting import eventually_async

pytestmark = pytest.mark.usefixtures("operator")

ADDRESS = "192.0.2.7"


@pytest.fixture
async def admin(clean_cluster: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(clean_cluster.kubeconfig, component="test") as client:
        yield client


@pytest.fixture
def asker(clean_cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """Any account of Hypernova's namespace that may make requests, and write approvals as far as RBAC is asked."""
    name = f"asker-{uuid.uuid4().hex[:6]}"
    rules = [
        {"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"], "verbs": ["create", "get"]},
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["certificatesigningrequests/approval", "certificatesigningrequests/status"],
            "verbs": ["patch"],
        },
    ]
    admin, rbac = clean_cluster.admin, "/apis/rbac.authorization.k8s.io/v1"
    admin.create(f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    admin.create(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
        },
    )
    yield name
    admin.delete(f"{rbac}/clusterrolebindings/{name}")
    admin.delete(f"{rbac}/clusterroles/{name}")


async def a_node(admin: Client, cluster: Cluster, account: str = AGENT_ACCOUNT) -> tuple[str, Path]:
    """A node with ADDRESS, and what an account's Pod there logs in with."""
    node = f"node-{uuid.uuid4().hex[:6]}"
    kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, account, node=node)
    addresses = [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": node}]
    await admin.patch(NODES, node, {"status": {"addresses": addresses}}, subresource="status")
    return node, kubeconfig


@asynccontextmanager
async def running(*identities: Identity) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(identity.run()) for identity in identities]
    try:
        for identity in identities:
            await eventually_async(identity.ready.is_set, "a certificate")
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def agents(client: Client, node: str) -> Identity:
    """What an agent makes of itself."""
    return Identity(
        client,
        signer=Signer.AGENT_SERVING,
        common_name=AGENT_ACCOUNT,
        dns_names=[node],
        addresses=[ADDRESS],
        usages=SERVER_USAGES,
        namespace=NAMESPACE,
    )


def consoles(client: Client) -> Identity:
    """What the console proxy makes of itself towards agents."""
    return Identity(
        client,
        signer=Signer.CONSOLE_CLIENT,
        common_name=CONSOLE_NAME,
        dns_names=[CONSOLE_NAME],
        usages=CLIENT_USAGES,
        namespace=NAMESPACE,
    )


async def asked(
    client: Client, *names: str, signer: str = Signer.AGENT_SERVING, common_name: str = AGENT_ACCOUNT
) -> str:
    """The name of a request for a server's certificate with these DNS names."""
    name = f"try-{uuid.uuid4().hex}"
    request = signing_request(new_key(), Subject(common_name, names, ()))
    await client.create(REQUESTS, request_object(name, request, signer=signer, usages=SERVER_USAGES, seconds=600))
    return name


async def denied(client: Client, name: str) -> tuple[str, str]:
    """Reason and message of the condition once a request is denied."""

    async def look() -> tuple[str, str] | None:
        conditions = (await client.get(REQUESTS, name)).get("status", {}).get("conditions", [])
        return next(((each["reason"], each["message"]) for each in conditions if each["type"] == "Denied"), None)

    return await eventually_async(look, f"{name} to be denied")


async def bundle(admin: Client) -> str:
    """Whom all are told to trust."""

    async def look() -> str | None:
        with suppress(NotFound):
            return str((await admin.get(CONFIG_MAPS, AUTHORITY, NAMESPACE))["data"][BUNDLE_KEY])
        return None

    return await eventually_async(look, "whom to trust")


async def test_agent_and_console_meet_and_each_knows_the_other(admin: Client, clean_cluster: Cluster) -> None:
    node, agents_login = await a_node(admin, clean_cluster)
    consoles_login = clean_cluster.service_account_kubeconfig(NAMESPACE, CONSOLE_ACCOUNT)
    heard: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readline(), peer_names(writer.transport)))
        writer.close()

    async with (
        await Client.connect(agents_login) as agents_client,
        await Client.connect(consoles_login) as consoles_client,
        running(agent := agents(agents_client, node), console := consoles(consoles_client)),
        await asyncio.start_server(serve, "127.0.0.1", 0, ssl=agent.server_context()) as server,
    ):
        session = await _open(server, console, node)
        session.writer.write(b"hello\n")
        await eventually_async(lambda: heard, "what was said")
        assert peer_names(session.writer.transport) == {node}
        session.writer.close()
        with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
            await _open(server, console, "node-other")
    assert heard == [(b"hello\n", {CONSOLE_NAME})]


async def test_an_agent_that_asks_for_another_nodes_name_is_denied_with_a_sentence(
    admin: Client, clean_cluster: Cluster, operator: OperatorProcess
) -> None:
    node, login = await a_node(admin, clean_cluster)
    other, _ = await a_node(admin, clean_cluster)
    async with await Client.connect(login) as client:
        reason, message = await denied(admin, await asked(client, other))
    assert reason == "WrongName"
    assert message == f"{other} was asked for, and the one name to be had is {node}"
    assert operator.metric("hypernova_certificates_denied_total", signer=Signer.AGENT_SERVING, reason=reason) >= 1
    assert message in operator.log


async def test_an_identity_that_is_denied_says_why_and_tries_again(
    admin: Client, clean_cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    node, login = await a_node(admin, clean_cluster)
    async with await Client.connect(login) as client:
        identity = agents(client, f"{node}-not")
        task = asyncio.create_task(identity.run())
        words = f"{node}-not was asked for, and the one name to be had is {node}"
        told = [words, words]
        await eventually_async(lambda: _errors(caplog)[:2] == told, "two tries")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not identity.ready.is_set()


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What went wrong, of each time there was no certificate."""
    return [str(vars(record)["keys"]["error"]) for record in caplog.records if record.message == "no certificate"]


async def test_another_account_is_denied_though_its_pod_is_on_the_node(
    admin: Client, clean_cluster: Cluster, asker: str
) -> None:
    node, login = await a_node(admin, clean_cluster, asker)
    async with await Client.connect(login) as client:
        reason, message = await denied(admin, await asked(client, node))
    assert reason == "WrongUser"
    assert message.endswith(f"not system:serviceaccount:{NAMESPACE}:{asker}")


async def test_an_agents_token_that_is_bound_to_no_node_cannot_even_ask(clean_cluster: Cluster) -> None:
    login = clean_cluster.service_account_kubeconfig(NAMESPACE, AGENT_ACCOUNT)
    async with await Client.connect(login) as client:
        with pytest.raises(Forbidden, match="names no node and may write nothing"):
            await asked(client, "node-a")


async def test_who_has_no_right_to_the_signer_can_neither_approve_nor_sign(
    admin: Client, clean_cluster: Cluster, asker: str
) -> None:
    signer = f"{Signer.AGENT_SERVING}-of-nobody"
    node, login = await a_node(admin, clean_cluster, asker)
    async with await Client.connect(login) as client:
        name = await asked(client, node, signer=signer)
        approved: Object = {"type": "Approved", "status": "True", "reason": "Me", "message": "me"}
        with pytest.raises(Forbidden, match="signerName"):
            await client.patch(REQUESTS, name, {"status": {"conditions": [approved]}}, subresource="approval")
        await admin.patch(REQUESTS, name, {"status": {"conditions": [approved]}}, subresource="approval")
        patch = {"status": {"certificate": base64.b64encode((await bundle(admin)).encode()).decode()}}
        with pytest.raises(Forbidden, match="signerName"):
            await client.patch(REQUESTS, name, patch, subresource="status")


async def test_a_request_that_somebody_approved_by_hand_gets_no_more_than_the_rules_allow(
    admin: Client, clean_cluster: Cluster, operator: OperatorProcess
) -> None:
    node, login = await a_node(admin, clean_cluster)
    operator.freeze()
    try:
        async with await Client.connect(login) as client:
            name = await asked(client, f"{node}-not")
        approved: Object = {"type": "Approved", "status": "True", "reason": "Me", "message": "me"}
        await admin.patch(REQUESTS, name, {"status": {"conditions": [approved]}}, subresource="approval")
    finally:
        operator.thaw()

    async def failed() -> bool:
        try:
            answer(await admin.get(REQUESTS, name))
        except NoCertificate as error:
            return error.cause == "failed"
        return False

    await eventually_async(failed, "the request to fail")


async def test_requests_of_other_signers_are_left_alone(admin: Client, clean_cluster: Cluster, asker: str) -> None:
    node, login = await a_node(admin, clean_cluster, asker)
    async with await Client.connect(login) as client:
        foreign = await asked(client, node, signer="example.com/other")
        await denied(admin, await asked(client, node))
        assert (await admin.get(REQUESTS, foreign)).get("status", {}) == {}


async def test_a_renewal_shows_new_certificates_and_keeps_the_sessions(admin: Client, clean_cluster: Cluster) -> None:
    node, agents_login = await a_node(admin, clean_cluster)
    consoles_login = clean_cluster.service_account_kubeconfig(NAMESPACE, CONSOLE_ACCOUNT)
    clients: list[int] = []
    """Serial numbers of what clients have shown."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(_shown(writer))
        await _echo(reader, writer)

    async with (
        await Client.connect(agents_login) as agents_client,
        await Client.connect(consoles_login) as consoles_client,
        running(agent := agents(agents_client, node), console := consoles(consoles_client)),
        await asyncio.start_server(echo, "127.0.0.1", 0, ssl=agent.server_context()) as server,
    ):
        session = await _open(server, console, node)
        assert await session.answers()
        agent.renew()
        console.renew()

        async def both_are_new() -> bool:
            other = await _open(server, console, node)
            answers = await other.answers()
            other.writer.close()
            return answers and other.shown != session.shown and clients[-1] != clients[0]

        await eventually_async(both_are_new, "new certificates on both sides")
        assert await session.answers()
        session.writer.close()


def _shown(writer: asyncio.StreamWriter) -> int:
    """The serial number of the other side's certificate."""
    session = writer.get_extra_info("ssl_object")
    return x509.load_der_x509_certificate(session.getpeercert(binary_form=True)).serial_number


@dataclass(frozen=True, slots=True)
class _Session:
    """A client's side of a connection to an echo."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def shown(self) -> int:
        return _shown(self.writer)

    async def answers(self) -> bool:
        self.writer.write(b"are you there?\n")
        return await self.reader.readline() == b"are you there?\n"


async def _open(server: asyncio.Server, identity: Identity, node: str) -> _Session:
    port = server.sockets[0].getsockname()[1]
    return _Session(
        *await asyncio.open_connection("127.0.0.1", port, ssl=identity.client_context(), server_hostname=node)
    )


async def test_who_may_see_the_authority_alone_follows_it_over_a_broken_connection(
    admin: Client, clean_cluster: Cluster, tmp_path: Path
) -> None:
    node, login = await a_node(admin, clean_cluster)
    registry = CollectorRegistry()

    def restarts(cause: str) -> float:
        labels = {"resource": "configmaps", "cause": cause}
        return registry.get_sample_value("hypernova_kube_watch_restarts_total", labels) or 0

    async with (
        proxy_of(clean_cluster) as proxy,
        await Client.connect(proxied(clean_cluster, proxy, tmp_path, login), metrics=Metrics(registry)) as client,
        running(agents(client, node)),
    ):
        proxy.refuse()
        await eventually_async(lambda: restarts("unreachable") >= 1, "the watch to break")
        proxy.serve()
        served = registry.get_sample_value
        labels = {"verb": "watch", "resource": "configmaps", "code": "200"}
        before = served("hypernova_kube_requests_total", labels) or 0
        await eventually_async(
            lambda: (served("hypernova_kube_requests_total", labels) or 0) > before, "the next watch"
        )
        assert restarts("error") == 0


async def test_leaders_that_race_make_one_authority(admin: Client, clean_cluster: Cluster) -> None:
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    clean_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    keepers = [Keeper(admin, namespace, OperatorMetrics(CollectorRegistry())) for _ in range(8)]
    for _ in range(2):
        # Whoever loses the ConfigMap's race comes again, and finds it.
        await asyncio.gather(*(keeper.keep() for keeper in keepers), return_exceptions=True)
    [authority] = {keeper.authority.bundle for keeper in keepers if keeper.authority}
    assert all(keeper.authority for keeper in keepers)
    stored = await admin.get(SECRETS, AUTHORITY, namespace)
    assert base64.b64decode(stored["data"]["tls.crt"]).decode() == authority
    assert (await admin.get(CONFIG_MAPS, AUTHORITY, namespace))["data"] == {BUNDLE_KEY: authority}
    clean_cluster.admin.delete(f"/api/v1/namespaces/{namespace}")


async def test_an_operator_that_starts_again_keeps_its_authority(
    admin: Client, clean_cluster: Cluster, operator: OperatorProcess
) -> None:
    before = await bundle(admin)
    operator.stop()
    await admin.delete(CONFIG_MAPS, AUTHORITY, NAMESPACE)
    operator.start()
    assert await bundle(admin) == before
    node, login = await a_node(admin, clean_cluster)
    async with await Client.connect(login) as client, running(agents(client, node)):
        pass


async def test_an_authority_that_is_replaced_is_taken_up_by_all_who_run(
    admin: Client, clean_cluster: Cluster, operator: OperatorProcess
) -> None:
    node, agents_login = await a_node(admin, clean_cluster)
    consoles_login = clean_cluster.service_account_kubeconfig(NAMESPACE, CONSOLE_ACCOUNT)
    async with (
        await Client.connect(agents_login) as agents_client,
        await Client.connect(consoles_login) as consoles_client,
        running(agent := agents(agents_client, node), console := consoles(consoles_client)),
        await asyncio.start_server(_echo, "127.0.0.1", 0, ssl=agent.server_context()) as server,
    ):
        session = await _open(server, console, node)
        before = await bundle(admin)
        # It looks for the Secret when it begins to lead, and then every now and then.
        operator.stop()
        await admin.delete(SECRETS, AUTHORITY, NAMESPACE)
        operator.start()

        async def meet() -> bool:
            with suppress(ssl.SSLError):  # one of them has heard of it before the other
                other = await _open(server, console, node)
                other.writer.close()
                return other.shown != session.shown
            return False

        await eventually_async(meet, "both to have certificates of the new authority")
        assert await bundle(admin) != before
        assert await session.answers()
        session.writer.close()
        # Who begins now trusts the new one alone.
        async with await Client.connect(consoles_login) as client, running(newcomer := consoles(client)):
            fresh = await _open(server, newcomer, node)
            assert await fresh.answers()
            fresh.writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def test_the_api_server_is_told_whom_to_trust_as_the_console_proxy(admin: Client) -> None:
    group, _, version = CONSOLE_API.name.partition(".")[::-1]
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": CONSOLE_API.name},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "service": {"name": CONSOLE_NAME, "namespace": NAMESPACE},
        },
    }
    await admin.create(API_SERVICES, service)

    async def told(wanted: str) -> bool:
        spec = (await admin.get(API_SERVICES, CONSOLE_API.name))["spec"]
        return base64.b64decode(spec.get("caBundle", "")).decode() == wanted

    try:
        wanted = await bundle(admin)
        await eventually_async(lambda: told(wanted), "the bundle")
        other = base64.b64encode((await bundle(admin)).encode() * 2).decode()
        await admin.patch(API_SERVICES, CONSOLE_API.name, {"spec": {"caBundle": other}})
        await eventually_async(lambda: told(wanted), "the bundle, put right")
    finally:
        await admin.delete(API_SERVICES, CONSOLE_API.name)
