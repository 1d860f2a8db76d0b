"""The InstanceActions of one node: each is done once, one after another, and its status says what became of it.

An Instance's look (`hypernova_agent.reconcile`) takes up its next action and hears what came of it. All that is written
of actions is written from there, so that no two write at once; what takes long runs beside it and wakes the Instance.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from hypernova_agent import names, outcome
from hypernova_agent.actions import level, oneshot, report, snapshot
from hypernova_agent.actions.board import Board
from hypernova_agent.actions.precondition import refusal
from hypernova_agent.actions.queue import Turn, turn_of
from hypernova_agent.actions.report import Done, Failed, Result
from hypernova_agent.actions.run import PROGRESS_SECONDS, Run, stop
from hypernova_agent.actions.telling import ActionTeller, instance_key
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.desired import domain_uid
from hypernova_agent.errors import ImageError, UserDataUnavailable
from hypernova_agent.host import Domain, Host, HostError
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.telling import INSTANCES
from hypernova_agent.user_data import FetchUserData, brought_by
from hypernova_agent.view import View
from hypernova_api.action import ActionPhase, InstanceAction
from hypernova_api.instance import BoundImage, Instance
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import (
    ApiError,
    Conflict,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
)
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key

log = get_logger(__name__)

_PASSING = (Conflict, NotFound, ServerError, TooManyRequests, Unauthorized)
"""Answers to a write that another look gets over."""

_DELETED = Failed("InstanceDeleted", "the Instance was deleted before the action was done")
_ENDED = "the guest ended by itself again; it is started after a while"
_RESET = Failed("Reset", "an administrator has reset the Instance while the action ran")


class NodeActions:
    """`hypernova_agent.ask.Actions` of one node's Instances."""

    def __init__(
        self,
        client: Client,
        host: Host,
        store: ImageStore,
        board: Board,
        instances: View,
        events: EventRecorder,
        metrics: AgentMetrics,
        *,
        wake: Callable[[Key], None],
        forget: Callable[[Key, str], None],
        fetch_user_data: FetchUserData,
        retries: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """The actions on a board.

        Args:
            client: the API server.
            host: the node's libvirt.
            store: the images in its pool.
            board: the open actions.
            instances: the node's Instances.
            events: where failures are told.
            metrics: what is counted.
            wake: asks for a look at an Instance.
            forget: drops all that is remembered of an Instance (name and UID): its back-offs, its retries.
            fetch_user_data: gets what is in a Secret.
            retries: waits after failures to write about actions of Instances that have gone.
            clock: monotonic seconds.
            wall_clock: the time that people are told.
        """
        self._client = client
        self._host = host
        self._store = store
        self._board = board
        self._instances = instances
        self._teller = ActionTeller(client, board, events, metrics, wall_clock)
        self._wake = wake
        self._forget = forget
        self._fetch_user_data = fetch_user_data
        self._retries = retries or Backoff(base=1.0, cap=60.0)
        self._clock = clock
        self._wall_clock = wall_clock
        self._runs: dict[str, Run] = {}  # by the action's UID
        self._stopping: set[asyncio.Task[None]] = set()

    def changed(self, change: Change) -> bool:
        """The watch has told something of an action; whether it is news."""
        news = self._board.changed(change)
        if change.new is None and change.old is not None:
            run = self._runs.pop(change.old["metadata"]["uid"], None)
            if run is not None:
                self._let_go(run)
        return news

    def disconnected(self) -> None:
        """The host does not answer: what works on it is given up, and taken up again when it does."""
        for uid, run in list(self._runs.items()):
            if run.busy:
                self._let_go(self._runs.pop(uid))

    async def close(self) -> None:
        """Give up all that is under way, leaving it to the next process."""
        await stop(self._runs.values())
        await asyncio.gather(*self._stopping, return_exceptions=True)

    async def begin(self, instance: Instance, domain: Domain | None) -> Ask | None:
        """See `Actions.begin`."""
        turn = turn_of(self._board.of(instance.metadata.uid))
        if turn.resets:
            await self._reset(instance, turn)
            return None
        if turn.current is None:
            return level.owed(instance, domain)
        try:
            return await self._go_on(instance, turn, turn.current, domain)
        except _PASSING:
            raise
        except ApiError as error:
            # Whatever is wrong with an action, its Instance's life goes on.
            log.warning("action refused", instance=instance_key(turn.current), error=error)
            await self._end(turn.current, Failed("ApiServerRefused", f"the API server refused to note it: {error}"))
            return None

    async def _go_on(self, instance: Instance, turn: Turn, action: InstanceAction, domain: Domain | None) -> Ask | None:
        for other, before in turn.waiting:
            await self._teller.wait(other, before)
        if action.status.phase != ActionPhase.RUNNING:
            if (why := refusal(action, instance, domain)) is not None:
                await self._end(action, Failed(why.reason, why.message))
                return None
            action = await self._start(action)
        if action.spec.type in level.LEVEL:
            return await self._reach(instance, action)
        return await self._do(instance, action)

    async def settle(self, instance: Instance, ask: Ask, result: outcome.Outcome, domain: Domain | None) -> None:
        """See `Actions.settle`."""
        asking = [each for each in self._board.of(instance.metadata.uid) if ask.boot == each.metadata.uid]
        for action in asking:
            match result:
                case outcome.Settled() if level.reached(ask, domain):
                    await self._end(action, Done())
                case outcome.Ended():
                    await self._teller.hinder(action, "GuestStopped", _ENDED)
                case outcome.Failed(reason=reason, message=message, retry_at=None):
                    # Not tried again by itself: the action must not bar the one that may cure it.
                    await self._end(action, Failed(reason, message))
                case outcome.Failed(reason=reason, message=message):
                    await self._teller.hinder(action, reason, message)

    def of(self, change: Change) -> list[Key]:
        """The open actions of the Instance that has changed."""
        obj = change.new if change.new is not None else change.old
        return self._board.keys_of(obj["metadata"]["uid"]) if obj is not None else []

    def bereft(self, key: Key) -> bool:
        """Whether an open action's Instance is not to be seen here, or is being deleted: `fail` sees to it."""
        action = self._board.get(key)
        return action is not None and not self._has_instance(action)

    async def fail(self, key: Key) -> float | None:
        """Fail an action whose Instance has gone or is going; returns after how many seconds to look again."""
        action = self._board.get(key)
        if action is None or self._has_instance(action):
            return None
        try:
            if await self._instance_lives(action):
                return None  # its watch is behind that of the actions: it will be told
            run = self._runs.pop(action.metadata.uid, None)
            if run is not None:
                await stop([run])
            await self._end(action, _DELETED)
        except Conflict:
            return 0.0
        except NotFound:
            return None
        except KubeError as error:
            delay = self._retries.next(key)
            log.warning("API server away", key=key, error=error, retry_in_s=delay)
            return delay
        self._retries.forget(key)
        return None

    # Beginning and ending

    async def _start(self, action: InstanceAction) -> InstanceAction:
        """Say that it runs. What must not be done twice is done after that only, and by this process alone."""
        steps = report.stepped((), _first_step(action), self._wall_clock())
        begun = await self._teller.begin(action, steps)
        self._runs[action.metadata.uid] = Run(steps, told_at=self._clock())
        return begun

    async def _reset(self, instance: Instance, turn: Turn) -> None:
        """Whatever runs is given up, and the Instance looked at as by an agent that has just started."""
        running = turn.current
        if running is not None and running.status.phase == ActionPhase.RUNNING:
            run = self._runs.pop(running.metadata.uid, None)
            if run is not None:
                await stop([run])
            await self._end(running, _RESET)
        self._forget(Key(instance.metadata.namespace, instance.metadata.name), instance.metadata.uid)
        for reset in turn.resets:
            await self._end(reset, Done())

    async def _end(self, action: InstanceAction, result: Result) -> None:
        run = self._runs.get(action.metadata.uid)
        steps = run.steps if run is not None else action.status.steps
        await self._teller.end(action, steps, result)
        self._runs.pop(action.metadata.uid, None)

    # Running

    async def _reach(self, instance: Instance, action: InstanceAction) -> Ask | None:
        """An action that is a state to be reached: with its image at hand, the Instance says it, then its guest."""
        run = self._run(action)
        patch = level.instance_patch(action, instance)
        if patch is None:
            run.step(level.RESTART, self._wall_clock())
            return level.ask_of(action)
        image = level.image_of(action)
        if image is not None and not await self._fetched(instance, action, run, image):
            return NOTHING
        if (failed := self._result(action.metadata.uid, run)) is not None:
            await self._end(action, failed)
            return None
        metadata = instance.metadata
        written = await self._client.patch(INSTANCES, metadata.name, patch, metadata.namespace, subresource="status")
        self._instances.wrote(written)
        return None

    async def _fetched(self, instance: Instance, action: InstanceAction, run: Run, image: BoundImage) -> bool:
        """Whether the image has come, or has failed to; nothing of the Instance is touched before.

        What a rebuild is to have from a Secret is read, too, and not kept: while the guest goes on, one that cannot be
        had costs nothing.
        """
        if run.task is None:
            self._launch(action, run, self._fetch(image, action, instance))
        elif run.busy:
            progress = self._store.progress(image.sha256)
            if progress is not None and progress.total:
                run.part = progress.received / progress.total
            await self._tell_progress(action, run)
        else:
            return True
        return False

    async def _fetch(self, image: BoundImage, action: InstanceAction, instance: Instance) -> Result | None:
        source = brought_by(action, instance) if action.spec.type == "Rebuild" else None
        try:
            if source is not None:
                await self._fetch_user_data(source)
            limit = level.largest_disk(action, instance) or (await self._host.space()).capacity
            await self._store.ensure(image, limit)
        except (ImageError, UserDataUnavailable) as error:
            return Failed(error.reason, str(error))
        except HostError as error:
            return Failed("HostError", str(error))
        return None

    async def _do(self, instance: Instance, action: InstanceAction) -> Ask | None:
        """An action that is done beside the guest's life."""
        uid = action.metadata.uid
        if action.spec.type in oneshot.AT_MOST_ONCE and uid not in self._runs:
            await self._end(action, oneshot.INTERRUPTED)
            return None
        run = self._run(action)
        if run.task is None:
            self._launch(action, run, self._work(instance, action, run))
            return NOTHING
        if run.busy:
            await self._tell_progress(action, run)
            return NOTHING
        result = self._result(uid, run)
        if result is not None:
            await self._end(action, result)
        return None

    def _work(self, instance: Instance, action: InstanceAction, run: Run) -> Coroutine[Any, Any, Result | None]:
        uid = domain_uid(instance)
        if action.spec.type in oneshot.ONE_SHOT:
            return oneshot.perform(self._host, action, uid)

        def tell(step: str, part: float) -> None:
            run.step(step, self._wall_clock())
            run.part = part

        disk = names.root_disk(uid, instance.status.build or "")
        return snapshot.take(self._host, self._store, action.metadata.uid, disk=disk, uid=uid, tell=tell)

    def _result(self, uid: str, run: Run) -> Result | None:
        """What came of its task, if it has one; None if there is more to do.

        Whatever the task raises makes the run one of which nothing is known: begun anew, or found to be interrupted.
        """
        try:
            return run.task.result() if run.task is not None else None
        except BaseException:
            del self._runs[uid]
            raise

    def _run(self, action: InstanceAction) -> Run:
        """The run of an action; of one that another process began, taken up where its status says."""
        return self._runs.setdefault(action.metadata.uid, Run(list(action.status.steps), told_at=self._clock()))

    def _launch(self, action: InstanceAction, run: Run, work: Coroutine[Any, Any, Result | None]) -> None:
        run.launch(work, lambda: self._wake(instance_key(action)))

    def _let_go(self, run: Run) -> None:
        stopping = asyncio.create_task(stop([run]))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def _tell_progress(self, action: InstanceAction, run: Run) -> None:
        if self._clock() - run.told_at < PROGRESS_SECONDS:
            return
        await self._teller.progress(action, run.steps, run.part)
        run.told_at = self._clock()

    def _has_instance(self, action: InstanceAction) -> bool:
        instance = self._instances.instance(instance_key(action))
        return instance is not None and _is_alive(action, instance)

    async def _instance_lives(self, action: InstanceAction) -> bool:
        try:
            obj = await self._client.get(INSTANCES, action.spec.instance, action.metadata.namespace)
        except NotFound:
            return False
        return _is_alive(action, Instance.parse(obj))


def _is_alive(action: InstanceAction, instance: Instance) -> bool:
    """Whether it is the Instance that the action is for, and not being deleted."""
    return instance.metadata.uid == action.status.instance_uid and instance.metadata.deletion_timestamp is None


def _first_step(action: InstanceAction) -> str:
    match action.spec.type:
        case "Snapshot":
            return snapshot.COPY
        case "Rebuild" | "Rescue":
            return level.FETCH
        case "Reboot" | "Unrescue":
            return level.RESTART
        case other:
            return other
