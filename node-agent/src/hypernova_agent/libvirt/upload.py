"""Bytes into a volume: all of them, or none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import libvirt

from hypernova_agent.host import HostError, HostFault
from hypernova_agent.libvirt.connection import Connection
from hypernova_agent.libvirt.errors import says
from hypernova_agent.libvirt.lines import Lines
from hypernova_agent.libvirt.storage import PARTIAL, lookup
from hypernova_agent.xml.storage import RawVolume, volume_xml

BLOCK = 1 << 20
"""Bytes sent at a time. The next are asked for only when these are sent: memory stays bounded however slow the host."""

_ZEROS = bytes(BLOCK)


@dataclass(frozen=True, slots=True)
class _Transfer:
    """A volume on its way to the host."""

    stream: libvirt.virStream
    marker: libvirt.virStorageVol
    """Stands beside the volume until it is complete, so that a crash at any point leaves nothing that looks whole."""


async def upload(
    connection: Connection,
    pool: str,
    name: str,
    chunks: AsyncIterator[bytes],
    *,
    size: int | None,
    pool_turn: asyncio.Lock,
) -> None:
    """Make a raw volume of the bytes; see `Host.upload`.

    Raises:
        HostError: not as many bytes came as were said to, or an upload of that name is under way.
    """
    async with connection.exclusive() as line:
        undo = contextlib.ExitStack()
        try:
            async with pool_turn:
                transfer = await line.call(_begin, undo, pool, name, size)
            if transfer is not None:
                await _send_all(line, transfer, name, chunks, size)
                await line.call(_finish, undo, transfer)
        except BaseException:
            # What can't be deleted now, because the connection is gone, is swept when there is one again.
            with contextlib.suppress(HostFault):
                await line.call(_undo, undo)
            raise


async def _send_all(
    line: Lines, transfer: _Transfer, name: str, chunks: AsyncIterator[bytes], size: int | None
) -> None:
    sent = 0
    async with contextlib.aclosing(_blocks(chunks)) as blocks:
        async for block in blocks:
            sent += len(block)
            if size is not None and sent > size:
                raise HostError(f"more than the {size} bytes of volume {name} came")
            await line.call(_send, transfer.stream, block)
    if size is not None and sent < size:
        raise HostError(f"only {sent} of the {size} bytes of volume {name} came")


def _begin(
    virt: libvirt.virConnect, undo: contextlib.ExitStack, pool_name: str, name: str, size: int | None
) -> _Transfer | None:
    """Make volume and stream; None if a volume of the name is there already, which stays as it is."""
    pool = virt.storagePoolLookupByName(pool_name)
    try:
        marker = pool.createXML(volume_xml(RawVolume(name + PARTIAL, 0)))
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_STORAGE_VOL_EXIST):
            raise HostError(f"volume {name} is being uploaded already") from error
        raise
    undo.callback(marker.delete)
    if lookup(pool, name) is not None:
        undo.close()
        return None
    # A volume grows with what is uploaded into it: any capacity does when the size isn't known.
    volume = pool.createXML(volume_xml(RawVolume(name, size or 0)))
    undo.callback(volume.delete)
    stream = virt.newStream()
    volume.upload(stream, 0, 0, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
    undo.callback(stream.abort)
    return _Transfer(stream, marker)


def _send(_virt: libvirt.virConnect, stream: libvirt.virStream, block: bytes) -> None:
    """Send at most BLOCK bytes; those that are all zero take no space on the host."""
    if block == _ZEROS[: len(block)]:
        stream.sendHole(len(block))
        return
    sent = 0
    while sent < len(block):
        sent += stream.send(block[sent:])


def _finish(_virt: libvirt.virConnect, undo: contextlib.ExitStack, transfer: _Transfer) -> None:
    """Wait until the host has it all; then the volume counts."""
    transfer.stream.finish()
    undo.pop_all()
    transfer.marker.delete()


def _undo(_virt: libvirt.virConnect, undo: contextlib.ExitStack) -> None:
    undo.close()


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same bytes in pieces of BLOCK, the last one shorter."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        while len(buffer) >= BLOCK:
            yield bytes(buffer[:BLOCK])
            del buffer[:BLOCK]
    if buffer:
        yield bytes(buffer)
