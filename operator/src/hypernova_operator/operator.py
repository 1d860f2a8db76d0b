"""The parts put together: what is watched, what is kept, who decides, who leads."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.credentials import LogIn
from hypernova_kube.errors import LeadershipLost
from hypernova_kube.events import EventRecorder
from hypernova_kube.lease import Elector
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Reflector
from hypernova_kube.resources import LEASES, Key
from hypernova_operator.cache import Cache, Kept
from hypernova_operator.cache.liveness import Liveness
from hypernova_operator.cache.records import Instance
from hypernova_operator.cache.reflected import reflected
from hypernova_operator.cache.sweep import Sweeper
from hypernova_operator.controllers.actions.actions import Actions
from hypernova_operator.controllers.adoption import Adopter
from hypernova_operator.controllers.amending import Amender
from hypernova_operator.controllers.binding import Binder
from hypernova_operator.controllers.drift import Drift
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.lost import LostHosts
from hypernova_operator.controllers.nonsense import Nonsense
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.reserving import Reserving
from hypernova_operator.controllers.signing.signing import Signing
from hypernova_operator.controllers.statuses.followed import Statuses
from hypernova_operator.controllers.waiting import Kind, Named, Waiting
from hypernova_operator.controllers.writes import InstanceWrites
from hypernova_operator.frame import Frame
from hypernova_operator.metrics import Metrics
from hypernova_operator.settings import Settings

log = get_logger(__name__)

LEADER_LEASE = "hypernova-operator"

LEADER_RETRY_SECONDS = 1.0
"""A standby sees the last renewal of a leader that dies up to this late, waits for the Lease's 15 s, and sees their end
up to this late (plus 20 %): less than 20 s in all."""

STUCK_SECONDS = 120.0
"""A key that waits longer for a worker shows that none works any more."""

SILENT_SECONDS = 300.0
"""The API server sends a bookmark every minute; a reflector that hears nothing for so long is stuck."""


ADOPTION_SECONDS = 5.0
"""How long an Instance that was made anew for a domain gets to be bound to it, before it is told what it waits for."""


class _Stopped(Exception):
    """The frame ended as it was told to."""


class Operator:
    """One operator process. It decides only while it leads; its cache is kept in any case."""

    def __init__(self, client: Client, log_in: LogIn, settings: Settings, metrics: Metrics) -> None:
        # A restarted process must not take the leadership of the one before it for its own.
        identity = f"{settings.identity}_{uuid4().hex[:8]}"
        self._elector = Elector(client, settings.namespace, LEADER_LEASE, identity, retry=LEADER_RETRY_SECONDS)
        self._recorder = EventRecorder(client, "hypernova-operator", settings.identity)
        self.cache = Cache(settings.limits)
        self._reflectors = {kept.resource: reflected(client, kept) for kept in self.cache.many}
        self._sweeper = Sweeper(client, self.cache, settings.sweep_seconds, metrics, self._reflectors)
        self._liveness = Liveness(self.cache.hosts)
        self._leases = Reflector(
            client,
            LEASES,
            self._liveness.on_change,
            # With the leader's own among them, we hear whether we can hear.
            namespace=settings.namespace,
        )
        self._waiting = Waiting()
        self._ledger = Ledger(self.cache, self._wake_for_room)
        writes = InstanceWrites(client, self.cache, self._elector.is_leader)
        binder = Binder(
            self.cache,
            self._ledger,
            self._waiting,
            writes,
            self._recorder,
            metrics,
            self._wake,
            is_sure=self._liveness.sure.is_set,
            policy=settings.policy,
        )
        self._queue: WorkQueue[Key] = WorkQueue(
            binder.reconcile,
            workers=settings.workers,
            backoff=Backoff(base=0.5, cap=60.0),
            name="instances",
            metrics=client.metrics,
        )
        self._amender = Amender(client, self.cache, self._ledger, writes, self._recorder, metrics)
        placed = Placed(self.cache.instances.store)
        is_leader = self._elector.is_leader
        self._statuses = Statuses(client, self.cache, self._ledger, placed, is_leader)
        self._nonsense = Nonsense(self.cache, self._recorder, is_leader)
        self._adopter = Adopter(client, self.cache, self._ledger, writes, self._recorder, metrics)
        self._lost = LostHosts(client, self.cache, placed, self._liveness, writes, metrics)
        self._drift = Drift(client, self.cache, self._ledger.table, placed, self._recorder, is_leader)
        self._actions = Actions(client, self.cache, self._ledger.table, self._recorder, metrics, is_leader)
        self._signing = Signing(client, settings.namespace, metrics)
        self._reserving = (
            Reserving(client, self.cache, placed, settings.namespace, self._recorder, metrics, is_leader)
            if settings.reservation
            else None
        )
        self.cache.instances.store.subscribe(self._on_instance)
        for kind, kept in self._named_kinds():
            kept.store.subscribe(partial(self._wake_for_named, kind))
        self._frame = Frame(log_in, self.cache, self._sweeper.poke, self._stop_leading)
        self._leading: asyncio.Task[None] | None = None
        metrics.waiting.set_function(lambda: len(self._waiting))
        metrics.instances.set_function(lambda: len(self.cache.instances.store))
        metrics.hosts.set_function(lambda: len(self.cache.hosts))

    async def run(self) -> None:
        """Until SIGTERM or SIGINT.

        Raises:
            ExceptionGroup: of LeadershipLost, or of whatever else ended a part of it: nothing is done any more.
        """
        try:
            async with asyncio.TaskGroup() as group:
                # All of these begin before kopf, which on its end cancels what was begun after it.
                group.create_task(self._leases.run(), name="leases")
                group.create_task(self._liveness.run(), name="liveness")
                group.create_task(self._recorder.run(), name="events")
                for reflector in self._reflectors.values():
                    group.create_task(reflector.run(), name="reflector")
                    # Then the sweep finds all read, and does not read it again.
                    await reflector.synced.wait()
                await self._sweeper.sweep()
                group.create_task(self._sweeper.run(), name="sweeper")
                self._leading = group.create_task(self._lead(), name="leading")
                await self._frame.run()
                raise _Stopped
        except* _Stopped:
            log.info("stopped")
        finally:
            await self._elector.release()

    def why_not_live(self) -> list[str]:
        """Reasons to restart this process."""
        reasons = []
        if (age := self._queue.oldest_age) > STUCK_SECONDS:
            reasons.append(f"an Instance has waited {age:.0f} s for a worker")
        if (age := self._leases.last_activity_age()) > SILENT_SECONDS:
            reasons.append(f"nothing heard from the API server for {age:.0f} s")
        return reasons

    def why_not_ready(self) -> list[str]:
        """Reasons why this process could not decide, were it the leader now."""
        synced = {"the cluster's objects": self._sweeper.swept, "the node agents' leases": self._leases.synced}
        return [f"{what} have not been read yet" for what, event in synced.items() if not event.is_set()]

    async def _lead(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._elect(), name="election")
            await self._elector.elected.wait()
            # What the leader before us wrote last must be known before the first decision.
            await self._sweeper.sweep()
            await self._leases.synced.wait()
            for instance in self.cache.instances.store:
                self._on_instance(instance.key, None, instance)
            self._nonsense.tell_all()
            group.create_task(self._tell(), name="statuses")
            group.create_task(self._drift.run(), name="drift")
            group.create_task(self._actions.run(), name="actions")
            group.create_task(self._amender.run(), name="amendments")
            group.create_task(self._adopter.run(), name="orphans")
            group.create_task(self._lost.run(), name="lost hosts")
            group.create_task(self._signing.run(), name="certificates")
            if self._reserving is not None:
                group.create_task(self._reserving.run(), name="reservations")
            await self._queue.run()

    async def _tell(self) -> None:
        # Before it is known who lives, all zones would seem to be gone.
        await self._liveness.sure.wait()
        await self._statuses.run()

    async def _elect(self) -> None:
        try:
            await self._elector.run()
        except LeadershipLost as lost:
            log.error("leadership lost", lease=LEADER_LEASE, error=lost)
            raise

    async def _stop_leading(self) -> None:
        if self._leading is not None:
            self._leading.cancel()
            await asyncio.wait([self._leading])
        await self._elector.release()

    def _named_kinds(self) -> tuple[tuple[Kind, Kept[Any]], ...]:
        cache = self.cache
        return (
            ("AvailabilityZone", cache.zones),
            ("Flavor", cache.flavors),
            ("Image", cache.images),
            ("InstanceGroup", cache.groups),
            ("KeyPair", cache.key_pairs),
            ("Namespace", cache.namespaces),
        )

    def _on_instance(self, key: Key, old: Instance | None, new: Instance | None) -> None:
        if new is None or not new.node:
            self._wake(key, ADOPTION_SECONDS if new is not None and new.adopt else 0.0)
        if old is None or new is None or old.node != new.node:
            self._wake_for_named("Instance", key, old, new)

    def _wake_for_named(self, kind: Kind, key: Key, _old: object, _new: object) -> None:
        for waiting in self._waiting.for_named(Named(kind, key)):
            self._wake(waiting)

    def _wake_for_room(self) -> None:
        for waiting in self._waiting.for_room():
            self._wake(waiting)
        self._amender.wake_for_room()

    def _wake(self, key: Key, after: float = 0.0) -> None:
        # A standby queues nothing: when it comes to lead, it looks at all that are not bound then.
        if self._elector.is_leader():
            self._queue.add(key, after)
