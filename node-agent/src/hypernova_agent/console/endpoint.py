"""The HTTPS endpoint of a node's consoles, for the console proxy alone.

GET /v1/namespaces/NAMESPACE/instances/NAME/{vnc,serial}?uid=UID&user=USER&session=NAMESPACE/NAME
    [&readOnly=true][&exclusive=true][&takeOver=true]      a WebSocket: binary messages, SerialRole as text, CloseCode
GET /v1/namespaces/NAMESPACE/instances/NAME/screenshot?uid=UID&user=USER      image/png

What cannot be had is answered before the upgrade, as JSON {"reason": "CamelCase", "message": "sentence"}:
    400 BadRequest        403 NotTheConsoleProxy   404 InstanceNotHere   409 InUse (with "holder"), GuestOff
    429 TooManyViewers    502 HostError            503 HostUnreachable
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web
from prometheus_client import Counter

from hypernova_agent.console import terminal
from hypernova_agent.console.consoles import Consoles
from hypernova_agent.console.endings import Ending
from hypernova_agent.console.request import ConsoleRequest, Refused, read_request
from hypernova_agent.console.screen import screen_of
from hypernova_agent.console.viewer import converse, hang_up, new_socket
from hypernova_api.certificates import CONSOLE_NAME
from hypernova_api.console import ConsoleType
from hypernova_kube.certificates import peer_names
from hypernova_kube.process.listening import listen

_LONGEST_LINE = 16384
"""Bytes of a request's first line: a user's name may be long."""

_SHUTDOWN_SECONDS = 5.0
"""What those who have been told to end may still take."""

_INSTANCE = "/v1/namespaces/{namespace}/instances/{name}"


class Endpoint:
    """Serves consoles: `async with Endpoint(...) as endpoint: log.info("serving", port=endpoint.port)`."""

    def __init__(self, consoles: Consoles, context: ssl.SSLContext, host: str, port: int) -> None:
        """An endpoint that is not served yet.

        Args:
            consoles: what can be had.
            context: lets nobody in without a certificate of our authority that is good for clients.
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
        """
        self.port = port
        """The port, once served."""

        self._consoles = consoles
        self._context = context
        self._host = host
        application = web.Application(middlewares=[self._answering])
        application.router.add_get(f"{_INSTANCE}/vnc", self._vnc)
        application.router.add_get(f"{_INSTANCE}/serial", self._serial)
        application.router.add_get(f"{_INSTANCE}/screenshot", self._screenshot)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS, max_line_size=_LONGEST_LINE
        )

    async def __aenter__(self) -> Self:
        self.port = await listen(self._runner, self._host, self.port, self._context)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _answering(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refusal:
            self._consoles.metrics.console_refusals.labels(refusal.told["reason"]).inc()
            return web.json_response(refusal.told, status=refusal.status)

    async def _vnc(self, request: web.Request) -> web.StreamResponse:
        consoles = self._consoles
        asked, uid = self._admit(request, viewing=True)
        async with screen_of(await consoles.have(uid, consoles.host.open_graphics)) as screen:
            with consoles.seat(asked, uid, ConsoleType.VNC) as viewer:
                socket = await _upgraded(request)
                sent, received = self._counters(ConsoleType.VNC)
                ending = await converse(
                    viewer,
                    self._until_ended(screen.show(socket, sent), asked, uid),
                    screen.hear(socket, received, read_only=asked.read_only),
                )
        await hang_up(request, socket, ending)
        return socket

    async def _serial(self, request: web.Request) -> web.StreamResponse:
        consoles = self._consoles
        asked, uid = self._admit(request, viewing=True)
        async with contextlib.AsyncExitStack() as held:
            port = await consoles.have(uid, lambda uid: held.enter_async_context(consoles.serial_ports.port(uid)))
            viewer = held.enter_context(consoles.seat(asked, uid, ConsoleType.SERIAL))
            socket = await _upgraded(request)
            listener = held.enter_context(port.listening(viewer, take_over=asked.take_over))
            sent, received = self._counters(ConsoleType.SERIAL)
            ending = await converse(
                viewer,
                self._until_ended(terminal.show(listener, socket, sent), asked, uid),
                terminal.hear(port, viewer, socket, received),
            )
        await hang_up(request, socket, ending)
        return socket

    async def _screenshot(self, request: web.Request) -> web.StreamResponse:
        _, uid = self._admit(request)
        picture = await self._consoles.have(uid, self._consoles.host.screenshot)
        return web.Response(body=picture, content_type="image/png")

    def _admit(self, request: web.Request, *, viewing: bool = False) -> tuple[ConsoleRequest, str]:
        """What is asked for, and the UID of the domain.

        Raises:
            Refused: it cannot be had by who asks, or as he asks.
        """
        transport = request.transport
        if transport is None or peer_names(transport) != {CONSOLE_NAME}:
            raise Refused(403, "NotTheConsoleProxy", f"consoles are passed on to {CONSOLE_NAME} alone")
        if viewing and not new_socket().can_prepare(request):
            raise Refused(400, "BadRequest", "this is a WebSocket, and the request asks for none")
        asked = read_request(request.match_info, request.query.items(), viewing=viewing)
        return asked, self._consoles.domain_of(asked)

    async def _until_ended(self, showing: Awaitable[None], asked: ConsoleRequest, uid: str) -> Ending:
        await showing
        return await self._consoles.why_ended(asked, uid)

    def _counters(self, kind: ConsoleType) -> tuple[Counter, Counter]:
        """Of bytes to viewers, and from them."""
        count = self._consoles.metrics.console_bytes
        return count.labels(kind.value, "out"), count.labels(kind.value, "in")


async def _upgraded(request: web.Request) -> web.WebSocketResponse:
    socket = new_socket()
    await socket.prepare(request)
    return socket
