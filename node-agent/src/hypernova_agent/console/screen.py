"""A viewer's conversation with a guest's screen: RFB, by way of a socket that libvirt has opened."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import Counter

from hypernova_agent.console.endings import Ending, refused
from hypernova_agent.console.rfb import ClientFilter, RfbError
from hypernova_agent.console.viewer import messages

_BLOCK = 64 << 10
"""Bytes of one message to a viewer. About twice as many of what QEMU draws wait for one who is slow: QEMU draws no more
for him then."""


@dataclass(frozen=True, slots=True)
class Screen:
    """One open way to a guest's screen."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def show(self, viewer: web.WebSocketResponse, sent: Counter) -> None:
        """Pass on what QEMU draws, as fast as the viewer takes it, to its end."""
        while data := await self._drawn():
            await viewer.send_bytes(data)
            sent.inc(len(data))

    async def hear(self, viewer: web.WebSocketResponse, received: Counter, *, read_only: bool) -> Ending | None:
        """Pass on what the viewer may say, as fast as QEMU takes it, to its end; why it ended if he is to blame."""
        allowed = ClientFilter(read_only=read_only)
        async for data in messages(viewer):
            received.inc(len(data))
            try:
                self.writer.write(allowed.feed(data))
            except RfbError as error:
                return refused(str(error))
            with contextlib.suppress(ConnectionError):  # whoever shows notices, and knows what to make of it
                await self.writer.drain()
        return None

    async def _drawn(self) -> bytes:
        try:
            return await self.reader.read(_BLOCK)
        except ConnectionError:
            return b""


@contextlib.asynccontextmanager
async def screen_of(opened: socket.socket) -> AsyncIterator[Screen]:
    """The screen behind a socket, which is closed at the end."""
    try:
        opened.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=opened, limit=_BLOCK)
    except BaseException:
        opened.close()
        raise
    try:
        yield Screen(reader, writer)
    finally:
        writer.transport.abort()
