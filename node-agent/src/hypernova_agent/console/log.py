"""The log of what a guest wrote to its serial port, whether or not anyone looked: read through the pool."""

from __future__ import annotations

from hypernova_agent import names
from hypernova_agent.host import Host

_PIECE = 1 << 20
_LONGEST = 64 << 20
"""Bytes of one part of a log that are read at most: virtlogd's own bound is a megabyte or two."""


async def console_tail(host: Host, uid: str, length: int) -> bytes:
    """The last `length` bytes that a guest wrote to its console, or all there are: parts of the log put together."""
    return (await console_tail_and_end(host, uid, length))[0]


async def console_tail_and_end(host: Host, uid: str, length: int) -> tuple[bytes, int]:
    """The same, and how long the newest part of the log was then."""
    tail, end = b"", 0
    for number, name in enumerate(names.console_logs(uid)):
        if len(tail) == length or await host.volume(name) is None:
            break
        older, its_end = await _read(host, name, 0, length - len(tail))
        tail, end = older + tail, end if number else its_end
    return tail, end


async def console_since(host: Host, uid: str, end: int, length: int) -> bytes:
    """What has come to a log that was `end` bytes long: the last `length` bytes of it.

    Nothing if a new part was begun meanwhile: what is missing is in the tail of the next who looks.
    """
    name = names.console_log(uid)
    return (await _read(host, name, end, length))[0] if await host.volume(name) is not None else b""


async def _read(host: Host, name: str, offset: int, length: int) -> tuple[bytes, int]:
    """The last `length` bytes of a volume from `offset` on, and where it ends."""
    # Not by the size that libvirt tells: of a log that begins like a disk image it is what the guest wrote there.
    tail = b""
    while offset < _LONGEST:
        piece = await host.read(name, offset=offset, limit=_PIECE)
        tail = (tail + piece)[-length:]
        offset += len(piece)
        if len(piece) < _PIECE:
            break
    return tail, offset
