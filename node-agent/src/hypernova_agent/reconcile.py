"""One look at one Instance: see what is, decide, do it, say what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from hypernova_agent.admission import Claim, claim_of, refusal
from hypernova_agent.capacity import Room
from hypernova_agent.desired import Desired, Guest, desired_of
from hypernova_agent.errors import InstanceFault, OutOfResources
from hypernova_agent.execute import Executor
from hypernova_agent.guest_config import HostProfile
from hypernova_agent.host import Domain, Host, HostError, HostUnreachable, Owner
from hypernova_agent.images.store import ImageStore
from hypernova_agent.memory import Memory, Moment, Retry
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.observed import ALIVE, Observed, observe
from hypernova_agent.plan import (
    DestroyDomain,
    EnsureImage,
    RemoveFinalizer,
    ShutdownDomain,
    StartDomain,
    Step,
    Wait,
    plan,
)
from hypernova_agent.status import Ended, Failed, Fetching, Outcome, Settled, Stopping, status_patch, verdict
from hypernova_agent.view import View
from hypernova_api.instance import Instance
from hypernova_api.meta import FINALIZER
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound, ServerError, TooManyRequests, Unreachable
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object, Resource

log = get_logger(__name__)

INSTANCES = Resource.of(Instance)

PROGRESS_SECONDS = 5.0
"""Between two writes about a download; one that is done sooner is not written about."""

_UNREACHABLE_SECONDS = 5.0
"""Until the next look when the host does not answer, in case its loss is noticed by nobody else."""


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
        restarts: Backoff | None = None,
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
            restarts: waits before guests that ended by themselves are started again.
            retries: waits after failures.
            clock: monotonic seconds.
            wall_clock: the time that people are told.
        """
        self._client = client
        self._host = host
        self._store = store
        self._view = view
        self._events = events
        self._metrics = metrics
        self._node = node
        self._wake = wake
        self._restarts = restarts or Backoff(base=1.0, cap=300.0)
        self._retries = retries or Backoff(base=2.0, cap=300.0)
        self._clock = clock
        self._wall_clock = wall_clock
        self._executor: Executor | None = None
        self._room: Room | None = None
        self._memories: dict[str, Memory] = {}  # by UID
        self._refused: set[Key] = set()

    def connected(self, profile: HostProfile, domains: Iterable[Domain]) -> None:
        """The host answers; Instances that have a domain there keep their place, whoever asks first."""
        self._executor = Executor(self._host, self._store, profile, self._remove_finalizer)
        for domain in domains:
            key = self._view.key_of_uid(domain.owner.uid)
            instance = self._view.instance(key) if key is not None else None
            guest = desired_of(instance).guest if instance is not None else None
            if isinstance(guest, Guest):
                self._memory(domain.owner.uid).claim = claim_of(guest)

    def disconnected(self) -> None:
        """The host does not answer: nothing is tried until it does."""
        self._executor = None

    def set_room(self, room: Room) -> None:
        """What the host has to give; who was refused is looked at again."""
        self._room = room
        if self._executor is not None:
            self._executor.set_room(room)
        self._wake_refused()

    def claims(self) -> list[Claim]:
        """What the Instances take that have a place here."""
        return [memory.claim for memory in self._memories.values() if memory.claim is not None]

    def gone(self, key: Key, uid: str) -> None:
        """An Instance is no longer of this node."""
        memory = self._memories.pop(uid, None)
        if memory is not None and memory.fetch is not None:
            memory.fetch.cancel()
        self._restarts.forget(uid)
        self._retries.forget(uid)
        self._refused.discard(key)
        self._wake_refused()

    async def reconcile(self, key: Key) -> float | None:
        """Look at one Instance; returns after how many seconds it wants to be looked at again."""
        obj, instance = self._view.get(key), self._view.instance(key)
        if obj is None or instance is None or self._executor is None:
            return None
        if instance.status.node_name != self._node:
            return None
        desired = desired_of(instance)
        try:
            outcome, again = await self._bring(self._executor, key, instance, desired)
            if outcome is not None:
                await self._tell(obj, instance, desired, outcome)
        except HostUnreachable:
            # No failure of the Instance, whose guest runs on. The Hypervisor says it, and all are looked at afterwards.
            return _UNREACHABLE_SECONDS
        except Conflict:
            return await self._read_again(key)
        except NotFound:
            return None
        except (Unreachable, ServerError, TooManyRequests) as error:
            delay = self._retries.next(key)
            log.warning("API server away", instance=key, error=error, retry_in_s=delay)
            return delay
        self._retries.forget(key)
        return again

    async def _bring(
        self, executor: Executor, key: Key, instance: Instance, desired: Desired
    ) -> tuple[Outcome | None, float | None]:
        """Do what can be done now; returns what to say of it, if anything, and when to look again."""
        uid, memory, now = desired.owner.uid, self._memory(desired.owner.uid), self._now()
        seen = await observe(self._host, desired)
        observed, ended = memory.complete(seen, desired, now, self._restarts)
        if ended:
            self._metrics.restarts.inc()
            log.info("guest ended by itself", instance=key, attempts=memory.ends)
        about = (instance.metadata.generation, desired.deleting, observed.domain)
        if memory.retry is not None and memory.retry.about == about and now.seconds < memory.retry.at:
            return memory.retry.failed, memory.retry.at - now.seconds
        try:
            self._admit(key, desired, observed, memory)
            outcome, again = await self._follow(executor, key, instance, desired, observed, memory)
        except OutOfResources as fault:
            return Failed(fault.reason, str(fault), retry_at=None), None
        except (InstanceFault, HostError) as fault:
            delay = self._retries.next(uid)
            at = self._now().after(delay)
            reason = fault.reason if isinstance(fault, InstanceFault) else "HostError"
            memory.retry = Retry(at.seconds, about, Failed(reason, str(fault), at.wall))
            self._metrics.failures.labels(reason).inc()
            log.warning("failed", instance=key, reason=reason, message=str(fault), retry_in_s=delay)
            return memory.retry.failed, delay
        if memory.fetch is None:
            memory.retry = None
            self._retries.forget(uid)
        return outcome, again

    async def _follow(
        self,
        executor: Executor,
        key: Key,
        instance: Instance,
        desired: Desired,
        observed: Observed,
        memory: Memory,
    ) -> tuple[Outcome | None, float | None]:
        steps = plan(desired, observed)
        if memory.fetch is not None and not any(isinstance(step, EnsureImage) for step in steps):
            memory.fetch.cancel()
            memory.fetch = None
        for step in steps:
            if not self._is_current(key, instance):
                return None, 0.0  # edited, deleted or gone meanwhile: the rest of this plan is of yesterday
            match step:
                case Wait(until=until):
                    return self._waiting(desired, memory), until - observed.now
                case EnsureImage():
                    if not await self._fetched(executor, key, step, memory):
                        return self._fetching(step, memory)
                    continue
                case ShutdownDomain() | DestroyDomain():
                    memory.stopping(self._now(), pressed=isinstance(step, ShutdownDomain))
            await self._do(executor, key, step)
            if isinstance(step, StartDomain):
                memory.running_since = self._clock()
        if desired.deleting:
            return None, None
        if isinstance(desired.guest, InstanceFault) and observed.domain is None:
            raise desired.guest
        if not steps:
            return Settled(observed.domain), None
        domain = await self._host.domain(desired.owner.uid)
        if domain is None or (desired.power_state == "Running" and domain.state not in ALIVE):
            return None, 0.0  # ended, or was taken away, as soon as started: the next look sees to it
        return Settled(domain.state), None

    async def _do(self, executor: Executor, key: Key, step: Step) -> None:
        name = type(step).__name__
        with self._metrics.step_seconds.labels(name).time():
            try:
                await executor.run(step)
            except HostError as error:
                if not isinstance(step, ShutdownDomain):
                    raise
                # A guest that cannot be asked is not asked: its grace runs, then the plug is pulled.
                log.warning("power button does not work", instance=key, error=error)
        log.debug("done", instance=key, step=name)
        if isinstance(step, RemoveFinalizer):
            log.info("deleted", instance=key)

    async def _fetched(self, executor: Executor, key: Key, step: EnsureImage, memory: Memory) -> bool:
        """Whether the image is there. If not, it is on its way, and the Instance is woken when it is there."""
        task = memory.fetch
        if task is None and await self._store.find(step.image.sha256) is not None:
            await self._do(executor, key, step)
            return True
        if task is None:
            memory.progress_after = self._clock() + PROGRESS_SECONDS
            memory.fetch = task = asyncio.create_task(self._do(executor, key, step), name=f"image-{key}")
            task.add_done_callback(lambda _: self._wake(key))
        if not task.done():
            return False
        memory.fetch = None
        if task.cancelled():  # the Instance went meanwhile
            return False
        task.result()
        return True

    def _fetching(self, step: EnsureImage, memory: Memory) -> tuple[Outcome | None, float]:
        left = memory.progress_after - self._clock()
        if left > 0:
            return None, left
        memory.progress_after = self._clock() + PROGRESS_SECONDS
        return Fetching(step.image.name, self._store.progress(step.image.sha256)), PROGRESS_SECONDS

    def _waiting(self, desired: Desired, memory: Memory) -> Outcome:
        if memory.start_after is not None:
            return Ended(memory.start_after.wall, memory.ends)
        pressed = memory.pressed_first or self._now()
        return Stopping(pressed.after(desired.grace).wall)

    def _admit(self, key: Key, desired: Desired, observed: Observed, memory: Memory) -> None:
        if desired.deleting or not isinstance(desired.guest, Guest):
            return
        claim = claim_of(desired.guest)
        asks = observed.domain is None and memory.claim is None
        if asks and self._room is not None and (why := refusal(claim, self.claims(), self._room)):
            self._refused.add(key)
            raise OutOfResources(f"{why}: it is tried again when others leave this node or its Hypervisor changes")
        self._refused.discard(key)
        memory.claim = claim

    async def _tell(self, obj: Object, instance: Instance, desired: Desired, outcome: Outcome) -> None:
        told = verdict(desired, outcome)
        patch = status_patch(instance, told, self._wall_clock())
        if patch is None:
            return
        metadata = instance.metadata
        written = await self._client.patch(INSTANCES, metadata.name, patch, metadata.namespace, subresource="status")
        self._view.wrote(written)
        log.info("status", instance=Key(metadata.namespace, metadata.name), phase=told.phase, reason=told.reason)
        if isinstance(outcome, Failed):
            self._events.warning(obj, outcome.reason, outcome.message)
        elif isinstance(outcome, Ended):
            self._events.warning(obj, told.reason, "the guest ended by itself")

    async def _remove_finalizer(self, owner: Owner) -> None:
        key = Key(owner.namespace, owner.name)
        obj = self._view.get(key)
        if obj is None or obj["metadata"]["uid"] != owner.uid:
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

    def _memory(self, uid: str) -> Memory:
        return self._memories.setdefault(uid, Memory())

    def _wake_refused(self) -> None:
        for key in self._refused:
            self._wake(key)

    def _now(self) -> Moment:
        return Moment(self._clock(), self._wall_clock())
