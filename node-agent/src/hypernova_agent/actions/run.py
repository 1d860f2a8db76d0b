"""Actions that run, as this process knows them: their steps, how far they are, and what works on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypernova_agent.actions.report import Result, stepped
from hypernova_api.action import ActionStep

PROGRESS_SECONDS = 5.0
"""Between two writes about what takes long; what is done sooner is not written about."""


@dataclass(slots=True)
class Run:
    """One action under way."""

    steps: list[ActionStep]
    told_at: float
    """When its status was last written, on the monotonic clock."""

    task: asyncio.Task[Result | None] | None = None
    """What no worker waits for, if there is anything. None as its result: there is more to do."""

    ticking: asyncio.Task[None] | None = None

    part: float = 0.0
    """Of the whole, up to 1."""

    def step(self, name: str, now: datetime) -> None:
        """This step goes on now."""
        self.steps = stepped(self.steps, name, now)

    def launch(self, work: Coroutine[Any, Any, Result | None], wake: Callable[[], None]) -> None:
        """Have it done; `wake` is called now and then meanwhile, and at the end."""
        self.task = asyncio.create_task(work)
        self.ticking = asyncio.create_task(_tick(self.task, wake))

    @property
    def busy(self) -> bool:
        """Whether something works on it."""
        return self.task is not None and not self.task.done()


async def stop(runs: Iterable[Run]) -> None:
    """Give up what works on actions, and wait until it has put its things away."""
    tasks = [run.task for run in runs if run.task is not None]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _tick(task: asyncio.Task[Result | None], wake: Callable[[], None]) -> None:
    while not task.done():
        await asyncio.wait({task}, timeout=PROGRESS_SECONDS)
        wake()
