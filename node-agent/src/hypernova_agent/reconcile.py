"""One look at one Instance: see what is, decide, do it, say what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from hypernova_agent.admission import Claim
from hypernova_agent.ask import NOTHING, Actions
from hypernova_agent.capacity import Room
from hypernova_agent.desired import Desired, desired_of, domain_uid
from hypernova_agent.errors import DiskLost, InstanceFault, NoEffect, OutOfResources
from hypernova_agent.execute import Executor
from hypernova_agent.guest_config import HostProfile
from hypernova_agent.host import Domain, DomainState, Host, HostError, HostUnreachable
from hypernova_agent.host_reasons import reason_of
from hypernova_agent.images.store import ImageStore
from hypernova_agent.long_steps import LongStep, LongSteps
from hypernova_agent.memory import Backoffs, Memory, Moment, Retry, Subject
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.observed import Observed, observe
from hypernova_agent.outcome import Ended, Failed, Fetching, Outcome, Saving, Stopping
from hypernova_agent.places import Places
from hypernova_agent.plan import plan
from hypernova_agent.plan.changes import settled
from hypernova_agent.steps import (
    AwaitOff,
    AwaitStart,
    Change,
    EnsureImage,
    RemoveFinalizer,
    SaveDomain,
    ShutdownDomain,
    StartDomain,
    Step,
    Wait,
    part_of,
)
from hypernova_agent.telling import INSTANCES, News, Teller
from hypernova_agent.view import View
from hypernova_api.instance import Instance
from hypernova_api.meta import FINALIZER
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound, ServerError, TooManyRequests, Unreachable, in_words
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key

__all__ = ["INSTANCES", "Reconciler"]

log = get_logger(__name__)

PROGRESS_SECONDS = 5.0
"""Between two writes about what takes long; what is done sooner is not written about."""

_TELLING_SECONDS = 10.0
"""That an API server which does not answer may hold up the next look at an Instance: its guest may have ended."""

_UNREACHABLE_SECONDS = 5.0
"""Until the next look when the host does not answer, in case its loss is noticed by nobody else."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What came of a look."""

    again: float | None = None
    """After how many seconds to look again."""

    news: News | None = None


class Reconciler:
    """Brings the Instances of one node where they should be, one look at a time."""

    def __init__(
        self,
        client: Client,
        host: Host,
        store: ImageStore,
        view: View,
        events: EventRecorder,
        metrics: AgentMetrics,
        *,
        node: str,
        wake: Callable[[Key], None],
        actions: Actions,
        backoffs: Backoffs | None = None,
        retries: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A reconciler that does nothing before it is `connected`.

        Args:
            client: the API server.
            host: the node's libvirt.
            store: the images in its pool.
            view: the Instances.
            events: where failures are told.
            metrics: what is counted.
            node: the node's name.
            wake: asks for another look at an Instance.
            actions: what else is done to Instances.
            backoffs: waits of guests that ended by themselves, or stalled.
            retries: waits after failures.
            clock: monotonic seconds.
            wall_clock: the time that people are told.
        """
        self._client = client
        self._host = host
        self._store = store
        self._view = view
        self._metrics = metrics
        self._node = node
        self._actions = actions
        self._backoffs = backoffs or Backoffs()
        self._retries = retries or Backoff(base=2.0, cap=300.0)
        self._clock = clock
        self._wall_clock = wall_clock
        self._executor: Executor | None = None
        self._teller = Teller(client, view, events, wall_clock)
        self._places = Places(wake)
        self._long = LongSteps(wake)
        self._memories: dict[str, Memory] = {}  # by the Instance's UID, as all that follows

    def connected(self, profile: HostProfile, domains: Iterable[Domain]) -> None:
        """The host answers; Instances that have a domain there keep their place, whoever asks first."""
        self._executor = Executor(self._host, self._store, profile, self._remove_finalizer)
        if self._places.room is not None:
            self._executor.set_room(self._places.room)
        for domain in domains:
            key = self._view.key_of_uid(domain.owner.uid)
            instance = self._view.instance(key) if key is not None else None
            if instance is not None:
                self._places.adopt(desired_of(instance), domain)

    def disconnected(self) -> None:
        """The host does not answer: nothing is tried until it does."""
        self._executor = None

    def set_room(self, room: Room) -> None:
        """What the host has to give; who was refused is looked at again."""
        if self._executor is not None:
            self._executor.set_room(room)
        self._places.set_room(room)

    def claims(self) -> list[Claim]:
        """What the Instances take that have a place here."""
        return self._places.claims()

    def forget(self, key: Key, uid: str) -> None:
        """Look at an Instance from now on as an agent that has just started: no back-off, nothing tried."""
        self._memories.pop(uid, None)
        self._long.drop(uid)
        self._backoffs.forget(uid)
        self._retries.forget(uid)
        self._retries.forget(key)

    def gone(self, key: Key, uid: str) -> None:
        """An Instance is no longer of this node."""
        self.forget(key, uid)
        self._places.leave(key, uid)

    async def reconcile(self, key: Key) -> float | None:
        """Look at one Instance; returns after how many seconds it wants to be looked at again."""
        instance = self._view.instance(key)
        if instance is None or self._executor is None or instance.status.node_name != self._node:
            return None
        look = _Look()
        try:
            look = await self._look(self._executor, key, instance)
            if look.news is not None:
                async with asyncio.timeout(_TELLING_SECONDS):
                    await self._tell(key, instance, look.news)
        except HostUnreachable:
            # No failure of the Instance, whose guest runs on. The Hypervisor says it, and all are looked at afterwards.
            return _UNREACHABLE_SECONDS
        except Conflict:
            return await self._read_again(key)
        except NotFound:
            return None
        except (Unreachable, ServerError, TooManyRequests, TimeoutError) as error:
            delay = self._retries.next(key)
            log.warning("API server away", instance=key, error=in_words(error), retry_in_s=delay)
            # What is due before, as the start of a guest that has ended, needs no API server.
            return delay if look.again is None else min(delay, look.again)
        self._retries.forget(key)
        return look.again

    async def _look(self, executor: Executor, key: Key, instance: Instance) -> _Look:
        """Do what can be done now; what came of it, if there is anything to say, and when to look again."""
        domain, desired = None, desired_of(instance)
        memory = self._memories.setdefault(desired.uid, Memory())
        try:
            domain = await self._host.domain(domain_uid(instance))
            ask = NOTHING if desired.deleting else await self._actions.begin(instance, domain)
            if ask is None:
                return _Look(again=0.0)
            desired, refused = self._places.admit(key, desired_of(instance, ask), domain)
            seen = await observe(self._host, desired, domain)
            observed, ended = memory.complete(seen, desired, self._now(), self._backoffs)
            if ended:
                log.info("guest ended by itself", instance=key, attempts=memory.ends)
            about = _subject(instance, desired, domain)
            if memory.retry is not None and memory.retry.about == about and observed.now < memory.retry.at:
                news = News(desired, memory.retry.failed, domain)
                return _Look(memory.retry.at - observed.now, news)
            outcome, again = await self._follow(executor, key, instance, desired, observed, memory)
        except (InstanceFault, HostError) as fault:
            return self._failed(key, instance, desired, domain, memory, fault)
        if self._long.under_way(desired.uid) is None:
            memory.retry = None
            self._retries.forget(desired.uid)
        if outcome is None:
            return _Look(again)
        return _Look(again, News(desired, outcome, domain, memory.restarts, refused))

    async def _follow(
        self,
        executor: Executor,
        key: Key,
        instance: Instance,
        desired: Desired,
        observed: Observed,
        memory: Memory,
    ) -> tuple[Outcome | None, float | None]:
        uid = desired.uid
        under_way = self._long.under_way(uid)
        if isinstance(under_way, SaveDomain) and not desired.deleting:
            return self._progress(under_way, memory)  # the host does nothing else with the domain meanwhile
        steps = plan(desired, observed)
        self._long.keep_only(uid, steps)
        before, memory.did = memory.did, None
        for step in steps:
            if not self._is_current(key, instance):
                return None, 0.0  # edited, deleted or gone meanwhile: the rest of this plan is of yesterday
            match step:
                case _ if isinstance(step, Wait):
                    return self._waiting(step, desired, observed, memory), step.until - observed.now
                case EnsureImage() | SaveDomain():
                    if not await self._is_done(executor, key, desired, step, memory):
                        return self._progress(step, memory)
                case _:
                    await self._do(executor, key, desired, step, memory)
        if steps:
            memory.did = tuple(steps), observed.domain
            if memory.did == before:
                raise NoEffect(f"the host has done {_names(steps)}, and nothing has changed")
            return None, 0.0
        if desired.deleting:
            return None, None
        doubt = memory.believed_after - observed.now
        if doubt > 0 and observed.domain is not None and observed.domain.state is DomainState.RUNNING:
            return None, doubt
        return settled(desired, observed), None

    async def _do(self, executor: Executor, key: Key, desired: Desired, step: Step, memory: Memory) -> None:
        name = type(step).__name__
        memory.about_to(step, self._now())
        try:
            with self._metrics.step_seconds.labels(name).time():
                await executor.run(step)
        except HostError as error:
            if isinstance(step, Change):
                log.warning("change refused", instance=key, step=name, error=error)
                memory.was_refused(step, self._now())
            elif isinstance(step, ShutdownDomain):
                # A guest that cannot be asked is not asked: its grace runs, then the plug is pulled.
                log.warning("power button does not work", instance=key, error=error)
            elif desired.deleting:
                raise HostError(f"{part_of(step)}: {error}") from error
            else:
                raise
            return
        log.debug("done", instance=key, step=name)
        if isinstance(step, StartDomain) and memory.restarting:
            self._metrics.restarts.inc()
        if isinstance(step, RemoveFinalizer):
            log.info("deleted", instance=key)
        memory.has_done(step, self._now())

    async def _is_done(self, executor: Executor, key: Key, desired: Desired, step: LongStep, memory: Memory) -> bool:
        """Whether it is. If not, it is under way, and the Instance is woken when it is done."""
        if self._long.take(desired.uid, step):
            return True
        if self._long.under_way(desired.uid) is not None:
            return False
        if isinstance(step, EnsureImage) and await self._store.find(step.image.sha256) is not None:
            await self._do(executor, key, desired, step, memory)
            return True
        memory.told_after = self._clock() + PROGRESS_SECONDS
        self._long.begin(desired.uid, key, step, self._do(executor, key, desired, step, memory))
        return False

    def _progress(self, step: LongStep, memory: Memory) -> tuple[Outcome | None, float]:
        left = memory.told_after - self._clock()
        if left > 0:
            return None, left
        memory.told_after = self._clock() + PROGRESS_SECONDS
        if isinstance(step, SaveDomain):
            return Saving(), PROGRESS_SECONDS
        return Fetching(step.image.name, self._store.progress(step.image.sha256)), PROGRESS_SECONDS

    def _waiting(self, wait: Wait, desired: Desired, observed: Observed, memory: Memory) -> Outcome:
        match wait:
            case AwaitStart() if memory.start_after is not None and not observed.alive:
                return Ended(memory.start_after.wall, memory.ends)
            case AwaitOff(plug_at=plug_at):
                pressed = memory.pressed_first or self._now()
                return Stopping(pressed.after(plug_at - pressed.seconds).wall)
            case _:
                return settled(desired, observed)

    def _failed(
        self,
        key: Key,
        instance: Instance,
        desired: Desired,
        domain: Domain | None,
        memory: Memory,
        fault: InstanceFault | HostError,
    ) -> _Look:
        reason, message = reason_of(fault) if isinstance(fault, HostError) else (fault.reason, str(fault))
        if isinstance(fault, (OutOfResources, DiskLost)):
            # Time alone does not cure it: what does wakes the Instance, or is found at the next look at everything.
            return _Look(None, News(desired, Failed(reason, message, retry_at=None), domain))
        delay = self._retries.next(desired.uid)
        at = self._now().after(delay)
        failed = Failed(reason, message, at.wall)
        memory.retry = Retry(at.seconds, _subject(instance, desired, domain), failed)
        self._metrics.failures.labels(reason).inc()
        log.warning("failed", instance=key, reason=reason, message=message, retry_in_s=delay)
        return _Look(delay, News(desired, failed, domain))

    async def _tell(self, key: Key, instance: Instance, news: News) -> None:
        await self._teller.tell(key, instance, news)
        if (memory := self._memories.get(news.desired.uid)) is not None:
            memory.restarts -= news.restarts
        if not news.desired.deleting:
            await self._actions.settle(instance, news.desired.ask, news.outcome, news.domain)

    async def _remove_finalizer(self, step: RemoveFinalizer) -> None:
        key = Key(step.namespace, step.name)
        obj = self._view.get(key)
        if obj is None or obj["metadata"]["uid"] != step.uid:
            return
        metadata = obj["metadata"]
        others = [each for each in metadata.get("finalizers", []) if each != FINALIZER]
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": others}}
        self._view.wrote(await self._client.patch(INSTANCES, key.name, patch, key.namespace))

    async def _read_again(self, key: Key) -> float | None:
        """Somebody else has written: go on from what is there now."""
        try:
            self._view.wrote(await self._client.get(INSTANCES, key.name, key.namespace))
        except NotFound:
            return None
        return 0.0

    def _is_current(self, key: Key, instance: Instance) -> bool:
        """Whether the Instance still asks for what it asked for when it was read."""
        obj, read = self._view.get(key), instance.metadata
        return obj is not None and (obj["metadata"]["uid"], obj["metadata"]["generation"]) == (
            read.uid,
            read.generation,
        )

    def _now(self) -> Moment:
        return Moment(self._clock(), self._wall_clock())


def _subject(instance: Instance, desired: Desired, domain: Domain | None) -> Subject:
    state = domain.state if domain is not None else None
    return Subject(instance.metadata.generation, desired.deleting, desired.ask, state)


def _names(steps: Iterable[Step]) -> str:
    return ", ".join(type(step).__name__ for step in steps)
