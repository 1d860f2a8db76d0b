"""A loopback port for VNC viewers: each connection is one to the guest's screen, through the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from hypernova_api.console import ConsoleType
from hypernova_cli.connection import Connection, Ending
from hypernova_cli.consoles import Consoles
from hypernova_cli.errors import CliError, NoConsoleProxy, sentence
from hypernova_kube.errors import KubeError

_CHUNK = 64 * 1024


async def serve(
    consoles: Consoles,
    name: str,
    params: Mapping[str, str],
    where: tuple[str, int],
    listening: Callable[[int], None],
    say: Callable[[str], None],
) -> None:
    """Serve for ever; what is served is cut when this is cancelled.

    Args:
        consoles: where the Instance's is.
        name: the Instance.
        params: of each connection.
        where: address and port to listen at; port 0 is any free one.
        listening: called with the port, once.
        say: told of each connection why it has ended, unless its viewer left.

    Raises:
        CliError: nobody can listen there.
    """
    viewers = asyncio.TaskGroup()

    async def viewer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with consoles.connected(name, ConsoleType.VNC, params) as connection:
                ending = await _joined(reader, writer, connection)
            if ending is not None:
                say(f"{name}: {ending}")
        except KubeError as error:
            say(f"{name}: {sentence(error)}")
        except NoConsoleProxy as error:
            say(f"{name}: {error}")
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        viewers.create_task(viewer(reader, writer))

    try:
        server = await asyncio.start_server(accept, *where, start_serving=False)
    except OSError as error:
        why = (error.strerror or str(error)).rpartition(": ")[2]
        raise CliError(f"{where[0]} port {where[1]} cannot be listened at: {why}") from error
    async with server, viewers:
        await server.start_serving()
        listening(server.sockets[0].getsockname()[1])
        await server.serve_forever()


async def _joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection) -> Ending | None:
    """Pass on both ways, each no faster than the other side takes it; returns why it ended, None if the viewer left."""

    async def from_viewer() -> None:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await connection.send(data)

    async def to_viewer() -> Ending | None:
        with suppress(ConnectionError):
            while True:
                match await connection.receive():
                    case Ending() as ending:
                        return ending
                    case bytes() as data:
                        writer.write(data)
                        await writer.drain()
        return None

    leaving, ended = asyncio.create_task(from_viewer()), asyncio.create_task(to_viewer())
    try:
        await asyncio.wait((leaving, ended), return_when=asyncio.FIRST_COMPLETED)
        return ended.result() if ended.done() else None
    finally:
        leaving.cancel()
        ended.cancel()
        await asyncio.gather(leaving, ended, return_exceptions=True)
