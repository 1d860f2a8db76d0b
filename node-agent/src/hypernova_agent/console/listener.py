"""What one viewer of a serial port is still to be sent."""

from __future__ import annotations

import asyncio

from hypernova_api.console import SerialRole

BACKLOG = 128 << 10
"""Bytes that are kept for a viewer who reads slowly. Of more he is told how many he has missed."""


class Listener:
    """A viewer's place at a serial port: whoever writes there waits for nobody."""

    def __init__(self, scrollback: bytes) -> None:
        self._role: SerialRole | None = None
        self._told: SerialRole | None = None
        self._bytes = bytearray(scrollback)
        self._missed = 0
        self._ended = False
        self._news = asyncio.Event()

    async def next(self) -> SerialRole | bytes | None:
        """His role if it has changed, else what the guest wrote, waiting for either; None at the end."""
        while True:
            if self._role != self._told:
                self._told = self._role
                return self._role
            if self._bytes:
                missed = f"\r\n[{self._missed} bytes left out: too slow]\r\n".encode() if self._missed else b""
                found, self._bytes, self._missed = missed + bytes(self._bytes), bytearray(), 0
                return found
            if self._ended:
                return None
            self._news.clear()
            await self._news.wait()

    def put(self, data: bytes) -> None:
        """The guest wrote this."""
        self._bytes += data
        excess = max(len(self._bytes) - BACKLOG, 0)
        self._missed += excess
        del self._bytes[:excess]
        self._news.set()

    def assign(self, role: SerialRole) -> None:
        """His role is this now."""
        self._role = role
        self._news.set()

    def end(self) -> None:
        """There is no more to come."""
        self._ended = True
        self._news.set()
