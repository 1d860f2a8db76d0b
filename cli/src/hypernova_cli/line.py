"""A guest's serial line over the network: connected again and again for as long as that makes sense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from hypernova_api.console import ConsoleType, SerialRole
from hypernova_cli.connection import Connection, Ending
from hypernova_cli.consoles import Consoles
from hypernova_cli.errors import CliError, NoConsoleProxy, sentence
from hypernova_kube.backoff import Backoff
from hypernova_kube.errors import Conflict, KubeError, ServerError, TooManyRequests, Unreachable

_REMEMBERED = 4096
"""Bytes of what was shown last, by which the scroll-back of the next connection is recognized."""

_LONGEST_WAIT = 15.0
"""Seconds between tries. A connection that has lasted as long is a good one, and the next wait is short again."""


class LineEnded(CliError):
    """The line has ended, and coming again is of no use, or not wanted."""


def continued(shown: bytes, scroll_back: bytes) -> bytes:
    """What of a scroll-back has not been shown yet; all of it, if nothing tells. Pure.

    Args:
        shown: the last that was shown of the line, before it broke off.
        scroll_back: the last that the guest has written.
    """
    tail = shown[-_REMEMBERED:]
    if not tail:
        return scroll_back
    if (at := scroll_back.rfind(tail)) >= 0:
        return scroll_back[at + len(tail) :]
    overlaps = range(min(len(tail), len(scroll_back)), 0, -1)
    return scroll_back[next((n for n in overlaps if tail.endswith(scroll_back[:n])), 0) :]


def news(role: SerialRole, *, read_only: bool) -> str:
    """Who writes, for who has just become a reader or the writer. Pure."""
    if role.writer:
        return "you write"
    holder = f"{role.holder} writes" if role.holder else "nobody writes"
    return holder if read_only else f"{holder}; you only read (--take-over takes the pen)"


class SerialLine:
    """One viewer's sight of a line.

    `say` is told of connections lost and found, and of who writes. `shown` is what the user has seen of the line
    already; where a scroll-back goes on from it, only the rest is told.
    """

    def __init__(
        self,
        consoles: Consoles,
        name: str,
        say: Callable[[str], None],
        *,
        read_only: bool = False,
        take_over: bool = False,
        reconnect: bool = True,
        shown: bytes = b"",
    ) -> None:
        self._consoles = consoles
        self._name = name
        self._say = say
        self._read_only = read_only
        self._take_over = take_over
        self._reconnect = reconnect
        self._shown = shown
        self._backoff = Backoff(cap=_LONGEST_WAIT)
        self._connection: Connection | None = None
        self.connected = asyncio.Event()
        """Set once it was connected for the first time."""

        self._role: SerialRole | None = None
        self._ending = Ending(0)

    async def output(self) -> AsyncGenerator[bytes, None]:
        """What the guest writes, scroll-back first. Close it (`contextlib.aclosing`) when leaving it.

        Raises:
            LineEnded: for good.
            KubeError: the first connection failed, or a later one for good.
            NoConsoleProxy: the first connection failed.
        """
        clock = asyncio.get_running_loop().time
        said = ""
        while True:
            began = clock()
            try:
                async with self._consoles.connected(self._name, ConsoleType.SERIAL, self._params()) as connection:
                    self._say(f"connected{' again' if said else ''} to the serial console of {self._name}")
                    said = "connected"
                    self._take_over = False  # once: who takes it over later is not to be robbed by a connection lost
                    self._connection, self._role = connection, None
                    self.connected.set()
                    async with aclosing(self._received(connection)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                ending = str(self._ending)
                if not self._reconnect or not self._ending.comes_again:
                    raise LineEnded(f"{self._name}: {ending}")
            except (KubeError, NoConsoleProxy) as error:
                if not said or not _passes(error):
                    raise
                ending = (sentence(error) if isinstance(error, KubeError) else str(error)).rstrip(".")
            finally:
                self._connection = None
            if clock() - began > _LONGEST_WAIT:
                self._backoff.forget(self._name)
            if ending != said:
                self._say(f"{ending}; connecting again as soon as that works")
                said = ending
            await asyncio.sleep(self._backoff.next(self._name))

    async def type(self, data: bytes) -> None:
        """Type that; it is lost while there is no connection."""
        if self._connection is not None:
            await self._connection.send(data)

    def _params(self) -> Mapping[str, str]:
        params = {"readOnly": self._read_only, "takeOver": self._take_over}
        return {name: "true" for name, wanted in params.items() if wanted}

    async def _received(self, connection: Connection) -> AsyncGenerator[bytes, None]:
        scroll_back = True
        while True:
            match await connection.receive():
                case Ending() as ending:
                    self._ending = ending
                    return
                case SerialRole() as role:
                    if role != self._role:
                        self._role = role
                        self._say(news(role, read_only=self._read_only))
                case bytes() as data:
                    chunk = continued(self._shown, data) if scroll_back else data
                    scroll_back = False
                    self._shown = (self._shown + chunk)[-_REMEMBERED:]
                    yield chunk


def _passes(error: KubeError | NoConsoleProxy) -> bool:
    """Whether the next try may well succeed."""
    if isinstance(error, Conflict):
        return error.reason == "GuestOff"
    return isinstance(error, Unreachable | ServerError | TooManyRequests | NoConsoleProxy)
