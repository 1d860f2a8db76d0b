"""Listening, as every server of ours does it."""

import ssl

from aiohttp import web

_WAITING = 128
"""Connections that may wait to be accepted, unless said otherwise."""


async def listen(
    runner: web.AppRunner, host: str, port: int, context: ssl.SSLContext | None = None, *, waiting: int = _WAITING
) -> int:
    """Serve what `runner` runs, until its clean-up; returns the port.

    Args:
        runner: not set up yet.
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        context: of TLS; None: without.
        waiting: connections that may wait to be accepted.

    Raises:
        OSError: the port is not to be had; nothing is left of it.
    """
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=context, backlog=waiting).start()
    except BaseException:
        await runner.cleanup()
        raise
    taken: int = runner.addresses[0][1]
    return taken
