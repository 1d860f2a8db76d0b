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
from hypernova_agent.definition import as_built
from hypernova_agent.desired import Desired, desired_of, domain_uid
from hypernova_agent.errors import DiskLost, InstanceFault, OutOfResources
from hypernova_agent.execute import Executor
from hypernova_agent.follow import Case, Follower
from hypernova_agent.guest_config import HostProfile
from hypernova_agent.host import Domain, Host, HostError, HostUnreachable
from hypernova_agent.host_reasons import reason_of
from hypernova_agent.images.store import ImageStore
from hypernova_agent.long_steps import LongSteps
from hypernova_agent.memory import Backoffs, Memory, Moment, Retry, Subject
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.observed import observe
from hypernova_agent.outcome import Failed
from hypernova_agent.places import Places
from hypernova_agent.steps import (
    RemoveFinalizer,
)
from hypernova_agent.telling import INSTANCES, News, Teller
from hypernova_agent.user_data import FetchUserData
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
        fetch_user_data: FetchUserData,
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
            fetch_user_data: gets what is in a Secret.
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
        self._fetch_user_data = fetch_user_data
        self._backoffs = backoffs or Backoffs()
        self._retries = retries or Backoff(base=2.0, cap=300.0)
        self._clock = clock
        self._wall_clock = wall_clock
        self._executor: Executor | None = None
        self._follower: Follower | None = None
        self._teller = Teller(client, view, events, wall_clock)
        self._places = Places(wake)
        self._long = LongSteps(wake)
        self._memories: dict[str, Memory] = {}  # by the Instance's UID, as all that follows

    def connected(self, profile: HostProfile, domains: Iterable[Domain]) -> None:
        """The host answers; Instances that have a domain there keep their place, whoever asks first."""
        self._executor = Executor(self._host, self._store, profile, self._remove_finalizer, self._fetch_user_data)
        self._follower = Follower(self._executor, self._store, self._long, self._metrics, self._now)
        if self._places.room is not None:
            self._executor.set_room(self._places.room)
        for domain in domains:
            key = self._view.key_of_uid(domain.owner.uid)
            instance = self._view.instance(key) if key is not None else None
            if instance is not None:
                self._places.adopt(as_built(desired_of(instance), domain), domain)

    def disconnected(self) -> None:
        """The host does not answer: nothing is tried until it does."""
        self._executor = self._follower = None

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
        if instance is None or self._follower is None or instance.status.node_name != self._node:
            return None
        look = _Look()
        try:
            look = await self._look(self._follower, key, instance)
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

    async def _look(self, follower: Follower, key: Key, instance: Instance) -> _Look:
        """Do what can be done now; what came of it, if there is anything to say, and when to look again."""
        domain, desired = None, desired_of(instance)
        memory = self._memories.setdefault(desired.uid, Memory())
        try:
            domain = await self._host.domain(domain_uid(instance))
            ask = NOTHING if desired.deleting else await self._actions.begin(instance, domain)
            if ask is None:
                return _Look(again=0.0)
            desired, refused = self._places.admit(key, as_built(desired_of(instance, ask), domain), domain)
            seen = await observe(self._host, desired, domain)
            observed, ended = memory.complete(seen, desired, self._now(), self._backoffs)
            if ended:
                log.info("guest ended by itself", instance=key, attempts=memory.ends)
            about = _subject(instance, desired, domain)
            if memory.retry is not None and memory.retry.about == about and observed.now < memory.retry.at:
                news = News(desired, memory.retry.failed, domain)
                return _Look(memory.retry.at - observed.now, news)
            case = Case(key, desired, observed, memory, lambda: self._is_current(key, instance))
            outcome, again = await follower.follow(case)
        except (InstanceFault, HostError) as fault:
            return self._failed(key, instance, desired, domain, memory, fault)
        if outcome is None:
            return _Look(again)
        if self._long.under_way(desired.uid) is None:
            memory.retry = None
            self._retries.forget(desired.uid)
        return _Look(again, News(desired, outcome, domain, memory.restarts, refused))

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
