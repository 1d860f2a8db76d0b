"""ConsoleSessions: who may look at which guest, from the ticket to the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from hypernova_api.console import CloseCode, ConsoleType, ConsoleUser
from hypernova_console.instances import InstanceRecord, Place
from hypernova_console.tickets import Ticket
from hypernova_kube.resources import Key


@dataclass(frozen=True, slots=True)
class Session:
    """A user's right to look at one guest, begun or about to be. It says nothing about whether it still holds."""

    key: Key
    """Of the ConsoleSession."""

    uid: str
    """Of the ConsoleSession."""

    instance: Key
    instance_uid: str
    type: ConsoleType
    read_only: bool
    user: ConsoleUser
    expires_at: datetime
    """When the session ends at the latest; of one that is offered, the time until which its ticket is good."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: what its WebSocket is closed with."""

    code: CloseCode
    reason: str
    """A sentence, of at most LONGEST_REASON bytes."""


class Sight:
    """One connection of a session, from its beginning; of a session there may be several."""

    instance: InstanceRecord
    """As it was then."""

    place: Place
    """Where its console was then; another place later is an ending."""

    async def ended(self) -> Ending:
        """Waits until the connection must end; returns at once when it must already. Can be awaited by several."""
        raise NotImplementedError


class Sessions:
    """All sessions of the cluster, kept by ConsoleSession objects: any replica can go on with those of another."""

    async def offer(
        self, user: ConsoleUser, instance: Key, type_: ConsoleType, *, read_only: bool
    ) -> tuple[Session, Ticket]:
        """A session that begins when its ticket is redeemed. `user` is authenticated and may have tickets made.

        Raises:
            Refused: 403 Forbidden, 404 NotFound, 503 Unavailable.
        """
        raise NotImplementedError

    async def redeem(self, ticket: str, *, peer: str) -> tuple[Session, str]:
        """The session that a ticket begins, and the key by which the browser comes again. Works once.

        Args:
            ticket: as the browser showed it.
            peer: address of who shows it: guesses are counted by it.

        Raises:
            Refused: 401 TicketUnknown, TicketUsed, TicketExpired, 403 Forbidden, 410 InstanceGone, 429 TooManyTries,
                503 Unavailable.
        """
        raise NotImplementedError

    async def resume(self, session: Key, key: str, *, peer: str) -> Session:
        """The session that a browser has begun earlier. Whether its user still has the right is `sight`'s to ask.

        Raises:
            Refused: 401 SessionUnknown, SessionExpired, 429 TooManyTries, 503 Unavailable.
        """
        raise NotImplementedError

    async def open(self, user: ConsoleUser, instance: Key, type_: ConsoleType, *, read_only: bool) -> Session:
        """A session that begins now, for a user whom the API server let through. `end` it with its connection.

        Raises:
            Refused: 404 NotFound, 503 Unavailable.
        """
        raise NotImplementedError

    async def end(self, session: Session) -> None:
        """Delete its ConsoleSession, which ends its connections on all replicas. No error if it is gone already.

        Raises:
            Refused: 503 Unavailable.
        """
        raise NotImplementedError

    @asynccontextmanager
    async def sight(self, session: Session) -> AsyncIterator[Sight]:
        """Look after one connection of a session while it lasts.

        Raises:
            Refused: it must not be: 401 SessionUnknown, SessionExpired, 403 Forbidden, 409 GuestOff, 410 InstanceGone,
                503 HostUnreachable, Unavailable.
        """
        raise NotImplementedError
        yield

    def connected(self, session: Session) -> int:
        """How many connections through this replica look at the same guest in the same way, this one's included."""
        raise NotImplementedError
