"""Serial ports: one open line per guest, fanned out to all who look."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TypeVar

from hypernova_agent.console.listener import Listener
from hypernova_agent.console.log import console_since, console_tail_and_end
from hypernova_agent.console.scrollback import SCROLLBACK, Ring, Splice
from hypernova_agent.console.sharing import Viewer, writer
from hypernova_agent.host import Host, HostFault, HostUnreachable, SerialLine
from hypernova_api.console import SerialRole
from hypernova_kube.process.logs import get_logger

T = TypeVar("T")

log = get_logger(__name__)

_SPLICE_SECONDS = 0.5
"""How long after the first sign of life of a line the log may be ahead of it."""


class SerialPort:
    """One guest's port, while anybody looks at it."""

    def __init__(self, host: Host, uid: str) -> None:
        """A port that is being opened."""
        self.users = 0
        """Those who have it, whether they look already or not."""

        self.ended = False
        """The line is no more."""

        self._host = host
        self._uid = uid
        self._opened: asyncio.Future[SerialLine] = asyncio.get_running_loop().create_future()
        self._ring = Ring()
        self._listeners: dict[Viewer, Listener] = {}
        self._pen: Viewer | None = None
        self._running = asyncio.create_task(self._run(), name=f"serial {uid}")

    async def opened(self) -> None:
        """Returns when it is.

        Raises:
            HostFault: it cannot be.
        """
        await asyncio.shield(self._opened)

    def close(self) -> None:
        """Have the line closed; nobody waits for that."""
        self._running.cancel()

    @contextlib.contextmanager
    def listening(self, viewer: Viewer, *, take_over: bool) -> Iterator[Listener]:
        """One more looks: he begins with what the guest wrote last, and may take the pen from who has it."""
        listener = self._listeners[viewer] = Listener(self._ring.end())
        own = self._pen is not None and self._pen.session == viewer.session
        if (take_over or own) and not viewer.read_only:
            self._pen = viewer
        self._assign()
        if self.ended:
            listener.end()
        try:
            yield listener
        finally:
            del self._listeners[viewer]
            self._assign()

    async def type(self, viewer: Viewer, data: bytes) -> bool:
        """What a viewer types reaches the guest if he is who writes; whether he is."""
        if viewer is not self._pen:
            return False
        await (await self._opened).write(data)
        return True

    def _assign(self) -> None:
        self._pen = writer(list(self._listeners), self._pen)
        holder = self._pen.user if self._pen is not None else ""
        for viewer, listener in self._listeners.items():
            listener.assign(SerialRole(writer=viewer is self._pen, holder=holder))

    async def _run(self) -> None:
        fault: HostFault = HostUnreachable("the console was given up before it was open")
        try:
            line = await self._host.open_serial(self._uid)
            try:
                await self._carry(line)
            finally:
                self._end()
                await line.close()
        except HostFault as error:
            fault = error
        finally:
            self._end()
            if not self._opened.done():
                self._opened.set_exception(fault)
                self._opened.exception()  # whether or not anybody waits for it

    async def _carry(self, line: SerialLine) -> None:
        # The line was opened first. QEMU looks up to a second later whether its terminal is open, and what the guest
        # writes until then is in the log alone.
        tail, end = await self._of_log(console_tail_and_end(self._host, self._uid, SCROLLBACK), (b"", 0))
        self._ring.add(tail)
        self._opened.set_result(line)
        first = await line.read()
        logged = await self._of_log(console_since(self._host, self._uid, end, SCROLLBACK), b"")
        self._emit(logged)
        splice = Splice(logged)
        self._emit(splice.feed(first))
        if not first:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SPLICE_SECONDS):
                while not splice.done and (data := await line.read()):
                    self._emit(splice.feed(data))
        self._emit(splice.rest())
        while data := await line.read():
            self._emit(data)

    async def _of_log(self, reading: Coroutine[None, None, T], otherwise: T) -> T:
        """What the log tells; if it cannot be read, what it would tell if it were empty."""
        try:
            return await reading
        except HostFault as error:
            log.warning("console log not read", uid=self._uid, error=error)
            return otherwise

    def _emit(self, data: bytes) -> None:
        self._ring.add(data)
        for listener in self._listeners.values():
            listener.put(data)

    def _end(self) -> None:
        self.ended = True
        for listener in self._listeners.values():
            listener.end()


class SerialPorts:
    """The ports that anybody looks at."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ports: dict[str, SerialPort] = {}

    @contextlib.asynccontextmanager
    async def port(self, uid: str) -> AsyncIterator[SerialPort]:
        """A guest's port, open; it is closed when nobody has it any more.

        Raises:
            HostFault: it cannot be opened.
        """
        port = self._ports.get(uid)
        if port is None or port.ended:
            port = self._ports[uid] = SerialPort(self._host, uid)
        port.users += 1
        try:
            await port.opened()
            yield port
        finally:
            port.users -= 1
            if not port.users:
                port.close()
                if self._ports.get(uid) is port:
                    del self._ports[uid]
