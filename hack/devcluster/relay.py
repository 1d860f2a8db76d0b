"""Ports of the machine's loopback, led to the same ports of another network namespace's loopback.

`python relay.py /proc/4711/ns/net 20001 20002` listens on the machine, then moves: a socket stays in
the namespace it was made in, and connections are made in the one where the process is. So the machine's interfaces,
routes and rules stay as they are.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
from contextlib import suppress
from functools import partial

LOOPBACK = "127.0.0.1"
CHUNK = 1 << 16
CLONE_NEWNET = 0x40000000  # os.setns comes with Python 3.12


def main() -> None:
    """Listen, move, and relay until killed."""
    namespace, *ports = sys.argv[1:]
    listeners = [socket.create_server((LOOPBACK, int(port))) for port in ports]
    _move(namespace)
    asyncio.run(_serve(listeners))


def _move(namespace: str) -> None:
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter {namespace}")
    finally:
        os.close(descriptor)


async def _serve(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        await asyncio.start_server(partial(_relay, listener.getsockname()[1]), sock=listener)
    await asyncio.Event().wait()


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, closed as soon as nothing listens behind it, or either side is done."""
    try:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # a reset is an end as well
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
