"""The connection to libvirtd: opened, listened to, and lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import libvirt

from hypernova_agent.host import HostUnreachable
from hypernova_agent.libvirt import opening
from hypernova_agent.libvirt.events import start_event_loop
from hypernova_agent.libvirt.facts import versions
from hypernova_agent.libvirt.lines import Lines, is_alive
from hypernova_agent.libvirt.listening import listen
from hypernova_agent.versions import refuse_too_old

P = ParamSpec("P")
T = TypeVar("T")

CALL_SECONDS = 60.0
"""How long libvirt may take to answer what it knows, or what takes a file system or a monitor a moment."""

PATIENT_SECONDS = 900.0
"""How long it may take to start or end a guest: the kernel first clears its memory, which may be a terabyte."""

CALLS = min(max(4, 2 * (os.cpu_count() or 1)), 16)
"""Calls at a time: guests started and stopped fastest with two per CPU, and libvirtd has 20 threads for all clients."""


@dataclass(slots=True)
class _Session:
    """All connections from one opening to its end."""

    listener: Lines
    """One, for events and the news of its loss."""

    calls: Lines
    exclusive: list[Lines] = field(default_factory=list)

    async def end(self) -> None:
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
            on_domain_event: gets the UUID of a domain, ours or not, that something happened to.
            on_lost: gets the reason, once, unless we close the connection ourselves.

        Raises:
            HostUnreachable: nobody answers.
            HostTooOld: it is not listened to: libvirt would only say that it knows no such event.
        """
        await self.close()
        start_event_loop()
        listener, *rest = await self._opener.open(1 + CALLS)
        session = _Session(Lines([listener]), Lines(rest, self._open_one))

        def lost(why: str) -> None:
            if self._session is session:
                on_lost(why)

        try:
            refuse_too_old(*await session.listener.call(versions))
            loop = asyncio.get_running_loop()
            await session.listener.call(listen, session.listener.undo, _in(loop, on_domain_event), _in(loop, lost))
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
        """Do blocking work on the connection; see `Lines.call_within`."""
        return await self._open_session().calls.call_within(CALL_SECONDS, work, *args, **kwargs)

    async def call_patiently(
        self, work: Callable[Concatenate[libvirt.virConnect, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for work that may take minutes."""
        return await self._open_session().calls.call_within(PATIENT_SECONDS, work, *args, **kwargs)

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Lines]:
        """A connection of its own, for a stream, or for what may take long: it blocks no one else.

        It ends with the connection it was asked of.
        """
        session = self._open_session()
        lines = Lines([await self._open_one()])
        session.exclusive.append(lines)
        try:
            if self._session is not session:
                raise HostUnreachable("not connected to libvirt")
            yield lines
        finally:
            session.exclusive.remove(lines)
            await lines.close()

    async def _open_one(self) -> libvirt.virConnect:
        (virt,) = await self._opener.open(1)
        return virt

    def _open_session(self) -> _Session:
        if self._session is None:
            raise HostUnreachable("not connected to libvirt")
        return self._session


def _in(loop: asyncio.AbstractEventLoop, callback: Callable[[str], None]) -> Callable[[str], None]:
    """The callback, to be called from libvirt's thread, which lives as long as the process: the loop may not."""

    def tell(word: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(callback, word)

    return tell
