"""What servers may do to a download, and what is said of it; the rest is in test_store.py."""

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from hypernova_agent.errors import ImageDownloadFailed
from hypernova_agent.images.download import download, new_session
from support.guests import a_bound_image

CONTENT = b"boot" * 1000
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_session() as session:
        yield session


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Answers every request by a handler; gives the server's URL."""
    runners: list[web.AppRunner] = []

    async def serve(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        application = web.Application()
        application.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(application)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield serve
    for runner in runners:
        await runner.cleanup()


async def fetched(session: aiohttp.ClientSession, url: str) -> bytes:
    image = a_bound_image("x", CONTENT, url=url)
    async with download(session, image, lambda: 1 << 20) as body:
        assert await body.head(4) == b"boot"
        return b"".join([piece async for piece in body.chunks()])


async def test_a_file_that_has_moved_is_followed(session: aiohttp.ClientSession, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        hops = int(request.path[1:])
        if hops:
            raise web.HTTPFound(f"/{hops - 1}")
        return web.Response(body=CONTENT)

    url = await serve(answer)
    assert await fetched(session, f"{url}/5") == CONTENT
    with pytest.raises(ImageDownloadFailed, match="redirected more than 5 times"):
        await fetched(session, f"{url}/6")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://images.example.com/x.img", "http://"])
async def test_a_redirect_out_of_http_is_not_followed(
    session: aiohttp.ClientSession, serve: Serve, target: str
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": target})

    with pytest.raises(ImageDownloadFailed) as raised:
        await fetched(session, await serve(answer))
    assert "passwd" not in str(raised.value)


async def test_nothing_compressed_is_asked_for_or_taken(session: aiohttp.ClientSession, serve: Serve) -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Accept-Encoding"))
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    with pytest.raises(ImageDownloadFailed, match="compressed though asked not to"):
        await fetched(session, await serve(answer))
    assert asked == ["identity"]


async def test_a_server_that_hangs_up_is_named(session: aiohttp.ClientSession, serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(ImageDownloadFailed, match=r"^127\.0\.0\.1:\d+: it closed the connection$"):
        await fetched(session, await serve(answer))


async def test_no_cookie_is_carried_from_one_download_to_the_next(session: aiohttp.ClientSession, serve: Serve) -> None:
    cookies: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(body=CONTENT, headers={"Set-Cookie": "who=me; Path=/"})

    url = await serve(answer)
    for _ in range(2):
        await fetched(session, url)
    assert cookies == [None, None]
