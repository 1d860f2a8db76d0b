"""Sights: the connections of sessions, each ended as soon as something says so."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from hypernova_console.instances import InstanceRecord, Instances, Place
from hypernova_console.session import GONE, REVOKED, Ending, Session, ending
from hypernova_kube.process.logs import get_logger
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key

log = get_logger(__name__)

Review = Callable[[Session], Awaitable[Ending | None]]
"""Looks whether a session may go on; None: it may, or nobody can tell now."""


class Sight:
    """One connection of a session, from its beginning; of a session there may be several."""

    def __init__(self, session: Session, instance: InstanceRecord, place: Place) -> None:
        self.session = session
        self.instance = instance
        """As it was then."""

        self.place = place
        """Where its console was then; another place later is an ending."""

        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def ended(self) -> Ending:
        """Waits until the connection must end; returns at once when it must already. Can be awaited by several."""
        return await asyncio.shield(self._ended)

    @property
    def over(self) -> bool:
        """Whether it must end, or has ended."""
        return self._ended.done()

    def end(self, why: Ending) -> None:
        """Have it end; the first reason stays."""
        if not self.over:
            self._ended.set_result(why)


class Sights:
    """All connections through this process."""

    def __init__(
        self,
        instances: Instances,
        review: Review,
        *,
        review_seconds: float,
        clock: Callable[[], datetime],
        rng: random.Random,
    ) -> None:
        """No connections yet.

        Args:
            instances: tells what becomes of Instances.
            review: asked now and then, for each connection.
            review_seconds: how long a connection goes on without a review, at most.
            clock: the time of day, in UTC.
            rng: spreads the reviews.
        """
        self._review = review
        self._review_seconds = review_seconds
        self._clock = clock
        self._rng = rng
        self._by_session: defaultdict[Key, set[Sight]] = defaultdict(set)
        self._by_instance: defaultdict[Key, set[Sight]] = defaultdict(set)
        self._instances = instances
        instances.listen(self._on_instance)

    @contextmanager
    def opened(self, session: Session, instance: InstanceRecord, place: Place) -> Iterator[Sight]:
        """Look after a connection for the length of the block; nothing is awaited before that begins."""
        sight = Sight(session, instance, place)
        self._by_session[session.key].add(sight)
        self._by_instance[session.instance].add(sight)
        keeping = asyncio.create_task(self._keep(sight), name=f"sight of {session.instance}")
        self._look(sight)
        log.info(
            "console opened",
            instance=session.instance,
            session=session.key,
            user=session.user.username,
            console=session.type.value,
            node=place.node_name,
        )
        try:
            yield sight
        finally:
            keeping.cancel()
            self._drop(self._by_session, session.key, sight)
            self._drop(self._by_instance, session.instance, sight)
            log.info("console closed", instance=session.instance, session=session.key, user=session.user.username)

    def of(self, session: Session) -> list[Sight]:
        """All that look at the same guest in the same way."""
        return [each for each in self._by_instance.get(session.instance, ()) if each.session.type is session.type]

    def on_session(self, change: Change) -> None:
        """To be told of every Change of a ConsoleSession."""
        if change.old is not None and change.new is None:
            uid = change.old["metadata"]["uid"]
            for sight in self._by_session.get(change.key, ()):
                if sight.session.uid == uid:
                    sight.end(REVOKED)

    def _on_instance(self, change: Change) -> None:
        gone = change.old["metadata"]["uid"] if change.old is not None and change.new is None else None
        for sight in self._by_instance.get(change.key, ()):
            if sight.session.instance_uid == gone:
                sight.end(GONE)
            else:
                self._look(sight)

    def _look(self, sight: Sight) -> None:
        session = sight.session
        instance = self._instances.find(session.instance)
        if instance is not None and instance.uid != session.instance_uid:
            # The watch is behind: it has yet to tell that this one is gone, and that ours is there.
            instance = None
        if (why := ending(session, sight.place.node_name, instance, self._clock())) is not None:
            sight.end(why)

    async def _keep(self, sight: Sight) -> None:
        """Ends it when its time is over, and reviews it until then."""
        while not sight.over:
            left = (sight.session.expires_at - self._clock()).total_seconds()
            review = self._review_seconds * self._rng.uniform(0.8, 1.0)
            await asyncio.sleep(min(max(left, 0.0), review))
            self._look(sight)
            if left > review and (why := await self._review(sight.session)) is not None:
                sight.end(why)

    @staticmethod
    def _drop(sights: defaultdict[Key, set[Sight]], key: Key, sight: Sight) -> None:
        sights[key].discard(sight)
        if not sights[key]:
            del sights[key]
