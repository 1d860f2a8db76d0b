"""A TCP proxy that misbehaves on demand, to stand between a client and a real server.

async with TcpProxy("127.0.0.1", 6443) as proxy:
    kubeconfig = proxied(cluster, proxy, tmp_path)
    ...
    proxy.cut()      every connection is reset; new ones are served
    proxy.stall()    the connections there are go silent without an end; new ones are served
    proxy.hang()     every connection goes silent, new ones too, until proxy.serve(); proxy.hang(REQUESTS): one way only
    proxy.refuse()   every connection is reset, and new ones are too, until proxy.serve()
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from hack.devcluster import Cluster

REQUESTS, ANSWERS = "requests", "answers"
"""What goes to the server, and what comes from it."""

BOTH = (REQUESTS, ANSWERS)


class _Connection:
    """Two pumps, and a valve in each."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._valves = {way: asyncio.Event() for way in BOTH}
        self._writers = writers
        for valve in self._valves.values():
            valve.set()

    async def pump(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._valves[way].wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def stall(self, *ways: str) -> None:
        for way in ways:
            self._valves[way].clear()

    def reset(self) -> None:
        for valve in self._valves.values():
            valve.set()
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
        self._hangs: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.refuse()
        await asyncio.sleep(0)  # who was accepted in the same round of the loop has its task now
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=10)
        await asyncio.sleep(0)  # what was aborted last is closed in the next round

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
            connection.stall(*BOTH)

    def refuse(self) -> None:
        """Reset every connection, and those to come."""
        self._serves = False
        self.cut()

    def hang(self, *ways: str) -> None:
        """Pass nothing on in any connection, nor in those to come; only REQUESTS or ANSWERS where that is said."""
        self._hangs = ways or BOTH
        for connection in self._connections:
            connection.stall(*self._hangs)

    def serve(self) -> None:
        """Serve new connections again; those that went silent stay so."""
        self._serves, self._hangs = True, ()

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
        connection.stall(*self._hangs)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                connection.pump(REQUESTS, reader, server_writer), connection.pump(ANSWERS, server_reader, writer)
            )
        finally:
            connection.reset()
            self._connections.discard(connection)


def proxy_of(cluster: Cluster) -> TcpProxy:
    """A proxy to the cluster's API server, not open yet."""
    url = urlsplit(cluster.url)
    assert url.hostname is not None
    assert url.port is not None
    return TcpProxy(url.hostname, url.port)


def proxied(cluster: Cluster, proxy: TcpProxy, folder: Path, kubeconfig: Path | None = None) -> Path:
    """A kubeconfig of the cluster, the administrator's if none is given, by way of the proxy."""
    path = folder / "proxied.yaml"
    text = (kubeconfig or cluster.kubeconfig).read_text()
    path.write_text(text.replace(cluster.url, f"https://127.0.0.1:{proxy.port}"))
    return path
