"""What the console proxy is to the API server, played: an aggregated API server with one guest that a test speaks for.

async with a_console_api(cluster, client) as api:
    api.refusals["serial"] = a_refusal(409, "GuestOff", "the guest is off")
    ... somebody connects ...
    viewer = await api.viewer()
    await viewer.send_bytes(b"login: ")
    assert await viewer.receive_bytes() == b"root"
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from hack.devcluster import Cluster
from hypernova_api.console import SUBRESOURCES_GROUP
from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, NotFound
from hypernova_kube.resources import Object, Resource
from support.waiting import eventually_async

VERSION = "v1alpha1"
NAME = f"{VERSION}.{SUBRESOURCES_GROUP}"
NAMESPACE = "hypernova-system"
SERVICE = "console-played"

API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def a_refusal(code: int, reason: str, message: str) -> Object:
    """A metav1.Status."""
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


class ConsoleApi:
    """Serves whoever comes; what it does next is said here."""

    def __init__(self) -> None:
        self.refusals: dict[str, Object] = {}
        """By subresource, as long as they stand here."""

        self.asked: list[tuple[str, str, dict[str, str]]] = []
        """User, path below the namespaces, and query of each request."""

        self.tickets: list[Object] = []
        self._viewers: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self._connections: set[asyncio.Transport] = set()

    def cut(self) -> None:
        """Cut all connections, as a crash does."""
        for connection in self._connections:
            connection.abort()
        self._connections.clear()

    async def viewer(self) -> web.WebSocketResponse:
        """The next that has connected."""
        async with asyncio.timeout(90):
            return await self._viewers.get()

    def application(self) -> web.Application:
        """Its routes."""
        application = web.Application(middlewares=[self._noted])
        root = f"/apis/{SUBRESOURCES_GROUP}"
        instance = f"{root}/{VERSION}/namespaces/{{namespace}}/instances/{{name}}"
        application.add_routes(
            [
                web.get(f"{root}/{VERSION}", self._discovery),
                web.get(f"{instance}/{{what:vnc|serial}}", self._console),
                web.get(f"{instance}/{{what:screenshot}}", self._screenshot),
                web.post(f"{instance}/{{what:ticket}}", self._ticket),
            ]
        )
        return application

    @web.middleware
    async def _noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport is not None:
            self._connections.add(request.transport)
        return await handler(request)

    async def _discovery(self, _: web.Request) -> web.Response:
        resources = [
            {"name": f"instances/{name}", "singularName": "", "namespaced": True, "kind": "Instance", "verbs": verbs}
            for name, verbs in {"vnc": ["get"], "serial": ["get"], "screenshot": ["get"], "ticket": ["create"]}.items()
        ]
        version = f"{SUBRESOURCES_GROUP}/{VERSION}"
        return web.json_response(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
        )

    async def _console(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        websocket = web.WebSocketResponse()
        if not websocket.can_prepare(request):
            return web.json_response(a_refusal(400, "NoWebSocket", "a console is a WebSocket"), status=400)
        await websocket.prepare(request)
        self._viewers.put_nowait(websocket)
        # It is the test that reads and writes, until all is over and this is cancelled.
        await asyncio.get_running_loop().create_future()
        return websocket

    async def _screenshot(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.Response(body=PNG, content_type="image/png")

    async def _ticket(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        ticket = await request.json()
        self.tickets.append(ticket)
        status = {
            "url": "https://console.example.com/#ticket=shop/s-1/secret",
            "expiresAt": "2999-01-01T00:00:00Z",
            "session": "s-1",
        }
        return web.json_response(ticket | {"status": status}, status=201)

    def _refusal(self, request: web.Request) -> web.Response | None:
        path = request.path.partition("/namespaces/")[2]
        self.asked.append((request.headers.get("X-Remote-User", ""), path, dict(request.query)))
        status = self.refusals.get(request.match_info["what"])
        return web.json_response(status, status=status["code"]) if status else None


@asynccontextmanager
async def a_console_api(cluster: Cluster, client: Client, folder: Path) -> AsyncIterator[ConsoleApi]:
    """One that the API server passes requests on to, until the block is left."""
    api = ConsoleApi()
    certificate, key = _certificate(folder)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(cluster.folder / "pki" / "front-proxy-ca.crt"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(certificate, key)
    runner = web.AppRunner(api.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    await client.create(SERVICES, _service(port))
    await client.create(API_SERVICES, _api_service(port, certificate.read_bytes()))
    try:
        await eventually_async(lambda: _answers(client), "the API server to pass requests on")
        api.asked.clear()
        yield api
    finally:
        await client.delete(API_SERVICES, NAME)
        await client.delete(SERVICES, SERVICE, NAMESPACE)
        api.cut()
        await runner.cleanup()
        await eventually_async(lambda: _forgotten(client), "the API server to pass nothing on any more")


async def _answers(client: Client) -> bool:
    with suppress(ApiError):
        return "serial" in await client.get_raw(f"/apis/{SUBRESOURCES_GROUP}/{VERSION}")
    return False


async def _forgotten(client: Client) -> bool:
    try:
        await client.get_raw(f"/apis/{SUBRESOURCES_GROUP}/{VERSION}")
    except NotFound:
        return True
    except ApiError:
        return False
    return False


def _service(port: int) -> Object:
    spec = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]}
    return {"metadata": {"namespace": NAMESPACE, "name": SERVICE}, "spec": spec}


def _api_service(port: int, certificate: bytes) -> Object:
    return {
        "metadata": {"name": NAME},
        "spec": {
            "group": SUBRESOURCES_GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "caBundle": base64.b64encode(certificate).decode(),
            "service": {"namespace": NAMESPACE, "name": SERVICE, "port": port},
        },
    }


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Certificate and key of the Service; it is its own authority."""
    certificate, key = folder / "console.crt", folder / "console.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=console", "-days", "30"),
            *("-addext", f"subjectAltName=DNS:{SERVICE}.{NAMESPACE}.svc"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key
