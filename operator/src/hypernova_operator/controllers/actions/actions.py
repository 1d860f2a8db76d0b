"""InstanceActions reconciled: admitted or refused, ended with their Instance, made an Image of, and deleted in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from hypernova_api.action import ActionPhase
from hypernova_api.instance import Instance as InstanceKind
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import InstanceAction
from hypernova_operator.controllers.actions import admission, patches
from hypernova_operator.controllers.actions.admission import Admitted, Refused, Verdict, Waits
from hypernova_operator.controllers.actions.snapshots import Snapshots
from hypernova_operator.controllers.actions.writes import ACTIONS, ActionWrites
from hypernova_operator.controllers.involved import involved
from hypernova_operator.controllers.waiting import Kind, Named, Waiting
from hypernova_operator.controllers.writes import INSTANCES
from hypernova_operator.metrics import Metrics
from hypernova_operator.scheduler import HostTable

log = get_logger(__name__)

WORKERS = 4

_RETRY_SECONDS = 0.1
"""After somebody else has written at the same time."""


class Actions:
    """The operator's part of all InstanceActions, as the leader."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        hosts: HostTable,
        recorder: EventRecorder,
        metrics: Metrics,
        is_leader: Callable[[], bool],
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._cache = cache
        self._hosts = hosts
        self._recorder = recorder
        self._metrics = metrics
        self._is_leader = is_leader
        self._wall_clock = wall_clock
        self._writes = ActionWrites(client, cache, is_leader)
        self._snapshots = Snapshots(client, self._writes, recorder, wall_clock)
        self._open = Waiting()
        """Actions of which something is to come, by what that depends on."""
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile, workers=WORKERS, backoff=Backoff(base=0.5, cap=60.0), name="actions", metrics=client.metrics
        )
        cache.actions.store.subscribe(self._on_action)
        cache.instances.store.subscribe(partial(self._on_named, "Instance"))
        cache.images.store.subscribe(partial(self._on_named, "Image"))
        cache.key_pairs.store.subscribe(partial(self._on_named, "KeyPair"))
        metrics.actions.set_function(lambda: len(self._open))

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        for action in self._cache.actions.store:
            self._wake(action.key)
        await self._queue.run()

    async def reconcile(self, key: Key) -> float | None:
        """One action, by what is known of it now; for a work queue.

        Returns:
            Seconds after which to look again.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        action = self._cache.actions.store.get(key)
        if action is None or not self._writes.allowed():
            self._open.leave(key)
            return None
        if action.finished:
            return await self._finish(action)
        self._open.wait(key, admission.needs(action))
        if action.node:
            return await self._follow(action)
        return None if action.deleting else await self._admit(action)

    async def _admit(self, action: InstanceAction) -> float | None:
        """Hand it to its Instance's node, or say why not."""
        now = self._wall_clock()
        match await self._verdict(action, now):
            case Admitted() as admitted:
                if not await self._writes.status(action, patches.admitted(action, admitted, now)):
                    return _RETRY_SECONDS
                self._metrics.actions_admitted.labels(action.type).inc()
                log.info("action admitted", instance=action.instance, action=action.type, name=action.key.name)
                return None
            case Waits() as waits:
                return await self._wait(action, waits, now)
            case Refused() as refused:
                return await self._fail(action, refused, now)
            case None:
                return _RETRY_SECONDS

    async def _verdict(self, action: InstanceAction, now: datetime) -> Verdict | None:
        """Whether it may run; None if its Instance is not what the cache says."""
        instance = self._cache.instance(action.instance)
        if verdict := admission.before_admission(action, instance, now):
            return verdict
        # Whole, as the cache keeps little of it; and as it is now: who has locked an Instance relies on that.
        obj = await self._read(action.instance)
        if instance is None or obj is None or obj.metadata.uid != instance.uid:
            return None
        return admission.admit(action, instance, obj, self._cache, self._hosts, self._rivals(action), now)

    def _rivals(self, action: InstanceAction) -> list[InstanceAction]:
        """Others that have been admitted, and are to make the same Image."""
        if action.makes is None:
            return []
        others = [self._cache.actions.store.get(key) for key in self._open.for_named(Named("Image", action.makes))]
        return [each for each in others if each and each.makes == action.makes and each.node and each != action]

    async def _wait(self, action: InstanceAction, waits: Waits, now: datetime) -> float | None:
        if (action.reason, action.message) != (waits.reason, waits.message):
            if not await self._writes.status(action, patches.waits(action, waits, now)):
                return _RETRY_SECONDS
            self._recorder.warning(involved(ACTIONS, action), waits.reason, waits.message)
        return (waits.until - now).total_seconds() if waits.until else None

    async def _follow(self, action: InstanceAction) -> float | None:
        """Its node's agent sees to it; unless the Instance is gone, or the node is lost."""
        now = self._wall_clock()
        instance = self._cache.instance(action.instance)
        if instance is None or instance.uid != action.instance_uid:
            obj = await self._read(action.instance)
            if obj is not None and obj.metadata.uid == action.instance_uid:
                return _RETRY_SECONDS  # the watch will tell
            message = f'Instance "{action.instance.name}" was deleted before the action was done'
            return await self._fail(action, Refused("InstanceDeleted", message), now)
        lost = bool(instance.lost)
        if lost == (action.reason == patches.NODE_LOST):
            return None
        patch = patches.node_lost(action, now) if lost else patches.node_found(action, now)
        return None if await self._writes.status(action, patch) else _RETRY_SECONDS

    async def _fail(self, action: InstanceAction, why: Refused, now: datetime) -> float | None:
        if not await self._writes.status(action, patches.failed(action, why, now)):
            return _RETRY_SECONDS
        self._metrics.actions_refused.labels(action.type, why.reason).inc()
        self._recorder.warning(involved(ACTIONS, action), why.reason, why.message)
        name, reason = action.key.name, why.reason
        log.info("action refused", instance=action.instance, action=action.type, name=name, reason=reason)
        return None

    async def _finish(self, action: InstanceAction) -> float | None:
        """What comes after: the Image of a snapshot, and in time the end of the record."""
        owed, again = action.owed, None
        if owed is None:
            self._open.leave(action.key)
        else:
            self._open.wait(action.key, {Named("Image", owed.image)})
            again = await self._snapshots.make(action, owed)
        over = (action.over or action.created) + timedelta(seconds=action.ttl)
        left = (over - self._wall_clock()).total_seconds()
        if left > 0:
            return left if again is None else min(again, left)
        await self._writes.delete(action)
        return None

    async def _read(self, key: Key) -> InstanceKind | None:
        try:
            return InstanceKind.parse(await self._client.get(INSTANCES, key.name, key.namespace))
        except NotFound:
            return None

    def _on_action(self, key: Key, old: InstanceAction | None, new: InstanceAction | None) -> None:
        self._wake(key)
        if old is not None and new is not None and new.finished and not old.finished and self._is_leader():
            self._tell(new)

    def _tell(self, action: InstanceAction) -> None:
        """On the Instance, where people look for what has been done to it."""
        instance = self._cache.instance(action.instance)
        if instance is None or action.instance_uid not in ("", instance.uid):
            return
        what = f"{action.type} ({action.key.name}{f', by {action.user}' if action.user else ''})"
        if action.phase == ActionPhase.SUCCEEDED:
            self._recorder.normal(involved(INSTANCES, instance), "ActionSucceeded", what)
        else:
            message = f"{what}: {action.reason}: {action.message}"
            self._recorder.warning(involved(INSTANCES, instance), "ActionFailed", message)

    def _on_named(self, kind: Kind, key: Key, _old: object, _new: object) -> None:
        for action in self._open.for_named(Named(kind, key)):
            self._wake(action)

    def _wake(self, key: Key) -> None:
        # A standby queues nothing: when it comes to lead, it looks at all.
        if self._is_leader():
            self._queue.add(key)
