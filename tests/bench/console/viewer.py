"""A viewer that costs next to nothing: it counts what comes, and looks at none of it."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
import time
from typing import Self

from tests.bench.console.player import FLOOD, MIB, UPDATE, request

_ANSWER_SECONDS = 120.0


class Viewer(asyncio.Protocol):
    """One connection: bare, or a WebSocket."""

    def __init__(self, *, framed: bool) -> None:
        self._framed = framed
        self._head = bytearray()
        self._in_frame = 0
        self._wanted = 0
        self._arrived: asyncio.Future[None] | None = None

    @classmethod
    async def bare(cls, port: int) -> Self:
        """To a server on this machine that speaks RFB."""
        return await cls._over(await _connected(port), framed=False)

    @classmethod
    async def framed(cls, port: int, path: str) -> Self:
        """To one that speaks it in a WebSocket.

        Raises:
            ConnectionError: it does not want to.
        """
        connection = await _connected(port)
        key = base64.b64encode(os.urandom(16)).decode()
        asked = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        loop, answer = asyncio.get_running_loop(), b""
        await loop.sock_sendall(connection, asked.encode())
        async with asyncio.timeout(_ANSWER_SECONDS):
            while not answer.endswith(b"\r\n\r\n"):
                answer += await loop.sock_recv(connection, 4096)
        if not answer.startswith(b"HTTP/1.1 101 "):
            connection.close()
            raise ConnectionError(f"no WebSocket: {answer!r}")
        return await cls._over(connection, framed=True)

    @classmethod
    async def _over(cls, connection: socket.socket, *, framed: bool) -> Self:
        viewer = cls(framed=framed)
        viewer._transport, _ = await asyncio.get_running_loop().create_connection(lambda: viewer, sock=connection)
        return viewer

    async def update(self, number: int, length: int) -> float:
        """Ask for that update of the recording, of that many bytes; the seconds until all of it is here."""
        return await self._asked(request(UPDATE, number), length)

    async def flood(self, mib: int) -> float:
        """Ask for so much at once; the seconds until all of it is here."""
        return await self._asked(request(FLOOD, mib), mib * MIB)

    def stall(self, mib: int) -> None:
        """Ask for so much at once, and read none of it."""
        self._transport.pause_reading()
        self._send(request(FLOOD, mib))

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    async def _asked(self, asked: bytes, length: int) -> float:
        began = time.perf_counter()
        self._send(asked)
        await self._until(length)
        return time.perf_counter() - began

    def _send(self, asked: bytes) -> None:
        # Its mask is zero, so the bytes stay as they are.
        self._transport.write(struct.pack(">BBI", 0x82, 0x80 | len(asked), 0) + asked if self._framed else asked)

    async def _until(self, length: int) -> None:
        self._wanted += length
        if self._wanted > 0:
            self._arrived = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._arrived

    def data_received(self, data: bytes) -> None:
        if not self._framed:
            self._count(len(data))
            return
        view = memoryview(data)
        while view:
            if not self._in_frame:
                view = self._begin_frame(view)
            taken = min(self._in_frame, len(view))
            self._in_frame -= taken
            self._count(taken)
            view = view[taken:]

    def connection_lost(self, error: Exception | None) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error or EOFError("the other side hung up"))

    def _begin_frame(self, view: memoryview) -> memoryview:
        """Take the head of a frame, or as much of it as there is; what comes after it."""
        for position, byte in enumerate(view):
            self._head.append(byte)
            if len(self._head) == _head_length(self._head):
                self._in_frame = _payload_length(self._head)
                self._head.clear()
                return view[position + 1 :]
        return view[len(view) :]

    def _count(self, length: int) -> None:
        self._wanted -= length
        if self._wanted <= 0 and self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)


async def _connected(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    return connection


def _head_length(head: bytearray) -> int:
    if len(head) < 2:
        return -1
    return 2 + {126: 2, 127: 8}.get(head[1], 0)


def _payload_length(head: bytearray) -> int:
    return head[1] if head[1] < 126 else int.from_bytes(head[2:], "big")
