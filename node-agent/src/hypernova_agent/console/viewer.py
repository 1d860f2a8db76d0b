"""One viewer's WebSocket: what is shown to him, what he sends, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine

from aiohttp import WSMsgType, web

from hypernova_agent.console.endings import TEXT, Ending
from hypernova_agent.console.sharing import Viewer
from hypernova_api.console import LONGEST_MESSAGE

_HEARTBEAT_SECONDS = 40.0
"""Of silence, until the viewer is asked whether he is there; half of it later he is not."""

_CLOSE_SECONDS = 3.0
"""How long a viewer may take to hear why it ends."""


def new_socket() -> web.WebSocketResponse:
    """A WebSocket to a console proxy: it compresses nothing, as guests decide what would be compressed."""
    return web.WebSocketResponse(
        heartbeat=_HEARTBEAT_SECONDS, timeout=_CLOSE_SECONDS, max_msg_size=LONGEST_MESSAGE, compress=False
    )


async def messages(socket: web.WebSocketResponse) -> AsyncIterator[bytes]:
    """What the viewer sends, to its end.

    Raises:
        NotBinary: he sends text.
    """
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            yield message.data
        elif message.type is WSMsgType.TEXT:
            raise NotBinary


class NotBinary(Exception):
    """A viewer sends text."""


async def converse(
    viewer: Viewer,
    showing: Coroutine[None, None, Ending | None],
    hearing: Coroutine[None, None, Ending | None],
) -> Ending | None:
    """Do both until either ends, or the viewer is to end.

    Returns:
        why; None if the viewer has left, and nobody is to be told.
    """
    tasks = [asyncio.create_task(_to_its_end(each)) for each in (showing, hearing)]
    try:
        waited: list[asyncio.Future[Ending] | asyncio.Future[Ending | None]] = [viewer.ended, *tasks]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if viewer.ended.done():
            return viewer.ended.result()
        return next(task.result() for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hang_up(request: web.BaseRequest, socket: web.WebSocketResponse, ending: Ending | None) -> None:
    """Tell the viewer why it ends, if he is there and reads; end it in any case."""
    if ending is not None and not socket.closed:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await socket.close(code=ending.code, message=ending.reason.encode())
                return
    if request.transport is not None and socket.close_code in (None, 1006):
        request.transport.abort()  # what a viewer does not read is not kept until TCP gives him up


async def _to_its_end(work: Coroutine[None, None, Ending | None]) -> Ending | None:
    try:
        return await work
    except NotBinary:
        return TEXT
    except ConnectionError:
        return None
