"""Following a plan: its steps one after another, as far as they go now, and what to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hypernova_agent.desired import Desired
from hypernova_agent.errors import NoEffect
from hypernova_agent.execute import Executor
from hypernova_agent.host import DomainState, HostError
from hypernova_agent.images.store import ImageStore
from hypernova_agent.long_steps import LongStep, LongSteps
from hypernova_agent.memory import Memory, Moment
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.observed import Observed
from hypernova_agent.outcome import Ended, Fetching, Outcome, Saving, Stopping
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
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key

log = get_logger(__name__)

_LONGEST_CIRCLE = 8
"""Looks in a row that may come back to what was done at the first of them, and are found out."""

PROGRESS_SECONDS = 5.0
"""Between two writes about what takes long; what is done sooner is not written about."""


@dataclass(frozen=True, slots=True)
class Case:
    """An Instance, at one look."""

    key: Key
    desired: Desired
    observed: Observed
    memory: Memory
    is_current: Callable[[], bool]
    """Whether the Instance still asks for that."""


class Follower:
    """Follows the plans of Instances on one host, as long as that answers."""

    def __init__(
        self,
        executor: Executor,
        store: ImageStore,
        long_steps: LongSteps,
        metrics: AgentMetrics,
        now: Callable[[], Moment],
    ) -> None:
        """A follower.

        Args:
            executor: does the steps.
            store: knows how far downloads are.
            long_steps: those that run beside the workers, whichever connection they were begun on.
            metrics: what is counted.
            now: the time.
        """
        self._executor = executor
        self._store = store
        self._long = long_steps
        self._metrics = metrics
        self._now = now

    async def follow(self, case: Case) -> tuple[Outcome | None, float | None]:
        """Do what can be done now.

        Returns:
            what came of it, if there is anything to say; and after how many seconds to look again, if at all.

        Raises:
            InstanceFault: nothing can be done, and why.
            HostFault: from the host.
            KubeError: from the API server, for the finalizer.
        """
        desired, observed, memory = case.desired, case.observed, case.memory
        under_way = self._long.under_way(desired.uid)
        if isinstance(under_way, SaveDomain) and not desired.deleting:
            return self._progress(under_way, memory)  # the host does nothing else with the domain meanwhile
        steps = plan(desired, observed)
        self._long.keep_only(desired.uid, steps)
        before, memory.did = memory.did, []
        for step in steps:
            if not case.is_current():
                return None, 0.0  # edited, deleted or gone meanwhile: the rest of this plan is of yesterday
            match step:
                case _ if isinstance(step, Wait):
                    return self._waiting(step, case), step.until - observed.now
                case EnsureImage() | SaveDomain():
                    if not await self._is_done(case, step):
                        return self._progress(step, memory)
                case _:
                    await self._do(case, step)
        if steps:
            did = desired, tuple(steps), observed.domain
            if did in before:
                # At once, or in turn with others that undo it.
                raise NoEffect(f"the host has done {_names(steps)}, and nothing has changed")
            memory.did = [*before, did][-_LONGEST_CIRCLE:]
            return None, 0.0
        if desired.deleting:
            return None, None
        doubt = memory.believed_after - observed.now
        if doubt > 0 and observed.domain is not None and observed.domain.state is DomainState.RUNNING:
            return None, doubt
        return settled(desired, observed), None

    async def _do(self, case: Case, step: Step) -> None:
        key, memory, name = case.key, case.memory, type(step).__name__
        memory.about_to(step, self._now())
        try:
            with self._metrics.step_seconds.labels(name).time():
                await self._executor.run(step)
        except HostError as error:
            if isinstance(step, Change):
                log.warning("change refused", instance=key, step=name, error=error)
                memory.was_refused(step, self._now())
            elif isinstance(step, ShutdownDomain):
                # A guest that cannot be asked is not asked: its grace runs, then the plug is pulled.
                log.warning("power button does not work", instance=key, error=error)
            elif case.desired.deleting:
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

    async def _is_done(self, case: Case, step: LongStep) -> bool:
        """Whether it is. If not, it is under way, and the Instance is woken when it is done."""
        uid = case.desired.uid
        if self._long.take(uid, step):
            return True
        if self._long.under_way(uid) is not None:
            return False
        if isinstance(step, EnsureImage) and await self._store.find(step.image.sha256) is not None:
            await self._do(case, step)
            return True
        case.memory.told_after = self._now().seconds + PROGRESS_SECONDS
        self._long.begin(uid, case.key, step, self._do(case, step))
        return False

    def _progress(self, step: LongStep, memory: Memory) -> tuple[Outcome | None, float]:
        now = self._now().seconds
        if now < memory.told_after:
            return None, memory.told_after - now
        memory.told_after = now + PROGRESS_SECONDS
        if isinstance(step, SaveDomain):
            return Saving(), PROGRESS_SECONDS
        return Fetching(step.image.name, self._store.progress(step.image.sha256)), PROGRESS_SECONDS

    def _waiting(self, wait: Wait, case: Case) -> Outcome:
        memory = case.memory
        match wait:
            case AwaitStart() if memory.start_after is not None and not case.observed.alive:
                return Ended(memory.start_after.wall, memory.ends)
            case AwaitOff(plug_at=plug_at):
                pressed = memory.pressed_first or self._now()
                return Stopping(pressed.after(plug_at - pressed.seconds).wall)
            case _:
                return settled(case.desired, case.observed)


def _names(steps: Iterable[Step]) -> str:
    return ", ".join(type(step).__name__ for step in steps)
