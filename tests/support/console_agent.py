"""The console endpoint of a node's agent, which does as the test says: HTTPS with mTLS, on a free port of loopback.

async with ScriptedAgent(authority.server("node-a")) as agent:
    agent.refusal = 409, b'{"reason": "InUse", "message": "..."}'     what it answers from now on
    console = await agent.consoles.get()                              a console that was opened: a WebSocket
    agent.asked                                                       the requests, in their order
"""

import asyncio
import ssl
from typing import Self

from aiohttp import web

from hypernova_console.instances import Place


class ScriptedAgent:
    """See the module."""

    def __init__(self, context: ssl.SSLContext, *, node: str = "node-a") -> None:
        self.refusal: tuple[int, bytes] | None = None
        self.headers: dict[str, str] = {}
        """Of refusals."""

        self.picture = b"\x89PNG"
        self.asked: list[web.Request] = []
        self.consoles: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
        self._context = context
        self._node = node
        self._over = asyncio.Event()
        application = web.Application()
        application.router.add_get("/v1/namespaces/{namespace}/instances/{name}/{what}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self._node, "127.0.0.1", self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.refusal is not None:
            status, body = self.refusal
            return web.Response(status=status, body=body, headers=self.headers)
        if request.match_info["what"] == "screenshot":
            return web.Response(body=self.picture, content_type="image/png")
        console = web.WebSocketResponse(compress=False, timeout=1.0, max_msg_size=0)
        await console.prepare(request)
        self.consoles.put_nowait(console)
        await self._over.wait()
        return console


def cut(console: web.WebSocketResponse) -> None:
    """Ends a console as an agent does that is killed: without a word."""
    assert console._req is not None
    assert console._req.transport is not None
    console._req.transport.abort()
