"""Blocking calls, made in threads, each on a connection that nobody else uses meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

import libvirt

from hypernova_agent.host import HostError, HostUnreachable
from hypernova_agent.libvirt.errors import host_fault
from hypernova_agent.libvirt.threads import ended, in_thread

P = ParamSpec("P")
T = TypeVar("T")

MOST_UNANSWERED = 12
"""Calls that may hang at once and still be replaced by other lines: libvirtd itself works on 20 at a time."""


class Lines:
    """Some connections to libvirtd, each for one call at a time.

    One, because libvirt's keep-alive frees only one: of several calls that wait on one connection when libvirtd hangs,
    all others would wait until it goes on (seen with libvirt 9.0).

    Keep-alive does not help against one call that hangs in a libvirtd that else works: on a file system that has gone
    away, or a QEMU that stands still. Such a call is given up in time, and another connection takes its line's place.
    """

    def __init__(
        self,
        connections: Sequence[libvirt.virConnect],
        another: Callable[[], Awaitable[libvirt.virConnect]] | None = None,
    ) -> None:
        """Take the connections over.

        Args:
            connections: at least one.
            another: opens one more, in place of one whose call was given up. Raises HostUnreachable.
        """
        self._count = len(connections)
        self._free: asyncio.Queue[libvirt.virConnect] = asyncio.Queue()
        for virt in connections:
            self._free.put_nowait(virt)
        self._another = another
        self._unanswered = 0
        self._replacing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.undo = contextlib.ExitStack()
        """Closed before the connections are: as long as libvirt has a callback on one, it keeps it."""

    async def call(self, work: Callable[Concatenate[libvirt.virConnect, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work on one of the connections, however long it takes; see `call_within`."""
        return await self.call_within(None, work, *args, **kwargs)

    async def call_within(
        self,
        seconds: float | None,
        work: Callable[Concatenate[libvirt.virConnect, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do blocking work on one of the connections.

        Work that was begun is done, and waited for, even when the caller is cancelled: nothing goes on behind the back
        of whoever cleans up. But for work that hangs: nobody waits longer than that many seconds for it.

        Raises:
            HostUnreachable: the connection was lost, or the lines are closed.
            HostError: libvirt refused, or did not answer in time.
        """
        if self._closed:
            raise HostUnreachable("not connected to libvirt")
        try:
            async with asyncio.timeout(seconds):
                virt = await self._free.get()
        except TimeoutError:
            raise _unanswered(work, seconds) from None

        def on_the_line() -> T:
            try:
                return work(virt, *args, **kwargs)
            except libvirt.libvirtError as error:
                raise host_fault(error, alive=is_alive(virt)) from error

        job = asyncio.wrap_future(in_thread(on_the_line, "libvirt"))
        try:
            return await ended(job, seconds)
        except TimeoutError:
            raise _unanswered(work, seconds) from None
        finally:
            if job.done():
                self._free.put_nowait(virt)
            else:
                self._give_up(job, virt)

    async def close(self) -> None:
        """Take no more calls, let those under way end, and close the connections."""
        if self._closed:
            return
        self._closed = True
        await ended(asyncio.create_task(self._close()))

    async def _close(self) -> None:
        if self._replacing:
            await asyncio.wait(self._replacing)
        await asyncio.wrap_future(in_thread(self._undo, "libvirt"))
        # libvirt crashes when a connection is closed under a call: each is closed by who got it from the free ones,
        # after all who wait for one.
        while self._count:
            # Looked at anew each second: a call that is given up meanwhile brings its connection back to nobody.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    virt = await self._free.get()
                self._count -= 1
                await _hang_up(virt)

    def _undo(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):  # all is taken back: what the host says against it comes last
            self.undo.close()

    def _give_up(self, job: asyncio.Future[T], virt: libvirt.virConnect) -> None:
        """Do without a line whose call hangs, until it ends."""
        self._count -= 1
        self._unanswered += 1
        job.add_done_callback(functools.partial(self._answered, virt))
        if self._another is not None and self._unanswered <= MOST_UNANSWERED:
            self._begin(self._replace(self._another))

    def _answered(self, virt: libvirt.virConnect, job: asyncio.Future[T]) -> None:
        self._unanswered -= 1
        if not job.cancelled():
            job.exception()  # looked at: nobody else will
        self._begin(_hang_up(virt))

    async def _replace(self, another: Callable[[], Awaitable[libvirt.virConnect]]) -> None:
        with contextlib.suppress(HostUnreachable):  # then all connections end soon, and come anew
            self._free.put_nowait(await another())
            self._count += 1

    def _begin(self, errand: Awaitable[None]) -> None:
        task = asyncio.ensure_future(errand)
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)


def is_alive(virt: libvirt.virConnect) -> bool:
    """Whether the connection is open, as far as is known here: libvirtd isn't asked."""
    try:
        return bool(virt.isAlive())
    except libvirt.libvirtError:
        return False


async def _hang_up(virt: libvirt.virConnect) -> None:
    def close() -> None:
        with contextlib.suppress(libvirt.libvirtError):  # a lost one can't be closed, nor need it
            virt.close()

    await asyncio.wrap_future(in_thread(close, "libvirt"))


def _unanswered(work: Callable[..., object], seconds: float | None) -> HostError:
    asked = getattr(work, "__name__", "a call").replace("_", " ")
    return HostError(
        f"libvirt has not answered for {seconds:g} s ({asked}): look at the host's storage, at hanging QEMU processes "
        "and at the log of libvirtd"
    )
