import asyncio
import base64
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from websockify.websocket import WebSocket as WebsockifySocket
from websockify.websocket import WebSocketWantReadError

from hypernova_api.console import LONGEST_MESSAGE, LONGEST_REASON, CloseCode
from hypernova_console import pump
from hypernova_console.agents import Agents
from hypernova_console.errors import Refused
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.relay import AgentRelay
from hypernova_console.session import REVOKED, Ending
from support.authority import Authority
from support.console_agent import ScriptedAgent, cut
from support.console_sessions import ScriptedSessions
from support.waiting import eventually_async

AUTHORITY = Authority()
MIB = 1024 * 1024


class Door:
    """A door of the proxy that lets everybody in, before a scripted agent."""

    def __init__(self, agent: ScriptedAgent, agents: Agents, heartbeat: float) -> None:
        self.agent = agent
        self.sessions = ScriptedSessions(agent.place)
        self.metrics = ConsoleMetrics()
        self.relay = AgentRelay(self.sessions, agents, self.metrics, heartbeat=heartbeat)
        application = web.Application()
        application.router.add_get("/stream", self._stream)
        self.runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        self.client: aiohttp.ClientSession

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.relay(request, self.sessions.session, take_over="takeOver" in request.query)
        except Refused as refusal:
            return web.json_response({"reason": refusal.reason}, status=refusal.status)

    @property
    def port(self) -> int:
        return self.runner.addresses[0][1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    async def open(self) -> tuple[aiohttp.ClientWebSocketResponse, web.WebSocketResponse]:
        """A console: the viewer's end and the agent's."""
        timeout = aiohttp.ClientWSTimeout(ws_close=5.0)
        viewer = await self.client.ws_connect(self.url, max_msg_size=0, timeout=timeout)
        return viewer, await self.agent.consoles.get()

    async def open_raw(self) -> tuple[socket.socket, web.WebSocketResponse]:
        """As `open`, for a viewer who does nothing by himself, and has room for little."""
        viewer = socket.socket()
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        viewer.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(viewer, ("127.0.0.1", self.port))
        key = base64.b64encode(os.urandom(16)).decode()
        await loop.sock_sendall(
            viewer,
            f"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode(),
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await loop.sock_recv(viewer, 1)
        return viewer, await self.agent.consoles.get()

    async def over(self) -> None:
        """Waits until nothing is passed on any more."""
        await eventually_async(lambda: self.sessions.viewers == 0, "the end of all sights")


@contextlib.asynccontextmanager
async def opened(heartbeat: float = pump.HEARTBEAT_SECONDS) -> AsyncIterator[Door]:
    async with (
        ScriptedAgent(AUTHORITY.server("node-a")) as agent,
        Agents(AUTHORITY.client("hypernova-console"), heartbeat=heartbeat) as agents,
        aiohttp.ClientSession() as client,
    ):
        door = Door(agent, agents, heartbeat)
        door.client = client
        await door.runner.setup()
        await web.TCPSite(door.runner, "127.0.0.1", 0).start()
        try:
            yield door
        finally:
            door.relay.stop()
            await door.runner.cleanup()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with opened() as door:
        yield door


async def next_of(console: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
    async with asyncio.timeout(20):
        return await console.receive()


async def test_all_messages_pass_both_ways_as_they_are(door: Door) -> None:
    viewer, console = await door.open()
    for source, sink in ((viewer, console), (console, viewer)):
        await source.send_bytes(b"RFB 003.008\n")
        await source.send_str('{"writer": true, "holder": "änn"}')
        await source.send_bytes(b"")
        assert (await next_of(sink))[:2] == (WSMsgType.BINARY, b"RFB 003.008\n")
        assert (await next_of(sink))[:2] == (WSMsgType.TEXT, '{"writer": true, "holder": "änn"}')
        assert (await next_of(sink))[:2] == (WSMsgType.BINARY, b"")


async def test_bytes_and_seconds_are_counted(door: Door) -> None:
    viewer, console = await door.open()
    await viewer.send_bytes(bytes(10))
    await console.send_bytes(bytes(3000))
    await next_of(viewer)
    await next_of(console)
    assert door.metrics.connections.labels("VNC")._value.get() == 1
    closing = asyncio.create_task(viewer.close())
    await next_of(console)
    await closing
    await door.over()
    assert door.metrics.bytes.labels("VNC", "viewer")._value.get() == 3000
    assert door.metrics.bytes.labels("VNC", "guest")._value.get() == 10
    assert door.metrics.seconds.labels("VNC")._value.get() > 0
    assert door.metrics.endings.labels("VNC", "ViewerLeft")._value.get() == 1
    assert door.metrics.connections.labels("VNC")._value.get() == 0


@pytest.mark.parametrize("code", [*CloseCode, WSCloseCode.OK, WSCloseCode.INTERNAL_ERROR])
async def test_why_the_agent_ends_it_reaches_the_viewer(door: Door, code: int) -> None:
    viewer, console = await door.open()
    closing = asyncio.create_task(console.close(code=code, message="bob hät es übernommen".encode()))
    assert await next_of(viewer) == (WSMsgType.CLOSE, code, "bob hät es übernommen")
    await closing
    await door.over()
    name = CloseCode(code).name if code >= 4000 else "OTHER"
    assert door.metrics.endings.labels("VNC", name)._value.get() == 1


async def test_why_the_viewer_leaves_reaches_the_agent(door: Door) -> None:
    viewer, console = await door.open()
    closing = asyncio.create_task(viewer.close(code=1001, message=b"tab closed"))
    assert await next_of(console) == (WSMsgType.CLOSE, 1001, "tab closed")
    await closing
    await door.over()


async def test_an_agent_that_uses_a_code_which_is_never_sent_does_not_break_the_viewer(door: Door) -> None:
    viewer, console = await door.open()
    closing = asyncio.create_task(console.close(code=1006, message=b"odd"))
    assert await next_of(viewer) == (WSMsgType.CLOSE, 1000, "odd")
    await closing


async def test_a_session_that_ends_is_ended_at_once_on_both_sides(door: Door) -> None:
    viewer, console = await door.open()
    door.sessions.ending.set_result(REVOKED)
    assert await next_of(viewer) == (WSMsgType.CLOSE, CloseCode.REVOKED, REVOKED.reason)
    assert await next_of(console) == (WSMsgType.CLOSE, CloseCode.REVOKED, REVOKED.reason)
    await door.over()
    assert door.metrics.endings.labels("VNC", "REVOKED")._value.get() == 1


async def test_a_long_reason_is_cut_between_characters(door: Door) -> None:
    viewer, _ = await door.open()
    door.sessions.ending.set_result(Ending(CloseCode.GONE, "ä" * 100))
    _, code, reason = await next_of(viewer)
    assert (code, reason) == (CloseCode.GONE, "ä" * ((LONGEST_REASON - len("…".encode())) // 2) + "…")


async def test_a_proxy_that_stops_tells_viewers_to_come_again(door: Door) -> None:
    viewer, console = await door.open()
    door.relay.stop()
    assert (await next_of(viewer))[1] == CloseCode.UNREACHABLE
    assert (await next_of(console))[1] == CloseCode.UNREACHABLE
    late = await door.client.ws_connect(door.url)
    assert (await next_of(late))[1] == CloseCode.UNREACHABLE


async def test_an_agent_killed_under_a_console_is_unreachable(door: Door) -> None:
    viewer, console = await door.open()
    cut(console)
    kind, code, reason = await next_of(viewer)
    assert (kind, code) == (WSMsgType.CLOSE, CloseCode.UNREACHABLE)
    assert "agent" in reason
    await door.over()


async def test_a_viewer_who_is_gone_without_a_word_ends_it_for_the_agent(door: Door) -> None:
    viewer, console = await door.open_raw()
    viewer.close()
    assert (await next_of(console))[:2] == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
    await door.over()


async def test_a_half_open_viewer_is_gone_after_two_heartbeats() -> None:
    async with opened(heartbeat=0.2) as door:
        viewer, console = await door.open_raw()
        # The agent's answers to our asking keep its own end alive; the viewer gives none.
        assert (await next_of(console))[:2] == (WSMsgType.CLOSE, WSCloseCode.GOING_AWAY)
        await door.over()
        viewer.close()


async def test_an_agent_that_hangs_is_unreachable_after_two_heartbeats() -> None:
    async with opened(heartbeat=0.2) as door:
        viewer, _ = await door.open()  # of the agent's end nobody reads, so nobody answers
        assert (await next_of(viewer))[:2] == (WSMsgType.CLOSE, CloseCode.UNREACHABLE)


def test_a_half_open_viewer_is_gone_within_a_minute() -> None:
    assert pump.HEARTBEAT_SECONDS * 1.5 <= 60


async def sent_until_held_up(
    send: Callable[[bytes], Awaitable[None]], count: int
) -> tuple["asyncio.Task[None]", list[int]]:
    """Sends that many MiB in pieces of 64 KiB, and comes back when that has stopped getting on, or is done."""
    sent = [0]

    async def flood() -> None:
        for _ in range(count * 16):
            await send(bytes(64 * 1024))
            sent[0] += 64 * 1024

    task = asyncio.create_task(flood())
    before = -1
    while sent[0] != before and not task.done():
        before = sent[0]
        await asyncio.wait([task], timeout=0.5)
    return task, sent


async def test_a_viewer_who_reads_slowly_holds_up_the_guests_screen_and_loses_nothing(door: Door) -> None:
    viewer, console = await door.open_raw()
    task, sent = await sent_until_held_up(console.send_bytes, 40)
    assert sent[0] < 24 * MIB, "the relay takes what its viewer does not"
    received = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60):
        while received < 40 * MIB:  # heads of frames are in it, too
            piece = await loop.sock_recv(viewer, MIB)
            assert piece
            received += len(piece)
        await task
    viewer.close()


async def test_an_agent_that_reads_slowly_holds_up_the_viewers_typing(door: Door) -> None:
    viewer, console = await door.open()
    task, sent = await sent_until_held_up(viewer.send_bytes, 40)
    assert sent[0] < 24 * MIB, "the relay takes what the agent does not"
    received = 0
    while received < 40 * MIB:
        received += len((await next_of(console)).data)
    await task


async def test_a_viewer_who_takes_nothing_is_cut_off_when_it_ends(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "CLOSE_SECONDS", 0.2)
    viewer, console = await door.open_raw()
    task, _ = await sent_until_held_up(console.send_bytes, 40)
    door.sessions.ending.set_result(REVOKED)
    server = door.runner.server
    assert server is not None
    await eventually_async(lambda: not server.connections, "the end of a connection from which nobody reads")
    assert door.metrics.endings.labels("VNC", "REVOKED")._value.get() == 1
    with contextlib.suppress(ConnectionError):  # or all was taken, to be dropped, while the agent was told
        await task
    viewer.close()


async def test_a_message_may_have_just_the_longest_length(door: Door) -> None:
    viewer, console = await door.open()
    for source, sink in ((viewer, console), (console, viewer)):
        await source.send_bytes(bytes(LONGEST_MESSAGE))
        assert len((await next_of(sink)).data) == LONGEST_MESSAGE


async def test_a_longer_message_of_a_viewer_ends_it(door: Door) -> None:
    viewer, console = await door.open()
    await viewer.send_bytes(bytes(LONGEST_MESSAGE + 1))
    assert (await next_of(viewer))[:2] == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
    assert (await next_of(console))[:2] == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)


async def test_a_viewer_who_only_says_that_much_is_coming_is_not_waited_for(door: Door) -> None:
    viewer, console = await door.open_raw()
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(viewer, b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4))
    assert (await next_of(console))[:2] == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
    viewer.close()


async def test_a_longer_message_of_an_agent_ends_it(door: Door) -> None:
    viewer, console = await door.open()
    with contextlib.suppress(ConnectionError):
        await console.send_bytes(bytes(LONGEST_MESSAGE + 1))
    assert (await next_of(viewer))[:2] == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)


async def test_nothing_is_compressed_whatever_a_viewer_offers(door: Door) -> None:
    viewer = await door.client.ws_connect(door.url, compress=15)
    assert viewer.compress == 0


async def test_viewers_of_old_get_the_subprotocol_they_ask_for(door: Door) -> None:
    viewer = await door.client.ws_connect(door.url, protocols=("binary",))
    assert viewer.protocol == "binary"


async def test_a_refusal_comes_before_the_upgrade(door: Door) -> None:
    door.agent.refusal = 409, b'{"reason": "InUse", "message": "bob has it"}'
    for headers in ({}, {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}):
        async with door.client.get(
            door.url, headers={**headers, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        ) as no:
            assert (no.status, await no.json()) == (409, {"reason": "InUse"})


async def test_who_asks_without_an_upgrade_hears_only_that_it_lacks_and_takes_nothing_over(door: Door) -> None:
    asking = asyncio.create_task(door.client.get(door.url, params={"takeOver": "true"}))
    console = await door.agent.consoles.get()
    assert (await next_of(console)).type is WSMsgType.CLOSE
    async with await asking as no:
        assert (no.status, await no.json()) == (426, {"reason": "UpgradeRequired"})
    assert "takeOver" not in door.agent.asked[0].query
    await door.over()


async def test_a_viewer_by_websockify_sees_and_types(door: Door) -> None:
    viewer = WebsockifySocket()
    await asyncio.to_thread(viewer.connect, f"ws://127.0.0.1:{door.port}/stream")
    console = await door.agent.consoles.get()
    await asyncio.to_thread(viewer.sendmsg, b"\x04\x01typed")
    assert (await next_of(console)).data == b"\x04\x01typed"
    await console.send_bytes(b"seen" * 10_000)
    assert await asyncio.to_thread(received_by, viewer) == b"seen" * 10_000
    closing = asyncio.create_task(console.close(code=CloseCode.MOVED, message=b"elsewhere"))
    assert await asyncio.to_thread(received_by, viewer) is None
    assert (viewer.close_code, viewer.close_reason) == (CloseCode.MOVED, "elsewhere")
    await closing


def received_by(viewer: WebsockifySocket) -> bytes | None:
    while True:
        with contextlib.suppress(WebSocketWantReadError):  # a part of a message has come
            return viewer.recvmsg()
