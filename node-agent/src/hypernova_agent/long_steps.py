"""Steps that take longer than a worker may wait: each runs beside it, and wakes its Instance when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from hypernova_agent.steps import EnsureImage, SaveDomain, Step
from hypernova_kube.resources import Key

LongStep = EnsureImage | SaveDomain


@dataclass(frozen=True, slots=True)
class _Run:
    step: LongStep
    task: asyncio.Task[None]


class LongSteps:
    """Those of a node's Instances, one at a time of each, by its UID."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        """None yet; `wake` is told of the Instance whose step is done."""
        self._wake = wake
        self._runs: dict[str, _Run] = {}

    def under_way(self, uid: str) -> LongStep | None:
        """The step that is not done."""
        run = self._runs.get(uid)
        return run.step if run is not None and not run.task.done() else None

    def begin(self, uid: str, key: Key, step: LongStep, work: Coroutine[Any, Any, None]) -> None:
        """Have it done."""
        task = asyncio.create_task(work, name=f"{type(step).__name__} {key}")
        task.add_done_callback(lambda _: self._wake(key))
        self._runs[uid] = _Run(step, task)

    def take(self, uid: str, step: Step) -> bool:
        """Whether the step has been done, said once.

        Raises:
            Exception: what it has failed with.
        """
        run = self._runs.get(uid)
        if run is None or run.step != step or not run.task.done():
            return False
        del self._runs[uid]
        if run.task.cancelled():
            return False
        run.task.result()
        return True

    def keep_only(self, uid: str, steps: list[Step]) -> None:
        """Give up what is no longer in the plan."""
        run = self._runs.get(uid)
        if run is not None and run.step not in steps:
            self.drop(uid)

    def drop(self, uid: str) -> None:
        """Give up whatever there is."""
        run = self._runs.pop(uid, None)
        if run is None:
            return
        run.task.cancel()
        if run.task.done() and not run.task.cancelled():
            run.task.exception()  # nobody asks for it any more
