"""A TCP proxy that misbehaves on demand, to stand between a client and a real server.

async with TcpProxy("127.0.0.1", 6443) as proxy:
    kubeconfig = proxied(cluster, proxy, tmp_path)
    ...
    proxy.cut()      every connection is reset; new ones are served
    proxy.stall()    the connections there are go silent without an end; new ones are served
    proxy.refuse()   every connection is reset, and new ones are too, until proxy.serve()
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from hack.devcluster import Cluster


class _Connection:
    """Two pumps and the valve between them."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.flows = asyncio.Event()
        self.flows.set()
        self._writers = writers

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def reset(self) -> None:
        self.flows.set()
        for writer in self._writers:
            writer.transport.abort()


class TcpProxy:
    """Listens on a free port of loopback and passes connections on."""

    port: int

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._serves = True
        self._hangs = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.refuse()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def cut(self) -> None:
        """Reset every connection."""
        for connection in list(self._connections):
            connection.reset()

    def stall(self) -> None:
        """Pass nothing on any more in the connections there are, and end none."""
        for connection in self._connections:
            connection.flows.clear()

    def refuse(self) -> None:
        """Reset every connection, and those to come."""
        self._serves = False
        self.cut()

    def hang(self) -> None:
        """Pass nothing on in any connection, nor in those to come."""
        self._hangs = True
        self.stall()

    def serve(self) -> None:
        """Serve new connections again; those that went silent stay so."""
        self._serves, self._hangs = True, False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._serves:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection((writer, server_writer))
        if not self._serves:
            connection.reset()
        if self._hangs:
            connection.flows.clear()
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.pump(reader, server_writer), connection.pump(server_reader, writer))
        finally:
            connection.reset()
            self._connections.discard(connection)


def proxy_of(cluster: Cluster) -> TcpProxy:
    """A proxy to the cluster's API server, not open yet."""
    url = urlsplit(cluster.url)
    assert url.hostname is not None
    assert url.port is not None
    return TcpProxy(url.hostname, url.port)


def proxied(cluster: Cluster, proxy: TcpProxy, folder: Path) -> Path:
    """The administrator's kubeconfig, by way of the proxy."""
    path = folder / "proxied.yaml"
    path.write_text(cluster.kubeconfig.read_text().replace(cluster.url, f"https://127.0.0.1:{proxy.port}"))
    return path
