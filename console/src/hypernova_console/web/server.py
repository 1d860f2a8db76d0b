"""The listener for browsers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Self

from aiohttp import web

from hypernova_kube.process.listening import listen
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)

IDLE_SECONDS = 20.0
"""How long a connection may ask for nothing, or take to say what it asks for: ten thousand that do cost little, and
not for long. A page's requests come in one go; a console is asked for signs of life instead."""

RELOAD_SECONDS = 60.0
"""How often the certificate is read again: whoever renews it puts new files in place."""

SHUTDOWN_SECONDS = 10.0
"""For consoles to be told that they end."""

_WAITING = 1024
"""Connections that may wait to be accepted."""


class WebServer:
    """Serves an application: `async with WebServer(...) as server: log.info("serving", port=server.port)`."""

    def __init__(
        self,
        application: web.Application,
        host: str,
        port: int,
        certificate: tuple[Path, Path] | None = None,
        *,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """A server that does not listen yet.

        Args:
            application: what it serves.
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
            certificate: files of the chain and the key, PEM; None: plain HTTP.
            idle_seconds: see IDLE_SECONDS.
        """
        self.port = port
        """The port, once served."""

        self._host = host
        self._certificate = certificate
        self._runner = web.AppRunner(
            application,
            access_log=None,  # its lines would be about cookies' paths and no more
            keepalive_timeout=idle_seconds,
            lingering_time=1.0,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._reloading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        context = None
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self._reloading = asyncio.create_task(_reload(context, self._certificate), name="web certificate")
        self.port = await listen(self._runner, self._host, self.port, context, waiting=_WAITING)
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reloading
        await self._runner.cleanup()


async def _reload(context: ssl.SSLContext, certificate: tuple[Path, Path]) -> None:
    while True:
        await asyncio.sleep(RELOAD_SECONDS)
        try:
            context.load_cert_chain(*certificate)
        except (OSError, ssl.SSLError) as error:
            # Half replaced, perhaps: the old one is good until the next look.
            log.warning("certificate not read", path=certificate[0], error=error)
