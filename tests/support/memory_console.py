"""Screens and serial ports of guests in memory."""

import asyncio
import contextlib
import socket
import struct
import zlib

GREETING = b"RFB 003.008\n"
UNREAD = 128 << 10


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


SCREENSHOT = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 640, 480, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(bytes(641 * 480)))
    + _chunk(b"IEND", b"")
)
"""A black screen of 640 by 480."""


class MemoryScreen:
    """One viewer's way to a guest: what a QEMU has in its hands of it."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._ours.send(GREETING)

    async def send(self, data: bytes) -> None:
        """The guest draws; returns when the viewer, or what is between, has it."""
        await asyncio.get_running_loop().sock_sendall(self._ours, data)

    async def receive(self, count: int) -> bytes:
        """As many bytes of what the viewer sent."""
        got = b""
        while len(got) < count:
            piece = await asyncio.get_running_loop().sock_recv(self._ours, count - len(got))
            assert piece, f"the viewer left after {got!r}"
            got += piece
        return got

    def waiting(self) -> bytes:
        """What the viewer has sent and nobody received; nothing if it has left."""
        with contextlib.suppress(BlockingIOError):
            return self._ours.recv(1 << 16)
        return b""

    def end(self) -> None:
        self._ours.close()

    def __del__(self) -> None:
        self.end()


class MemorySerialLine:
    """`hypernova_agent.host.SerialLine`."""

    def __init__(self) -> None:
        self.typed = bytearray()
        """What was written to the guest."""

        self.takes = asyncio.Event()
        """Cleared, the guest takes nothing."""

        self.takes.set()
        self._unread = bytearray()
        self.ended = False
        self._news = asyncio.Event()

    def put(self, data: bytes) -> None:
        """The guest writes."""
        self._unread += data
        del self._unread[:-UNREAD]
        self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    async def read(self) -> bytes:
        await self._news.wait()
        found, self._unread = bytes(self._unread), bytearray()
        if not self.ended:
            self._news.clear()
        return found

    async def write(self, data: bytes) -> None:
        await self.takes.wait()
        if not self.ended:
            self.typed += data

    async def close(self) -> None:
        self.end()
