"""What kopf is spared: an answer that breaks off half way would end it, and the operator with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from hypernova_operator.frame import _whole_answer


@pytest.fixture
async def broken_server() -> AsyncIterator[str]:
    """A server whose every answer breaks off after 2 of 100 bytes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_answer_that_breaks_off_is_a_broken_connection_which_kopf_tries_again(broken_server: str) -> None:
    async with aiohttp.ClientSession(middlewares=[_whole_answer]) as session:
        with pytest.raises(aiohttp.ClientConnectionError, match="broke off"):
            await session.get(broken_server)


async def test_a_watch_is_read_as_it_comes(broken_server: str) -> None:
    async with (
        aiohttp.ClientSession(middlewares=[_whole_answer]) as session,
        session.get(broken_server, params={"watch": "true"}) as response,
    ):
        assert await response.content.readexactly(2) == b"{}"
