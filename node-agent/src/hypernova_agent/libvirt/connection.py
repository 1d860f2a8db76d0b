"""The connection to libvirtd: opened, watched, and lost. All blocking calls are made here."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

import libvirt

from hypernova_agent.host import HostUnreachable
from hypernova_agent.libvirt.errors import host_fault, shortened
from hypernova_agent.libvirt.events import start_event_loop

P = ParamSpec("P")
T = TypeVar("T")

KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
"""libvirt gives up after one interval more than this: a hung libvirtd is noticed within 20 s."""

OPEN_TIMEOUT = 20.0
"""Seconds; keep-alive starts only after opening, and libvirt itself would wait for ever."""

WORKERS = 4
"""Calls at a time. libvirtd works on five requests of a client (max_client_requests) and meanwhile reads nothing more
from it, keep-alive included: with five long ones a busy host would look dead."""


class _Session:
    """One open connection, from its opening to its end, and the threads that wait on it."""

    def __init__(self, virt: libvirt.virConnect) -> None:
        self.virt = virt
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="libvirt")
        self._event_callback: int | None = None

    async def watch(self, on_domain_event: Callable[[str], None], on_closed: Callable[[str], None]) -> None:
        """Have events and the connection's end reported in the running event loop."""
        loop = asyncio.get_running_loop()

        def domain_event(_virt: object, domain: libvirt.virDomain, _event: int, _detail: int, _data: object) -> None:
            _in_loop(loop, on_domain_event, domain.UUIDString())

        def closed(_virt: object, reason: int, _data: object) -> None:
            _in_loop(loop, on_closed, _why_closed(reason))

        def register() -> None:
            self.virt.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
            self.virt.registerCloseCallback(closed, None)
            self._event_callback = self.virt.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, domain_event, None
            )

        await self.do(register)

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread; on cancellation return only after it has ended."""
        result = asyncio.wrap_future(self._workers.submit(work, *args, **kwargs))
        cancelled: asyncio.CancelledError | None = None
        while not result.done():
            try:
                await asyncio.wait([result])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            result.exception()  # looked at, so that asyncio doesn't report it as lost
            raise cancelled
        try:
            return result.result()
        except libvirt.libvirtError as error:
            raise host_fault(error, alive=self.alive()) from error

    def alive(self) -> bool:
        """Whether the connection is open, as far as is known here: libvirtd isn't asked."""
        try:
            return bool(self.virt.isAlive())
        except libvirt.libvirtError:
            return False

    async def end(self) -> None:
        """Give everything back; on a lost connection some of it fails, which doesn't matter any more."""

        def disconnect() -> None:
            for step in (self._deregister, self.virt.unregisterCloseCallback, self.virt.close):
                with contextlib.suppress(libvirt.libvirtError):
                    step()

        await self.do(disconnect)
        self._workers.shutdown(wait=False)

    def _deregister(self) -> None:
        if self._event_callback is not None:
            self.virt.domainEventDeregisterAny(self._event_callback)


class Connection:
    """A connection that can be opened again after each loss.

    Calls fail with HostUnreachable while it's not open, and when it is lost under them.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._session: _Session | None = None
        self._opening: Future[libvirt.virConnect] | None = None

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
        session = _Session(await self._opened())

        def lost(why: str) -> None:
            if self._session is session:
                on_lost(why)

        try:
            await session.watch(on_domain_event, lost)
            # An end that came before we listened, or before we are the session, is reported to nobody.
            if not session.alive():
                raise HostUnreachable("libvirt went away while we connected")
        except BaseException:
            await session.end()
            raise
        self._session = session

    async def close(self) -> None:
        """Close the connection, if any; calls under way end first, or with it."""
        session, self._session = self._session, None
        if session is not None:
            await session.end()

    async def call(self, work: Callable[Concatenate[libvirt.virConnect, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work on the connection in a thread.

        Work that was asked for is done, and waited for, even when the caller is cancelled: nothing goes on behind
        the back of whoever cleans up.

        Raises:
            HostUnreachable: the connection is not open, or was lost.
            HostError: libvirt refused.
        """
        if self._session is None:
            raise HostUnreachable("not connected to libvirt")
        return await self._session.do(work, self._session.virt, *args, **kwargs)

    async def _opened(self) -> libvirt.virConnect:
        """A new connection, opened in a thread that nobody has to wait for when libvirtd hangs.

        An attempt that got no answer goes on: the next one waits for it instead of adding another thread.
        """
        opening = self._opening = self._opening or _open_in_thread(self._uri)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                virt = await asyncio.shield(asyncio.wrap_future(opening))
        except TimeoutError:
            raise HostUnreachable(f"libvirt did not answer within {OPEN_TIMEOUT:.0f} s") from None
        except libvirt.libvirtError as error:
            self._opening = None
            raise HostUnreachable(shortened(str(error))) from error
        self._opening = None
        return virt


def _open_in_thread(uri: str) -> Future[libvirt.virConnect]:
    opened: Future[libvirt.virConnect] = Future()

    def work() -> None:
        try:
            opened.set_result(libvirt.open(uri))
        except libvirt.libvirtError as error:
            opened.set_exception(error)

    # A daemon: a hung libvirtd must not keep the process from ending.
    threading.Thread(target=work, name="libvirt-open", daemon=True).start()
    return opened


def _in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[[str], None], word: str) -> None:
    # The loop may have ended before libvirt's thread, which lives as long as the process.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, word)


def _why_closed(reason: int) -> str:
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
        return f"libvirt has not answered for {KEEPALIVE_SECONDS * (KEEPALIVE_COUNT + 1)} s"
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_EOF:
        return "libvirt went away"
    return "the connection to libvirt broke"
