"""Fetching an image's bytes over HTTP: bounded, verified while they pass, and never kept here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from http import HTTPStatus

import aiohttp
from yarl import URL

from hypernova_agent.errors import ImageChecksumMismatch, ImageDownloadFailed, ImageTooLarge
from hypernova_agent.sizes import size
from hypernova_api.instance import BoundImage

_CHUNK = 1 << 20
"""Bytes read at a time at most: what one send to libvirt carries well."""

_REDIRECTS = 5
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 30.0


def new_session() -> aiohttp.ClientSession:
    """What downloads are made with.

    The whole has no time limit, for images are large and lines are slow; but a server that goes silent is given up. No
    cookies: one image's server tells another nothing. A compressed transfer could unpack to a thousand times what it
    says: none is asked for, and none unpacked.
    """
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS),
        headers={"Accept-Encoding": "identity", "User-Agent": "hypernova-agent"},
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_CHUNK,
    )


class Download:
    """The body of an answer: its beginning may be looked at, then it is read once, whole."""

    def __init__(self, response: aiohttp.ClientResponse, image: BoundImage, bound: Callable[[], int]) -> None:
        """Take an answer with status 200 whose body has not been read.

        Args:
            response: the answer.
            image: what the bytes must be.
            bound: the most bytes that may come; asked anew with each piece, as those who wait come and go.
        """
        self.size = response.content_length
        """Bytes there should be, if the server says so."""

        self.received = 0
        """Bytes handed on so far."""

        self._content = response.content
        self.server = _server(image.url or "")
        """Where they come from, as it may be shown."""

        self._sha256 = image.sha256
        self._bound = bound
        self._head = b""
        self._check_bound(self.size or 0)

    async def head(self, length: int) -> bytes:
        """The first `length` bytes, or all there are. They come again in `chunks`."""
        with self._failures():
            while len(self._head) < length and (piece := await self._content.read(length - len(self._head))):
                self._head += piece
        return self._head

    async def chunks(self) -> AsyncIterator[bytes]:
        """All bytes. Only who reads to the end without an error has the image.

        Raises:
            ImageDownloadFailed: the server did not send them all.
            ImageTooLarge: they are more than may come.
            ImageChecksumMismatch: they are not those the Image promises; raised in place of the end.
        """
        digest = hashlib.sha256()
        async for piece in self._pieces():
            self.received += len(piece)
            self._check_bound(self.received)
            digest.update(piece)
            yield piece
        if digest.hexdigest() != self._sha256:
            raise ImageChecksumMismatch(
                f"the file at {self.server} has the SHA-256 {digest.hexdigest()[:12]}..., the Image promises "
                f"{self._sha256[:12]}...: correct the Image or its file"
            )

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._head:
            yield self._head
        while True:
            with self._failures():
                piece = await self._content.read(_CHUNK)
            if not piece:
                return
            yield piece

    def _check_bound(self, amount: int) -> None:
        if amount > (bound := self._bound()):
            raise ImageTooLarge(
                f"the image's file has {size(amount)} or more, but at most {size(bound)} fit: choose a flavor with a "
                "larger root disk"
            )

    def _failures(self) -> AbstractContextManager[None]:
        return _failures(self.server, self._broken)

    def _broken(self) -> str:
        # What had come when the connection broke, read or not: aiohttp drops the rest of it.
        of = f" of {self.size}" if self.size is not None else ""
        return f"the transfer ended early, after {self._content.total_bytes}{of} bytes"


@asynccontextmanager
async def download(
    session: aiohttp.ClientSession, image: BoundImage, bound: Callable[[], int]
) -> AsyncIterator[Download]:
    """Ask for an image's file.

    Raises:
        ImageDownloadFailed: the server cannot be reached, or does not answer with the file.
        ImageTooLarge: it says that it would send more than `bound()` bytes.
    """
    if image.url is None:
        raise ImageDownloadFailed(
            f"only node {image.node_name} has this image, as a snapshot was made there, and it is not there any more"
        )
    server = _server(image.url)
    with _failures(server, lambda: "it closed the connection"):
        # aiohttp's number is the first that is too many.
        response = await session.get(image.url, max_redirects=_REDIRECTS + 1)
    async with response:
        if response.status != 200:
            raise ImageDownloadFailed(f"{server} answered {_status(response.status)}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ImageDownloadFailed(f"{server} sent the file compressed though asked not to")
        yield Download(response, image, bound)


@contextmanager
def _failures(server: str, broken: Callable[[], str]) -> Iterator[None]:
    """Say in a sentence of ours what aiohttp raises: its own may show the whole URL."""
    try:
        yield
    except aiohttp.TooManyRedirects as error:
        raise ImageDownloadFailed(f"{server} redirected more than {_REDIRECTS} times") from error
    except aiohttp.InvalidURL as error:
        raise ImageDownloadFailed(f"the url, or one that {server} redirects to, is no http or https address") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise ImageDownloadFailed(f"{server} shows a certificate that this node does not trust") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise ImageDownloadFailed(f"this node cannot resolve the name of {server}") from error
    except aiohttp.ClientConnectorError as error:
        why = os.strerror(error.os_error.errno) if error.os_error.errno else "no address of it answers"
        raise ImageDownloadFailed(f"no connection to {server}: {why}") from error
    except TimeoutError as error:
        raise ImageDownloadFailed(f"{server} did not answer or fell silent") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ImageDownloadFailed(f"{server}: {broken()}") from error


def _status(code: int) -> str:
    """A status with its usual words, not the server's own."""
    known = code in {status.value for status in HTTPStatus}
    return f"{code} {HTTPStatus(code).phrase}" if known else str(code)


def _server(url: str) -> str:
    """Host and port of a URL: all of it that may be shown."""
    try:
        return URL(url).host_port_subcomponent or "the server"
    except ValueError:
        return "the server"
