"""Blocking calls, made in threads, each on a connection that nobody else uses meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar

import libvirt

from hypernova_agent.host import HostUnreachable
from hypernova_agent.libvirt.errors import host_fault

P = ParamSpec("P")
T = TypeVar("T")


class Lines:
    """Some connections to libvirtd, and a thread for each.

    A connection carries one call at a time, because libvirt's keep-alive frees only one: of several calls that wait on
    one connection when libvirtd hangs, all others would wait until it goes on (seen with libvirt 9.0).
    """

    def __init__(self, connections: Sequence[libvirt.virConnect]) -> None:
        self._count = len(connections)
        self._free: SimpleQueue[libvirt.virConnect] = SimpleQueue()
        for virt in connections:
            self._free.put(virt)
        self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="libvirt")
        self._closed = False
        self.undo = contextlib.ExitStack()
        """Closed in one of the threads before the connections are: as long as libvirt has a callback on one, it keeps
        it."""

    async def call(self, work: Callable[Concatenate[libvirt.virConnect, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work on one of the connections.

        Work that was asked for is done, and waited for, even when the caller is cancelled: nothing goes on behind
        the back of whoever cleans up.

        Raises:
            HostUnreachable: the connection was lost, or the lines are closed.
            HostError: libvirt refused.
        """
        if self._closed:
            raise HostUnreachable("not connected to libvirt")

        def on_free_line() -> T:
            virt = self._free.get()
            try:
                return work(virt, *args, **kwargs)
            except libvirt.libvirtError as error:
                raise host_fault(error, alive=is_alive(virt)) from error
            finally:
                self._free.put(virt)

        return await _ended(self._threads.submit(on_free_line))

    async def close(self) -> None:
        """Take no more calls, let those under way end, and close the connections."""
        if self._closed:
            return
        self._closed = True
        await _ended(self._threads.submit(self._undo))
        # libvirt crashes when a connection is closed under a call: each is closed by who got it from the free ones.
        for closing in [self._threads.submit(self._close_one) for _ in range(self._count)]:
            await _ended(closing)
        self._threads.shutdown(wait=False)

    def _undo(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):  # all is taken back: what the host says against it comes last
            self.undo.close()

    def _close_one(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):  # a lost one can't be closed, nor need it
            self._free.get().close()


def is_alive(virt: libvirt.virConnect) -> bool:
    """Whether the connection is open, as far as is known here: libvirtd isn't asked."""
    try:
        return bool(virt.isAlive())
    except libvirt.libvirtError:
        return False


async def _ended(job: Future[T]) -> T:
    """The job's result; on cancellation, too, only after it has ended."""
    result = asyncio.wrap_future(job)
    cancelled: asyncio.CancelledError | None = None
    while not result.done():
        try:
            await asyncio.wait([result])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        result.exception()  # looked at, so that asyncio doesn't report it as lost
        raise cancelled
    return result.result()
