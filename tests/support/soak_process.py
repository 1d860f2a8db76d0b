"""Programs of ours as processes inside one event loop: with their own randomness and wall clock, and killed like one.

    with as_processes(random.Random(7)):
        process = Process("agent-a", seed)
        process.start(sync.run())
        process.kill()                     what it had under way is cut off; nothing of it has an effect any more

Whatever takes a `clock` or `wall_clock` by default gets the running loop's, which may be virtual; whatever makes itself
a SystemRandom gets its process' own randomness: a run follows from its seed.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import random
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any, TypeVar
from unittest.mock import patch

EPOCH = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
"""The loop's second 0."""

_PACKAGES = ("hypernova_kube", "hypernova_agent", "hypernova_operator")
_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
_outside = contextvars.Context()

T = TypeVar("T")


def loop_clock() -> float:
    """Monotonic seconds."""
    return asyncio.get_running_loop().time()


def wall_clock() -> datetime:
    """The time that the process of whoever asks is told."""
    process = _current.get()
    return EPOCH + timedelta(seconds=loop_clock()) + (process.clock_error if process is not None else timedelta())


def timestamp() -> str:
    """The true time, as in an object's metadata."""
    return (EPOCH + timedelta(seconds=loop_clock())).strftime("%Y-%m-%dT%H:%M:%SZ")


def outside(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Have something done that is nobody's: what a server has begun to do, it does, whoever asked for it dies."""
    return asyncio.get_running_loop().create_task(work, context=_outside.copy())


class Process:
    """One program."""

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        self.rng = random.Random(seed)
        self.clock_error = timedelta()
        """How far its machine's wall clock is ahead."""
        self.alive = False
        self.main: asyncio.Task[None] | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def start(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it. What it makes and begins belongs to the process."""
        self.alive = True
        context = _outside.copy()
        context.run(_current.set, self)
        self.main = asyncio.get_running_loop().create_task(main(), name=self.name, context=context)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        self.alive = False
        for task in list(self._tasks):
            task.cancel()

    async def buried(self) -> None:
        """Return when nothing of it is left. (Its `finally`s have run by then, and had no effect.)"""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def check(self) -> None:
        """To be called before anything has an effect on its behalf."""
        if not self.alive:
            raise asyncio.CancelledError

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Take note of a task that it has begun."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not self.alive and not task.cancelled():
            task.exception()


class OwnedTask(asyncio.Task[Any]):
    """A task that knows whose it is."""

    process: Process | None = None


class _OwnRandom(random.Random):
    """In place of SystemRandom: seeded by whose it is."""

    def __init__(self) -> None:
        process = _current.get()
        super().__init__(process.rng.random() if process is not None else 0)


@contextmanager
def as_processes() -> Iterator[None]:
    """Within the running loop: tasks belong to processes, and time and randomness are theirs."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_task)
    try:
        with patch.object(random, "SystemRandom", _OwnRandom), _clocks():
            yield
    finally:
        loop.set_task_factory(None)


def _task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    context: contextvars.Context | None = None,
) -> asyncio.Task[Any]:
    task = OwnedTask(work, loop=loop, context=context)
    task.process = _current.get() if context is None else context.get(_current)
    if task.process is not None:
        task.process.owns(task)
    return task


@contextmanager
def _clocks() -> Iterator[None]:
    """Put the loop's clocks in the place of defaults of that name, and back again."""
    ours: dict[str, Callable[[], Any]] = {"clock": loop_clock, "wall_clock": wall_clock}
    before: list[tuple[FunctionType, tuple[Any, ...] | None, dict[str, Any] | None]] = []
    for function, names in _clocked(sum(_is_ours(name) for name in sys.modules)):
        before.append((function, function.__defaults__, function.__kwdefaults__))
        keywords = {name: ours.get(name, default) for name, default in (function.__kwdefaults__ or {}).items()}
        function.__kwdefaults__ = keywords or None
        positional = zip(names, function.__defaults__ or (), strict=True)
        function.__defaults__ = tuple(ours.get(name, default) for name, default in positional) or None
    try:
        yield
    finally:
        for function, defaults, keyword_defaults in before:
            function.__defaults__, function.__kwdefaults__ = defaults, keyword_defaults


@functools.cache
def _clocked(modules: int) -> list[tuple[FunctionType, list[str]]]:
    """Constructors of ours that take a clock, each with the names of its positional parameters that have a default.

    `modules` is how many of ours have been imported: with more, there may be more of them.
    """
    found = []
    for constructor in _constructors():
        parameters = inspect.signature(constructor).parameters.values()
        if any(each.name in ("clock", "wall_clock") for each in parameters):
            positional = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
            found.append((constructor, [each.name for each in positional if each.default is not each.empty]))
    return found


def _constructors() -> Iterator[FunctionType]:
    """Of all classes of ours that have been imported."""
    for name, module in list(sys.modules.items()):
        if not _is_ours(name):
            continue
        for value in list(vars(module).values()):
            if inspect.isclass(value) and value.__module__ == name and isinstance(value.__init__, FunctionType):
                yield value.__init__


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _PACKAGES


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Do something that goes on when whoever waits for it is killed."""
    task = outside(work)
    task.add_done_callback(_seen)
    return await asyncio.shield(task)


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody may be left to see it
