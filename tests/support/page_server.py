"""The consoles' page without a cluster: the routes of the proxy's web port, answering as the test's script says, and a
real QEMU's screen or serial line behind the stream.

with running(assets, guest) as server:
    server.script.phase = "Stopped"              what is answered from now on
    server.end_streams(CloseCode.GUEST_OFF, "The guest is off.")
    server.seen.actions                          what the page has asked for
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from hypernova_api.console import CloseCode, SerialRole
from hypernova_console.web.assets import Asset, Assets
from hypernova_console.web.guard import protect
from support.bare_guest import BareGuest

TICKET = "shop/cs-1/c2VjcmV0"
PATH = "/session/shop/cs-1/"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none."""

    status: int
    reason: str
    message: str

    def response(self) -> web.Response:
        return web.json_response({"reason": self.reason, "message": self.message}, status=self.status)


IN_USE = Refusal(409, "InUse", "bob has had this console to himself since 12:00 UTC; take it over, or come later.")
GUEST_OFF = Refusal(409, "GuestOff", "shop/web-1 is off.")


@dataclass(slots=True)
class Script:
    """What the server says."""

    type: str = "VNC"
    phase: str = "Running"
    message: str = ""
    read_only: bool = False
    user: str = "alice@example.com"
    actions: tuple[str, ...] = ()
    others: int = 0
    lasts: timedelta = timedelta(hours=8)
    role: SerialRole = field(default_factory=lambda: SerialRole(writer=True, holder="alice@example.com"))
    ticket: Refusal | None = None
    """How a ticket is refused."""
    info: Refusal | None = None
    """How the session is refused."""
    stream: Refusal | None = None
    """How the stream is refused; InUse only to those who do not take over."""


@dataclass(slots=True)
class Seen:
    """What the browser did."""

    requests: list[str] = field(default_factory=list)
    redeemed: list[str] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    took_over: int = 0
    ended: int = 0
    messages: list[bytes] = field(default_factory=list)
    """What came by the stream, as the browser cut it."""


class PageServer:
    """Serves on a free port of the loopback interface, in a thread of its own."""

    def __init__(self, assets: Path, guest: BareGuest) -> None:
        self.script = Script()
        self.seen = Seen()
        self.origin = ""
        self._assets = Assets.read(assets)
        self._guest = guest
        self._streams: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()

    @property
    def link(self) -> str:
        """As `kubectl hypernova vnc` prints it."""
        return f"{self.origin}/#ticket={TICKET}"

    @property
    def session(self) -> str:
        """The session's page, for one whose ticket is used up."""
        return self.origin + PATH

    @property
    def open_streams(self) -> int:
        """How many are being looked at."""
        return len(self._streams)

    def reset(self) -> None:
        """Forgets what was scripted and seen."""
        self.script = Script()
        self.seen = Seen()

    def say(self, role: SerialRole) -> None:
        """Tells all who look at a serial line who writes from now on."""

        async def tell() -> None:
            for stream in self._streams:
                await stream.send_str(role.model_dump_json(by_alias=True))

        asyncio.run_coroutine_threadsafe(tell(), self._loop).result(10)

    def end_streams(self, code: int, reason: str) -> None:
        """Ends all that is being looked at."""

        async def end() -> None:
            for stream in tuple(self._streams):
                await stream.close(code=code, message=reason.encode())

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    def cut_streams(self) -> None:
        """Ends them as a proxy that is killed does: without a word."""

        def cut() -> None:
            for stream in self._streams:
                transport = stream._req.transport if stream._req else None
                assert transport is not None
                transport.abort()

        self._loop.call_soon_threadsafe(cut)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serves while the block lasts."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
            yield
            asyncio.run_coroutine_threadsafe(runner.cleanup(), self._loop).result(10)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
            self._loop.close()

    async def _start(self) -> web.AppRunner:
        app = web.Application(middlewares=[self._noted])
        app.on_response_prepare.append(protect)  # as strict as the real one: what would not work there does not here
        app.add_routes(
            [
                web.get("/", self._page),
                web.get(PATH, self._page),
                web.post("/api/redeem", self._redeem),
                web.get(f"{PATH}info", self._info),
                web.get(f"{PATH}stream", self._stream),
                web.post(f"{PATH}actions", self._act),
                web.post(f"{PATH}end", self._end),
                web.get("/static/{path:.+}", self._static),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    @web.middleware
    async def _noted(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.seen.requests.append(f"{request.method} {request.path_qs}")
        return await handler(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return _answer(self._assets.page)

    async def _static(self, request: web.Request) -> web.StreamResponse:
        return _answer(self._assets.static[request.match_info["path"]])

    async def _redeem(self, request: web.Request) -> web.StreamResponse:
        self.seen.redeemed.append((await request.json())["ticket"])
        if self.script.ticket:
            return self.script.ticket.response()
        return web.json_response({"session": "shop/cs-1", "url": PATH})

    async def _info(self, request: web.Request) -> web.StreamResponse:
        script = self.script
        if script.info:
            return script.info.response()
        instance = {"namespace": "shop", "name": "web-1", "phase": script.phase, "message": script.message}
        return web.json_response(
            {
                "instance": instance,
                "type": script.type,
                "readOnly": script.read_only,
                "user": script.user,
                "expiresAt": (datetime.now(UTC) + script.lasts).isoformat(),
                "connected": script.others,
                "actions": script.actions,
            }
        )

    async def _act(self, request: web.Request) -> web.StreamResponse:
        self.seen.actions.append(await request.json())
        return web.json_response({}, status=201)

    async def _end(self, request: web.Request) -> web.StreamResponse:
        self.seen.ended += 1
        for stream in tuple(self._streams):
            await stream.close(code=CloseCode.REVOKED, message=b"alice@example.com ended the session.")
        return web.json_response({})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        takes_over = request.query.get("takeOver") == "true"
        self.seen.took_over += takes_over
        refusal = self.script.stream
        if refusal and not (takes_over and refusal.reason == "InUse"):
            return refusal.response()
        if "Upgrade" not in request.headers:
            return Refusal(426, "UpgradeRequired", "This is a WebSocket.").response()
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        self._streams.add(stream)
        try:
            await self._bridge(stream)
        finally:
            self._streams.discard(stream)
        return stream

    async def _bridge(self, stream: web.WebSocketResponse) -> None:
        serial = self.script.type == "Serial"
        async with _connected(self._guest.serial if serial else self._guest.vnc) as (reader, writer):
            if serial:
                await stream.send_str(self.script.role.model_dump_json(by_alias=True))

            async def outwards() -> None:
                while data := await reader.read(1 << 16):
                    await stream.send_bytes(data)

            sending = asyncio.create_task(outwards())
            async for message in stream:
                assert message.type is WSMsgType.BINARY
                self.seen.messages.append(message.data)
                writer.write(message.data)
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending


def _answer(asset: Asset) -> web.Response:
    return web.Response(body=asset.body, headers={"Content-Type": asset.content_type})


@contextlib.asynccontextmanager
async def _connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.contextmanager
def running(assets: Path, guest: BareGuest) -> Iterator[PageServer]:
    """A PageServer that serves while the block lasts."""
    server = PageServer(assets, guest)
    with server.serving():
        yield server
