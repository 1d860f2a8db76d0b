"""A namespace behind a console proxy and a real API server: users, and Instances on the node of a played agent."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import WSMsgType, web

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.stack import program
from hack.stack.program import Program, kept_port
from hypernova_api.certificates import AGENT_ACCOUNT, Signer
from hypernova_api.console import SUBRESOURCES_GROUP, CloseCode
from hypernova_api.meta import VERSION
from hypernova_console.instances import INSTANCES
from hypernova_console.session import SESSIONS
from hypernova_kube.certificates import SERVER_USAGES, Identity, peer_names
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import NODES, Object, Resource
from support.builders import a_hypervisor_status, an_instance
from support.operators import FakeAgent
from support.waiting import eventually_async

SUBRESOURCES = Resource(SUBRESOURCES_GROUP, VERSION, "instances", "Instance")
PUBLIC_URL = "https://console.example.com"
PNG = b"\x89PNG\r\n\x1a\n what there is to see"
GREETING = b"RFB 003.008\n"


def api_port(folder: Path) -> int:
    """Where the proxy answers API servers."""
    return kept_port(folder / "console.api-port")


class PlayedAgent:
    """A node whose agent greets viewers, says everything after them, and notes who they were."""

    def __init__(self, cluster: Cluster, client: Client) -> None:
        self.name = f"node-{uuid.uuid4().hex[:6]}"
        self.asked: list[dict[str, str]] = []
        """Query and path of each request."""

        self.peers: list[frozenset[str]] = []
        self.refuses: tuple[int, Object] | None = None
        self.port = 0
        self._cluster = cluster
        self._client = client
        self._fake = FakeAgent(cluster, client, self.name)
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        await self._fake.register({}, a_hypervisor_status())
        self._fake.beat()
        addresses = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}}
        await self._client.patch(NODES, self.name, addresses, subresource="status")
        kubeconfig = await asyncio.to_thread(program.agent_kubeconfig, self._cluster, self.name)
        own = await self._stack.enter_async_context(await Client.connect(kubeconfig, component="agent"))
        identity = Identity(
            own,
            signer=Signer.AGENT_SERVING,
            common_name=AGENT_ACCOUNT,
            dns_names=[self.name],
            addresses=["127.0.0.1"],
            usages=SERVER_USAGES,
            namespace=NAMESPACE,
        )
        self._stack.callback(asyncio.create_task(identity.run()).cancel)
        async with asyncio.timeout(60):
            await identity.ready.wait()
        app = web.Application()
        app.router.add_get("/v1/namespaces/{namespace}/instances/{name}/{what}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=identity.server_context()).start()
        self.port = runner.addresses[0][1]
        await self.offer_consoles()

    async def offer_consoles(self, port: int | None = None) -> None:
        """Have the Hypervisor say where."""
        await self._fake.report({"console": {"address": "127.0.0.1", "port": port or self.port}})

    async def stop(self) -> None:
        await self._stack.aclose()
        await self._fake.remove()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({**request.query, "path": request.path})
        self.peers.append(peer_names(request.transport))
        if self.refuses is not None:
            return web.json_response(self.refuses[1], status=self.refuses[0])
        if request.match_info["what"] == "screenshot":
            return web.Response(body=PNG, content_type="image/png")
        viewer = web.WebSocketResponse()
        await viewer.prepare(request)
        await viewer.send_bytes(GREETING)
        async for message in viewer:
            if message.type is WSMsgType.BINARY:
                if message.data == b"off":
                    await viewer.close(code=CloseCode.GUEST_OFF, message=b"the guest was shut down")
                    break
                await viewer.send_bytes(message.data)
        return viewer


@dataclass(frozen=True, slots=True)
class Town:
    """A namespace with the Instance web-1 on a played agent's node, and users."""

    cluster: Cluster
    client: Client
    """An administrator's."""

    namespace: str
    agent: PlayedAgent
    console: Program
    users: dict[str, Client] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def place(self, name: str = "web-1") -> Object:
        """An Instance as it is when it runs on the agent's node."""
        await self.client.create(INSTANCES, an_instance(name, self.namespace))
        status = {"nodeName": self.agent.name, "phase": "Running"}
        return await self.client.patch(INSTANCES, name, {"status": status}, self.namespace, subresource="status")

    async def user(self, name: str, *roles: str) -> Client:
        """A ServiceAccount's client, with ClusterRoles in the namespace."""
        kubeconfig = await asyncio.to_thread(self.cluster.service_account_kubeconfig, self.namespace, name)
        for role in roles:
            await self.grant(name, f"--clusterrole={role}")
        return await self.stack.enter_async_context(await Client.connect(kubeconfig, component="test"))

    async def grant(self, user: str, role: str) -> str:
        """Give a user a role of the namespace; returns the binding's name."""
        binding = f"{user}-{uuid.uuid4().hex[:6]}"
        account = f"--serviceaccount={self.namespace}:{user}"
        await self.kubectl("create", "rolebinding", binding, role, account)
        return binding

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """As the administrator, in the namespace."""
        return await asyncio.to_thread(
            self.cluster.kubectl, *arguments, f"--namespace={self.namespace}", input=stdin, timeout=60
        )

    async def sessions(self) -> list[Object]:
        return (await self.client.list(SESSIONS, namespace=self.namespace)).items

    async def no_sessions(self) -> None:
        """Wait until none is left."""

        async def none() -> bool:
            return not await self.sessions()

        await eventually_async(none, "the sessions to go")

    async def end(self) -> None:
        await self.stack.aclose()
        for obj in (await self.client.list(INSTANCES, namespace=self.namespace)).items:
            with suppress(NotFound):
                await self.client.delete(INSTANCES, obj["metadata"]["name"], self.namespace)
                # There is no agent that would take the finalizer away.
                nothing = {"metadata": {"finalizers": None}}
                await self.client.patch(INSTANCES, obj["metadata"]["name"], nothing, self.namespace)
