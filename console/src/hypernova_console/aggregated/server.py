"""The listener for API servers."""

from __future__ import annotations

import ssl
from typing import Self

from aiohttp import web

from hypernova_kube.process.listening import listen

SHUTDOWN_SECONDS = 10.0
"""For consoles to be told that they end."""

_LONGEST_HEADER = 64 * 1024
_MOST_HEADERS = 4096
"""A user may have a thousand groups, each a header."""


class ApiServer:
    """Serves an application over TLS: `async with ApiServer(...) as server: log.info("serving", port=server.port)`."""

    def __init__(self, application: web.Application, host: str, port: int, context: ssl.SSLContext) -> None:
        """A server that does not listen yet.

        Args:
            application: what it serves.
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
            context: of the server.
        """
        self.port = port
        """The port, once served."""

        self._host = host
        self._context = context
        self._runner = web.AppRunner(
            application,
            access_log=None,  # the API server's audit log has who asked for what
            shutdown_timeout=SHUTDOWN_SECONDS,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
        )

    async def __aenter__(self) -> Self:
        self.port = await listen(self._runner, self._host, self.port, self._context)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()
