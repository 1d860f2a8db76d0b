"""ConsoleSessions: who may look at which guest, from the ticket to the end.

Nothing about a session is in a replica alone. That a ticket is used once is for etcd to say: who uses it writes the
session's status at the resourceVersion at which it was not used yet, and of two who try one gets a Conflict.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from hypernova_api.console import ConsoleSession, ConsoleType, ConsoleUser
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord, Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.rights import Rights, to_look_at
from hypernova_console.session import (
    EXPIRED,
    FORBIDDEN,
    REVOKED,
    Ending,
    Session,
    is_over,
    moment,
    session_object,
    session_of,
    text_of,
)
from hypernova_console.sights import Sight, Sights
from hypernova_console.store import SessionStore, too_many, unavailable
from hypernova_console.tickets import Ticket, digest_of, matches, new_secret
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object
from hypernova_kube.throttle import Throttle

__all__ = ["Ending", "Session", "Sessions", "Sight"]

log = get_logger(__name__)

SWEEP_SECONDS = 60.0

GUESSES = 0.2, 20.0
"""Wrong tickets and keys a peer may show: a second, and at once. Many peers may be behind one address."""

OFFERS = 1.0, 30.0
"""Tickets a user may have made: a second, and at once."""

_TRIES = 4
_LONGEST_PREFIX = 200
"""Characters of a session's name that are its Instance's."""


class Sessions:
    """All sessions of the cluster, kept by ConsoleSession objects: any replica can go on with those of another."""

    def __init__(
        self,
        client: Client,
        instances: Instances,
        rights: Rights,
        metrics: ConsoleMetrics,
        *,
        ticket_seconds: int,
        session_seconds: int,
        review_seconds: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        rng: random.Random | None = None,
    ) -> None:
        """Sessions that are not watched yet; `run()` does that.

        Args:
            client: the proxy's own.
            instances: those they are about.
            rights: of their users.
            metrics: counts.
            ticket_seconds: how long a ticket is good.
            session_seconds: how long a session may last.
            review_seconds: how often it is looked whether one still may.
            clock: the time of day, in UTC.
            monotonic: seconds, for throttles.
            random_bytes: where secrets come from.
            rng: spreads what is done now and then.
        """
        self._instances = instances
        self._rights = rights
        self._metrics = metrics
        self._ticket_seconds = ticket_seconds
        self._session_seconds = session_seconds
        self._clock = clock
        self._random_bytes = random_bytes
        self._rng = rng or random.SystemRandom()
        self._guesses = Throttle(*GUESSES, monotonic)
        self._offers = Throttle(*OFFERS, monotonic)
        self._sights = Sights(instances, self._review, review_seconds=review_seconds, clock=clock, rng=self._rng)
        self._store = SessionStore(client, self._sights.on_session, monotonic=monotonic)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store.run(), name="sessions")
            group.create_task(self._sweep(), name="sweep of sessions")

    @property
    def synced(self) -> bool:
        """Whether all that there were at the beginning are known."""
        return self._store.synced

    async def offer(
        self, user: ConsoleUser, instance: Key, type_: ConsoleType, *, read_only: bool
    ) -> tuple[Session, Ticket]:
        """A session that begins when its ticket is redeemed. `user` is authenticated and may have tickets made.

        Raises:
            Refused: 403 Forbidden, 404 NotFound, 429 TooManyTickets, 503 Unavailable.
        """
        if wait := self._offers.take(user.username):
            raise Refused(429, "TooManyTickets", f"wait {wait:.0f} s before asking for another link", retry_after=wait)
        record = await self._instance(instance)
        await self._allowed(user, instance, type_)
        secret = new_secret(self._random_bytes)
        expires_at = self._clock() + timedelta(seconds=self._ticket_seconds)
        ticket = {"digest": digest_of(secret), "expiresAt": text_of(expires_at)}
        session = session_of(await self._create(record, user, type_, read_only=read_only, ticket=ticket))
        self._metrics.tickets.labels("made").inc()
        log.info("ticket made", instance=instance, session=session.key, user=user.username, console=type_.value)
        return session, Ticket(session.key, secret)

    async def redeem(self, ticket: str, *, peer: str) -> tuple[Session, str]:
        """The session that a ticket begins, and the key by which the browser comes again. Works once.

        Args:
            ticket: as the browser showed it.
            peer: address of who shows it: guesses are counted by it.

        Raises:
            Refused: 401 TicketUnknown, TicketUsed, TicketExpired, 403 Forbidden, 410 InstanceGone, 429 TooManyTries,
                503 Unavailable.
        """
        try:
            session, key = await self._redeem(ticket, peer)
        except Refused as refusal:
            self._metrics.tickets.labels(refusal.reason).inc()
            if refusal.status != 429:  # who tries too often shall not fill the log, too
                log.warning("ticket refused", address=peer, reason=refusal.reason)
            raise
        self._metrics.tickets.labels("redeemed").inc()
        log.info(
            "ticket redeemed",
            instance=session.instance,
            session=session.key,
            user=session.user.username,
            address=peer,
        )
        return session, key

    async def resume(self, session: Key, key: str, *, peer: str) -> Session:
        """The session that a browser has begun earlier. Whether its user still has the right is `sight`'s to ask.

        Raises:
            Refused: 401 SessionUnknown, SessionExpired, 429 TooManyTries, 503 Unavailable.
        """
        self._may_guess(peer)
        # One that is begun is begun for ever, but the watch may not have told of that yet.
        obj = await self._store.find(session, lambda kind: kind.status.key_digest is not None)
        if obj is None or not matches(key, ConsoleSession.parse(obj).status.key_digest):
            self._guesses.take(peer)
            raise _unknown_session()
        found = session_of(obj)
        if self._clock() >= found.expires_at:
            raise Refused(401, "SessionExpired", EXPIRED.reason)
        return found

    async def open(self, user: ConsoleUser, instance: Key, type_: ConsoleType, *, read_only: bool) -> Session:
        """A session that begins now, for a user whom the API server let through. `end` it with its connection.

        Raises:
            Refused: 404 NotFound, 503 Unavailable.
        """
        record = await self._instance(instance)
        obj = await self._create(record, user, type_, read_only=read_only, ticket=None)
        try:
            return session_of(await self._store.begin(obj, self._clock()))
        except KubeError as error:
            raise unavailable(error) from error

    async def end(self, session: Session) -> None:
        """Delete its ConsoleSession, which ends its connections on all replicas. No error if it is gone already.

        Raises:
            Refused: 503 Unavailable.
        """
        await self._store.delete(session)

    @asynccontextmanager
    async def sight(self, session: Session) -> AsyncIterator[Sight]:
        """Look after one connection of a session while it lasts.

        Raises:
            Refused: it must not be: 401 SessionUnknown, SessionExpired, 403 Forbidden, 409 GuestOff, 410 InstanceGone,
                503 HostUnreachable, Unavailable.
        """
        if self._clock() >= session.expires_at:
            raise Refused(401, "SessionExpired", EXPIRED.reason)
        await self._allowed(session.user, session.instance, session.type)
        try:
            is_there = await self._store.is_there(session)
        except KubeError as error:
            raise unavailable(error) from error
        if not is_there:
            raise _unknown_session()
        instance = await self._instance(session.instance, session.instance_uid)
        with self._sights.opened(session, instance, self._instances.place(instance)) as sight:
            yield sight

    def connected(self, session: Session) -> int:
        """How many connections through this replica look at the same guest in the same way, this one's included."""
        return len(self._sights.of(session))

    async def _redeem(self, text: str, peer: str) -> tuple[Session, str]:
        self._may_guess(peer)
        try:
            ticket = Ticket.parse(text)
        except ValueError:
            self._guesses.take(peer)
            raise _unknown_ticket() from None
        obj = await self._store.find(ticket.session)
        if obj is None or not _is_for(ticket, obj):
            self._guesses.take(peer)
            raise _unknown_ticket()
        session, key = session_of(obj), new_secret(self._random_bytes)
        for _ in range(_TRIES):
            if obj is None:
                raise _unknown_ticket()
            self._check_unused(ConsoleSession.parse(obj))
            await self._instance(session.instance, session.instance_uid)
            await self._allowed(session.user, session.instance, session.type)
            try:
                return session_of(await self._store.begin(obj, self._clock(), digest_of(key))), key
            except KubeError as error:
                # Conflict: another has used it, or somebody has only put a label on it. No answer: it may be done.
                obj = await self._begun_after(error, session)
            if obj is not None and matches(key, ConsoleSession.parse(obj).status.key_digest):
                return session_of(obj), key
        raise Refused(503, "Unavailable", "the session could not be begun: try again")

    async def _begun_after(self, error: KubeError, session: Session) -> Object | None:
        """What is stored of a session after an error at beginning it; None if it is gone."""
        try:
            return await self._store.again(session)
        except KubeError:
            raise unavailable(error) from error

    def _check_unused(self, kind: ConsoleSession) -> None:
        """Raises Refused (401 TicketUsed, TicketExpired)."""
        if kind.status.started_at is not None:
            raise Refused(401, "TicketUsed", "this link was used already: each is good for one time; ask for a new one")
        if kind.spec.ticket is None or self._clock() >= moment(kind.spec.ticket.expires_at):
            raise Refused(401, "TicketExpired", "this link was not used in time: ask for a new one")

    async def _instance(self, key: Key, uid: str = "") -> InstanceRecord:
        """The Instance that a session is about.

        Raises:
            Refused: 404 NotFound; of one that was known by its UID, 410 InstanceGone; 503 Unavailable.
        """
        record = await self._instances.current(key, uid)
        if record is not None and not record.deleting:
            return record
        if record is None and not uid:
            raise Refused(404, "NotFound", f"there is no Instance {key.name} in namespace {key.namespace}")
        raise Refused(410, "InstanceGone", f"Instance {key.name} was deleted")

    async def _allowed(self, user: ConsoleUser, instance: Key, type_: ConsoleType) -> None:
        """Raises Refused (403 Forbidden, 503 Unavailable) unless the user may look at the Instance."""
        permission = to_look_at(instance, type_)
        try:
            if await self._rights.may(user, permission, within=0.0):
                return
        except KubeError as error:
            raise unavailable(error) from error
        raise Refused(
            403,
            "Forbidden",
            f"{user.username} may not {permission} in namespace {instance.namespace}: ask an administrator",
        )

    async def _create(
        self, instance: InstanceRecord, user: ConsoleUser, type_: ConsoleType, *, read_only: bool, ticket: Object | None
    ) -> Object:
        prefix = instance.key.name[:_LONGEST_PREFIX].rstrip("-.")
        name = f"{prefix}-{self._random_bytes(6).hex()}"
        return await self._store.create(
            session_object(
                name, instance, user, type_, read_only=read_only, seconds=self._session_seconds, ticket=ticket
            )
        )

    async def _review(self, session: Session) -> Ending | None:
        """Whether a connection may go on.

        While the API server does not answer, it may: nothing can be withdrawn in that time either.
        """
        try:
            if not await self._store.is_there(session):
                return REVOKED
            if not await self._rights.may(session.user, to_look_at(session.instance, session.type)):
                return FORBIDDEN
        except KubeError as error:
            log.warning("session not reviewed", session=session.key, instance=session.instance, error=in_words(error))
        return None

    def _may_guess(self, peer: str) -> None:
        if wait := self._guesses.wait(peer):
            raise too_many(wait)

    async def _sweep(self) -> None:
        """Delete the sessions that are over. All replicas do; what one has deleted the others find gone."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * self._rng.uniform(0.8, 1.2))
            now = self._clock()
            for obj in self._store.all():
                try:
                    session = session_of(obj)
                    if is_over(session, now):
                        await self.end(session)
                        log.info("session swept", session=session.key, instance=session.instance)
                except (Refused, ValidationError) as error:
                    log.warning("session not swept", name=obj["metadata"]["name"], error=error)


def _is_for(ticket: Ticket, obj: Object) -> bool:
    """Whether it is the ticket that the ConsoleSession was made with."""
    made = ConsoleSession.parse(obj).spec.ticket
    return made is not None and matches(ticket.secret, made.digest)


def _unknown_ticket() -> Refused:
    return Refused(401, "TicketUnknown", "there is no such link, or it was withdrawn: ask for a new one")


def _unknown_session() -> Refused:
    return Refused(401, "SessionUnknown", "there is no such session, or it was ended: ask for a new link")
