"""The connection to libvirtd: opened, listened to, and lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import libvirt

from hypernova_agent.host import HostFault, HostUnreachable
from hypernova_agent.libvirt import opening
from hypernova_agent.libvirt.events import start_event_loop
from hypernova_agent.libvirt.lines import Lines, is_alive

P = ParamSpec("P")
T = TypeVar("T")

CALLS = min(max(4, 2 * (os.cpu_count() or 1)), 16)
"""Calls at a time: guests started and stopped fastest with two per CPU, and libvirtd has 20 threads for all clients."""


@dataclass(slots=True)
class _Session:
    """All connections from one opening to its end."""

    listener: Lines
    """One, for events and the news of its loss."""

    calls: Lines
    exclusive: list[Lines] = field(default_factory=list)
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """Takes the listener's callbacks back: as long as libvirt has one, it keeps the connection."""

    async def end(self) -> None:
        with contextlib.suppress(HostFault):
            await self.listener.call(lambda _virt: self.undo.close())
        for lines in (self.listener, self.calls, *self.exclusive):
            await lines.close()


class Connection:
    """What the host's other modules call libvirt through; can be opened again after each loss.

    Calls fail with HostUnreachable while it's not open, and when it is lost under them.
    """

    def __init__(self, uri: str) -> None:
        self._opener = opening.Opener(uri)
        self._session: _Session | None = None

    async def open(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        """Connect, dropping what there was. Both callbacks are called in the running event loop.

        Args:
            on_domain_event: gets the UUID of a domain, ours or not, whose lifecycle went on.
            on_lost: gets the reason, once, unless we close the connection ourselves.

        Raises:
            HostUnreachable: nobody answers.
        """
        await self.close()
        start_event_loop()
        listener, *rest = await self._opener.open(1 + CALLS)
        session = _Session(Lines([listener]), Lines(rest))

        def lost(why: str) -> None:
            if self._session is session:
                on_lost(why)

        try:
            await session.listener.call(_listen, session.undo, asyncio.get_running_loop(), on_domain_event, lost)
            # A loss before we listened, or before we are the session, is told to nobody.
            if not is_alive(listener):
                raise HostUnreachable("libvirt went away while we connected")
        except BaseException:
            await session.end()
            raise
        self._session = session

    async def close(self) -> None:
        """Close the connection, if any. Calls under way end first."""
        session, self._session = self._session, None
        if session is not None:
            await session.end()

    async def call(self, work: Callable[Concatenate[libvirt.virConnect, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work on the connection; see `Lines.call`."""
        return await self._open_session().calls.call(work, *args, **kwargs)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Lines]:
        """A connection of its own, for a stream: what comes and goes on it blocks no one else.

        It ends with the connection it was asked of.
        """
        session = self._open_session()
        lines = Lines(await self._opener.open(1))
        session.exclusive.append(lines)
        try:
            if self._session is not session:
                raise HostUnreachable("not connected to libvirt")
            yield lines
        finally:
            session.exclusive.remove(lines)
            await lines.close()

    def _open_session(self) -> _Session:
        if self._session is None:
            raise HostUnreachable("not connected to libvirt")
        return self._session


def _listen(
    virt: libvirt.virConnect,
    undo: contextlib.ExitStack,
    loop: asyncio.AbstractEventLoop,
    on_domain_event: Callable[[str], None],
    on_lost: Callable[[str], None],
) -> None:
    """Have events and the loss of this connection reported in the loop."""

    def in_loop(callback: Callable[[str], None], word: str) -> None:
        # The loop may have ended before libvirt's thread, which lives as long as the process.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, word)

    def domain_event(_virt: object, domain: libvirt.virDomain, _event: int, _detail: int, _data: object) -> None:
        in_loop(on_domain_event, domain.UUIDString())

    def closed(_virt: object, reason: int, _data: object) -> None:
        in_loop(on_lost, _why_closed(reason))

    virt.registerCloseCallback(closed, None)
    undo.callback(virt.unregisterCloseCallback)
    callback = virt.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain_event, None)
    undo.callback(virt.domainEventDeregisterAny, callback)


def _why_closed(reason: int) -> str:
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
        return f"libvirt has not answered for {opening.KEEPALIVE_SECONDS * (opening.KEEPALIVE_COUNT + 1)} s"
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_EOF:
        return "libvirt went away"
    return "the connection to libvirt broke"
