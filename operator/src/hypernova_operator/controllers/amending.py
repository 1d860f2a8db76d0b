"""Bound Instances that ask for more than they have: another flavor, further network cards.

And that lack our finalizer, where an update has left it out and the API server does not put it back.

What they get is claimed when it is decided and written at once, as at binding; the rest is their node's to do. What
cannot be had is told, and looked at again when something that is in the way changes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypernova_api.instance import BoundImage
from hypernova_api.network import DEFAULT_NETWORK
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key, Object, key_of
from hypernova_operator.addresses import NoAddressFree
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Instance, Told
from hypernova_operator.controllers import patches, resizing
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.resolve import Unmet
from hypernova_operator.controllers.waiting import Address, Kind, Named, Waiting
from hypernova_operator.controllers.writes import InstanceWrites
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

LOOK_AGAIN_SECONDS = 300.0
"""How often one that waits is looked at though nothing woke it."""

ROOM_SECONDS = 1.0
"""How late one that waits for room looks at room that has come free: much of it may come free at once."""

RETELL_SECONDS = 5.0
"""How often at most a message is written anew when only its numbers have changed."""

NO_ADDRESS = "NoAddressFree"

_TRIES = 10
_RETRY_SECONDS = 0.1


class Amender:
    """Reconciles what bound Instances ask for."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        ledger: Ledger,
        writes: InstanceWrites,
        recorder: EventRecorder,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._writes = writes
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng or random.SystemRandom()
        self._waiting = Waiting()
        self._told_at: dict[Key, float] = {}
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile, workers=2, backoff=Backoff(base=0.5, cap=60.0), name="amendments", metrics=client.metrics
        )
        cache.instances.store.subscribe(self._on_instance)
        watched: tuple[tuple[Kind, Any], ...] = (("Flavor", cache.flavors), ("Namespace", cache.namespaces))
        for kind, kept in watched:
            kept.store.subscribe(lambda key, _old, _new, kind=kind: self._wake_for_named(Named(kind, key)))

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        for instance in self._cache.instances.store:
            self._on_instance(instance.key, None, instance)
        await self._queue.run()

    def wake_for_room(self) -> None:
        """There may be room for somebody who waits."""
        for key in self._waiting.for_room():
            self._wake(key, ROOM_SECONDS)

    async def reconcile(self, key: Key) -> float | None:
        """One Instance, by what is known of it now; for a work queue.

        Returns:
            Seconds after which to look again, while it waits.

        Raises:
            KubeError, TimeoutError: try again later. What was claimed stays claimed until it is known what happened.
        """
        for _ in range(_TRIES):
            if self._writes.is_unsure(key):
                await self._writes.read(key)
            instance = self._cache.instance(key)
            if instance is None or not instance.node:
                self._leave(key)
                return None
            # It is certain here what its status says: what else is claimed is of a write that came to nothing.
            self._ledger.follow(instance)
            if not _asks(instance) or not self._writes.allowed():
                self._leave(key)
                return None
            if not instance.protected:
                if await self._writes.write(key, patches.protected(instance)):
                    log.info("protected again", instance=key, node=instance.node)
                continue
            obj = await self._writes.fetch(key)
            instance = self._cache.instance(key)
            if obj is None or instance is None or str(instance.version) != obj["metadata"]["resourceVersion"]:
                continue
            outcome = self._decide(instance, obj)
            if isinstance(outcome, list):
                again = await self._refuse(instance, obj, outcome)
                if again is not None:
                    return again
            elif await self._writes.write(key, outcome, "status"):
                log.info("amended", instance=key, node=instance.node, message=", ".join(sorted(outcome["status"])))
        return _RETRY_SECONDS  # somebody else keeps writing it

    def _decide(self, instance: Instance, obj: Object) -> Object | list[Unmet]:
        """The next thing to write; if there is none, what is in the way.

        Nothing is awaited here: no other decision can come between this and what it claims.
        """
        unmet = []
        for step in (self._cards, self._resize):
            outcome = step(instance, obj)
            if isinstance(outcome, dict):
                return outcome
            if outcome is not None:
                unmet.append(outcome)
        return unmet

    def _cards(self, instance: Instance, obj: Object) -> Object | Unmet | None:
        """Addresses for further network cards. Of fewer, its node lets go itself."""
        if not _lacks_cards(instance):
            return None
        try:
            assignments = self._ledger.assume_cards(instance)
        except NoAddressFree:
            message = (
                f"all addresses of network {DEFAULT_NETWORK} are taken, so that a further network card has to wait; "
                "once one is free, this goes on by itself"
            )
            return Unmet(NO_ADDRESS, message, frozenset({Address(DEFAULT_NETWORK)}))
        return patches.with_cards(obj, assignments)

    def _resize(self, instance: Instance, obj: Object) -> Object | Unmet | None:
        if not resizing.asks(instance):
            return None
        image = BoundImage.model_validate(obj["status"]["image"])
        decision = resizing.decide(instance, image, self._cache, self._ledger)
        if decision is None or isinstance(decision, Unmet):
            return decision
        if isinstance(decision, resizing.Grant):
            self._ledger.assume_resize(instance, decision.to)
        return patches.resized(obj, decision, self._wall_clock())

    async def _refuse(self, instance: Instance, obj: Object, unmet: list[Unmet]) -> float | None:
        """Tell what can't be had, where that is news. Returns when to look again; None: now, as somebody else wrote."""
        key = instance.key
        waits_already = key in self._waiting
        for other in self._waiting.wait(key, frozenset().union(*(why.needs for why in unmet))):
            self._wake(other)
        for why in unmet:
            if why.reason == NO_ADDRESS:  # an Event alone: what cards it has, its addresses say
                if not waits_already:
                    self._say(obj, why)
            elif instance.resized != Told(why.reason, why.message):
                if (too_soon := self._too_soon(instance, why)) > 0:
                    return too_soon
                if not await self._writes.write(key, patches.not_resized(obj, why, self._wall_clock()), "status"):
                    return None
                self._told_at[key] = self._clock()
                self._say(obj, why)
        return LOOK_AGAIN_SECONDS * self._rng.uniform(0.5, 1.0)

    def _too_soon(self, instance: Instance, why: Unmet) -> float:
        """Seconds until it may be told, if it has been told the same just now in other numbers."""
        told_at = self._told_at.get(instance.key)
        if told_at is None or instance.resized is None or instance.resized.reason != why.reason:
            return 0.0
        return told_at + RETELL_SECONDS - self._clock()

    def _say(self, obj: Object, why: Unmet) -> None:
        self._metrics.refusals.labels(why.reason).inc()
        self._recorder.warning(obj, why.reason, why.message)
        log.info("not amended", instance=key_of(obj), reason=why.reason, message=why.message)

    def _on_instance(self, key: Key, _old: Instance | None, new: Instance | None) -> None:
        if key in self._waiting or (new is not None and new.node and _asks(new)):
            self._wake(key)

    def _wake_for_named(self, need: Named) -> None:
        for key in self._waiting.for_named(need):
            self._wake(key)

    def _wake(self, key: Key, after: float = 0.0) -> None:
        # A standby queues nothing: when it comes to lead, it looks at all.
        if self._writes.allowed():
            self._queue.add(key, after)

    def _leave(self, key: Key) -> None:
        self._told_at.pop(key, None)
        for other in self._waiting.leave(key):
            self._wake(other)


def _asks(instance: Instance) -> bool:
    # Once deletion has begun, the API server takes no finalizer any more.
    return not instance.deleting and (not instance.protected or _lacks_cards(instance) or resizing.asks(instance))


def _lacks_cards(instance: Instance) -> bool:
    return instance.cards > len(instance.addresses)
