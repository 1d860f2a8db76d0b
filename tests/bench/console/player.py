"""Plays the recording to whoever asks: as a node's agent does, by WebSocket and mTLS, and bare, on a TCP socket.

A viewer asks with 10 bytes, as RFB has it (FramebufferUpdateRequest): UPDATE or FLOOD in the first, and in the next
four which update of the recording is to come, or how many MiB of nothing in particular.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Iterator
from multiprocessing.connection import Connection

from aiohttp import web

REQUEST_BYTES = 10
UPDATE, FLOOD = 3, 255
PIECE = 64 * 1024
"""Bytes of a message at most, and of a write."""

MIB = 1024 * 1024
_FLOOD_PIECE = bytes(range(256)) * (PIECE // 256)


def request(kind: int, number: int) -> bytes:
    """What a viewer asks with."""
    return bytes((kind,)) + number.to_bytes(4, "big") + bytes(REQUEST_BYTES - 5)


def play(updates: list[bytes], context: ssl.SSLContext, told: Connection) -> None:
    """Serve for ever; tells the ports of both servers first."""
    asyncio.run(_serve(updates, context, told))


async def _serve(updates: list[bytes], context: ssl.SSLContext, told: Connection) -> None:
    async def agent(asked: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(asked)
        with contextlib.suppress(ConnectionError):
            async for message in socket:
                for piece in _answer(updates, message.data):
                    await socket.send_bytes(piece)
        return socket

    async def bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                for piece in _answer(updates, await reader.readexactly(REQUEST_BYTES)):
                    writer.write(piece)
                    await writer.drain()

    application = web.Application()
    application.router.add_get("/{path:.*}", agent)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, backlog=1024).start()
    server = await asyncio.start_server(bare, "127.0.0.1", 0, backlog=1024)
    told.send((runner.addresses[0][1], server.sockets[0].getsockname()[1]))
    await server.serve_forever()


def _answer(updates: list[bytes], asked: bytes) -> Iterator[bytes]:
    number = int.from_bytes(asked[1:5], "big")
    if asked[0] == FLOOD:
        yield from itertools.repeat(_FLOOD_PIECE, number * (MIB // PIECE))
    else:
        update = updates[number]
        for start in range(0, len(update), PIECE):
            yield update[start : start + PIECE]
