"""The inside of a console being passed on: two WebSockets, the viewer's and the agent's, message by message.

No message is kept: the next one is read when the other side has taken the last, so that a viewer who reads slowly holds
up the guest's screen and does not fill our memory. How one of them says goodbye (close code, reason) the other hears.

Both are aiohttp's. websockify's were measured beside them (tests/bench/console): they block, so it takes a process to
each viewer; they end at text messages, by which viewers of a serial console learn who writes; and they take messages of
any length.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import ClientWebSocketResponse, WebSocketError, WSCloseCode, WSMsgType, web

from hypernova_api.console import LONGEST_MESSAGE, CloseCode, close_reason

AgentSocket = ClientWebSocketResponse[bool]
ViewerSocket = web.WebSocketResponse[bool]

HEARTBEAT_SECONDS = 30.0
"""How long either may be silent before it is asked for a sign of life. One that gives none for half as long is gone."""

CLOSE_SECONDS = 3.0
"""How long either may take to agree to the end."""

LONGEST_TAKEN = LONGEST_MESSAGE + 1
"""As aiohttp has it, which refuses a message of just this length."""

_WRITE_BYTES = 64 * 1024
"""After how much it is looked whether the kernel takes more. What the kernel itself keeps for a viewer follows his
pace (net.ipv4.tcp_wmem). To have it keep less was measured to cost a fifth and more of a quick viewer's throughput."""

_NEVER_SENT = frozenset({1004, 1005, 1006})
"""Close codes that RFC 6455 keeps for other uses."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a console ends: what a WebSocket is closed with."""

    code: int
    """A `CloseCode`, or one of RFC 6455."""

    reason: str
    """A sentence for people."""

    by_viewer: bool = False
    """Whether he left, or broke the protocol."""


Count = Callable[[int], None]
"""Told the bytes of each message that has been passed on."""

STOPPING = Goodbye(CloseCode.UNREACHABLE, "The console proxy is being stopped: come again, another one answers.")
_AGENT_GONE = Goodbye(CloseCode.UNREACHABLE, "The node's agent broke off, or does not answer any more.")
_VIEWER_GONE = Goodbye(WSCloseCode.GOING_AWAY, "The viewer is gone.", by_viewer=True)


def viewer_socket(heartbeat: float = HEARTBEAT_SECONDS) -> ViewerSocket:
    """The WebSocket that a viewer's request is to become."""
    return web.WebSocketResponse(
        # Viewers of the days of websockify ask for it, and want to see it granted.
        protocols=("binary",),
        max_msg_size=LONGEST_TAKEN,
        # Screens are compressed already, as RFB has it; and to inflate a stranger's bytes is to give him memory.
        compress=False,
        heartbeat=heartbeat,
        timeout=CLOSE_SECONDS,
        writer_limit=_WRITE_BYTES,
        decode_text=False,
    )


async def pump(
    request: web.Request,
    viewer: ViewerSocket,
    agent: AgentSocket,
    ended: Awaitable[Goodbye],
    *,
    to_viewer: Count,
    to_guest: Count,
) -> Goodbye:
    """Upgrade the viewer's request to `viewer`, and pass all on between him and the agent until that ends.

    Both are closed afterwards, whatever happens.

    Args:
        request: the viewer's.
        viewer: not prepared yet.
        agent: open, and nothing has been read from it.
        ended: comes when it must end for another reason; cancelled when it ends by itself.
        to_viewer: counts.
        to_guest: counts.

    Raises:
        web.HTTPBadRequest: the request is for no WebSocket.
        ConnectionError: the viewer did not wait.
    """
    goodbye = STOPPING  # said when we are cancelled
    try:
        goodbye = await _between(request, viewer, agent, ended, to_viewer, to_guest)
    finally:
        await asyncio.gather(_close_viewer(request, viewer, goodbye), _close(agent, goodbye))
    return goodbye


async def _between(
    request: web.Request,
    viewer: ViewerSocket,
    agent: AgentSocket,
    ended: Awaitable[Goodbye],
    to_viewer: Count,
    to_guest: Count,
) -> Goodbye:
    # In the order of whom to believe when things happen at once.
    tasks = [asyncio.ensure_future(ended)]
    try:
        await viewer.prepare(request)
        tasks += [
            asyncio.create_task(_pass(agent, viewer, to_viewer, _AGENT_GONE, _VIEWER_GONE)),
            asyncio.create_task(_pass(viewer, agent, to_guest, _VIEWER_GONE, _AGENT_GONE)),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(
    source: AgentSocket | ViewerSocket,
    sink: AgentSocket | ViewerSocket,
    count: Count,
    source_gone: Goodbye,
    sink_gone: Goodbye,
) -> Goodbye:
    """Pass on all that comes from `source`, until it or `sink` ends."""
    while True:
        message = await source.receive()
        if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
            try:
                await sink.send_frame(message.data, message.type)
            except ConnectionError:
                return sink_gone
            count(len(message.data))
        elif message.type is WSMsgType.CLOSE:
            return Goodbye(message.data, message.extra or "", source_gone.by_viewer)
        elif isinstance(message.data, WebSocketError):
            # Too long, or broken: aiohttp has told the source so.
            return Goodbye(message.data.code, str(message.data.args[-1]), source_gone.by_viewer)
        else:
            return source_gone


async def _close_viewer(request: web.Request, viewer: ViewerSocket, goodbye: Goodbye) -> None:
    if viewer.prepared:
        await _close(viewer, goodbye)
    # One who takes nothing would keep his connection, and what is left for him, for ever.
    if request.transport is not None and request.transport.get_write_buffer_size():
        request.transport.abort()


async def _close(peer: AgentSocket | ViewerSocket, goodbye: Goodbye) -> None:
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(CLOSE_SECONDS):
            try:
                await peer.close(code=_sendable(goodbye.code), message=close_reason(goodbye.reason).encode())
            except asyncio.CancelledError:
                # aiohttp 3.14: where one was cancelled who waited for a buffer to drain, as `_pass` may have been, the
                # next who waits is cancelled too, though nobody has cancelled him. It has closed the connection.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise


def _sendable(code: int) -> int:
    return code if 1000 <= code < 5000 and code not in _NEVER_SENT else WSCloseCode.OK
