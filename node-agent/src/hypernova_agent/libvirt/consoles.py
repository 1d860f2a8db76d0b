"""What people see and type of guests: screens, pictures of them, serial ports."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import libvirt

from hypernova_agent.host import HostError, HostFault, SerialLine
from hypernova_agent.libvirt.connection import Connection
from hypernova_agent.libvirt.lines import Lines

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_SCREENSHOT = 32 << 20
"""Bytes: more than the memory of any screen that we give guests."""

_UNREAD = 128 << 10
"""Bytes of a serial line that are kept for whoever reads it."""

_RECEIVE_BYTES = 64 << 10

_EVENTS = libvirt.VIR_STREAM_EVENT_READABLE | libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP

# Each of these has a connection of its own: a QEMU that does not answer holds up nobody but who wants to see it.


async def open_graphics(connection: Connection, uid: str) -> socket.socket:
    """A new way to the guest's screen; see `Host.open_graphics`."""
    with contextlib.ExitStack() as undo:
        async with connection.exclusive() as line:
            opened = await line.call(_open_graphics, undo, uid)
        undo.pop_all()
        return opened


async def screenshot(connection: Connection, uid: str) -> bytes:
    """The guest's screen as PNG; see `Host.screenshot`."""
    async with connection.exclusive() as line:
        return await line.call(_screenshot, uid)


async def open_serial(connection: Connection, uid: str) -> SerialLine:
    """The guest's serial port; see `Host.open_serial`."""
    async with contextlib.AsyncExitStack() as held:
        line = await held.enter_async_context(connection.exclusive())
        unread = _Unread(asyncio.get_running_loop())
        stream = await line.call(_open_serial, line.undo, uid, unread)
        return _LibvirtSerialLine(line, stream, unread, held.pop_all())


def _open_graphics(virt: libvirt.virConnect, undo: contextlib.ExitStack, uid: str) -> socket.socket:
    return undo.enter_context(socket.socket(fileno=virt.lookupByUUIDString(uid).openGraphicsFD(0)))


def _screenshot(virt: libvirt.virConnect, uid: str) -> bytes:
    stream = virt.newStream()
    kind = virt.lookupByUUIDString(uid).screenshot(stream, 0)
    picture = bytearray()
    while received := stream.recv(_RECEIVE_BYTES):
        picture += received
        if len(picture) > _LARGEST_SCREENSHOT:
            stream.abort()
            raise HostError(f"the guest's screen takes more than {_LARGEST_SCREENSHOT} bytes")
    stream.finish()
    if not picture.startswith(_PNG):
        raise HostError(f"this host's QEMU gives screenshots as {kind}, not as PNG: it was built without")
    return bytes(picture)


def _open_serial(virt: libvirt.virConnect, undo: contextlib.ExitStack, uid: str, unread: _Unread) -> libvirt.virStream:
    """Open it, whoever has it: an agent that was killed, and that libvirtd has not missed yet, maybe."""

    def received(stream: libvirt.virStream, _events: int, _data: object) -> None:
        if not unread.take_from(stream):
            stream.eventRemoveCallback()

    stream = virt.newStream(libvirt.VIR_STREAM_NONBLOCK)
    undo.callback(unread.end)
    virt.lookupByUUIDString(uid).openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    undo.callback(stream.abort)
    # A stream hears nothing of the end of its connection.
    virt.registerCloseCallback(lambda _virt, _reason, _data: unread.end(), None)
    undo.callback(virt.unregisterCloseCallback)
    stream.eventAddCallback(_EVENTS, received, None)
    undo.callback(stream.eventRemoveCallback)
    return stream


class _Unread:
    """What has come by a line and was not read yet. libvirt's thread adds, the event loop takes.

    All is taken from libvirt at once and the oldest thrown away here: libvirt itself would keep all that comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turn = threading.Lock()
        self._bytes = bytearray()
        self._ended = False
        self._news = asyncio.Event()

    def take_from(self, stream: libvirt.virStream) -> bool:
        """Keep all that the stream has now; whether more may come. In libvirt's thread."""
        while True:
            try:
                received = stream.recv(_RECEIVE_BYTES)
            except libvirt.libvirtError:
                received = b""
            if isinstance(received, int):
                return True  # -2: no more for now
            if not received:
                self.end()
                return False
            with self._turn:
                self._bytes += received
                del self._bytes[:-_UNREAD]
            self._tell()

    def end(self) -> None:
        """No more comes. In any thread."""
        self._ended = True
        self._tell()

    async def read(self) -> bytes:
        """What there is, waiting for some; empty at the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            ended = self._ended
            with self._turn:
                found, self._bytes = bytes(self._bytes), bytearray()
            if ended:
                self._news.set()
            if found or ended:
                return found

    def _tell(self) -> None:
        with contextlib.suppress(RuntimeError):  # libvirt's thread lives as long as the process: the loop may not
            self._loop.call_soon_threadsafe(self._news.set)


class _LibvirtSerialLine:
    """`hypernova_agent.host.SerialLine` on a connection of its own.

    A guest that takes nothing fills what libvirtd keeps for it (some tens of KiB); libvirtd then reads nothing more of
    this connection, not even that it lives, and after 20 s the line is lost. (Seen with libvirt 9.0.)
    """

    def __init__(
        self, line: Lines, stream: libvirt.virStream, unread: _Unread, held: contextlib.AsyncExitStack
    ) -> None:
        self._line = line
        self._stream = stream
        self._unread = unread
        self._held = held

    async def read(self) -> bytes:
        return await self._unread.read()

    async def write(self, data: bytes) -> None:
        # Whoever is cancelled here need not wait for the guest; `close` does.
        await asyncio.shield(self._write(data))

    async def close(self) -> None:
        await self._held.aclose()

    async def _write(self, data: bytes) -> None:
        try:
            await self._line.call(_send, self._stream, data)
        except HostFault:
            self._unread.end()


def _send(_virt: libvirt.virConnect, stream: libvirt.virStream, data: bytes) -> None:
    sent = 0
    while sent < len(data):
        sent += stream.send(data[sent:])
