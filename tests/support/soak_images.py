"""A web server of images without sockets: what an agent downloads from, in virtual time."""

from __future__ import annotations

import asyncio
import hashlib
import random
from http import HTTPStatus
from types import TracebackType
from typing import Self, cast

import aiohttp

from support.qcow2 import GIB, header

URL = "http://images.example.com/"


class ImageSite:
    """Files by name, and whether they can be had."""

    def __init__(self, rng: random.Random) -> None:
        self.files: dict[str, bytes] = {}
        self.away = False
        self._rng = rng

    def publish(self, name: str) -> str:
        """Put an image of 1 GiB there that is like no other; its SHA-256."""
        content = header(size=GIB) + name.encode()
        self.files[name] = content
        return hashlib.sha256(content).hexdigest()

    def session(self) -> aiohttp.ClientSession:
        """What downloads are made with, as far as they use it."""
        return cast("aiohttp.ClientSession", _Session(self))

    async def answer(self, url: str) -> _Response:
        """One download begins."""
        await asyncio.sleep(self._rng.uniform(0.01, 2))
        if self.away:
            raise aiohttp.ServerDisconnectedError
        content = self.files.get(url.removeprefix(URL))
        return _Response(HTTPStatus.OK if content else HTTPStatus.NOT_FOUND, content or b"", self._rng.uniform(0, 8))


class _Session:
    def __init__(self, site: ImageSite) -> None:
        self._site = site

    async def get(self, url: str, *, max_redirects: int) -> _Response:
        return await self._site.answer(url)


class _Response:
    """An answer; its body comes after `seconds`."""

    def __init__(self, status: HTTPStatus, body: bytes, seconds: float) -> None:
        self.status = status.value
        self.headers: dict[str, str] = {}
        self.content_length = len(body)
        self.content = _Body(body, seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class _Body:
    def __init__(self, left: bytes, seconds: float) -> None:
        self.total_bytes = len(left)
        self._left = left
        self._seconds = seconds

    async def read(self, length: int) -> bytes:
        await asyncio.sleep(self._seconds)
        self._seconds = 0
        piece, self._left = self._left[:length], self._left[length:]
        return piece
