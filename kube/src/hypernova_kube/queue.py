"""Keys to be worked on, each by one worker at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from hypernova_kube.backoff import Backoff
from hypernova_kube.metrics import Metrics
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Calls `reconcile(key)` for every key added, and again as it asks.

    - A key waits once, however often it is added; the earliest time wins. First in, first out across keys.
    - No key is worked on by two workers. One that is added while being worked on is worked on once more.
    - `reconcile` returns None when done, or the seconds after which it wants to be called again. When it raises, that
      is logged and it is called again after a back-off.
    """

    def __init__(
        self,
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        backoff: Backoff,
        name: str,
        metrics: Metrics | None = None,
    ) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff
        self._name = name
        self._metrics = metrics or Metrics()
        self._metrics.queue_depth.labels(name).set_function(lambda: self.depth)
        # A key is in at most one of these: due later, waiting for a worker, being worked on.
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._waiting: dict[K, float] = {}  # since when, in the loop's time; in the order of that
        self._active: dict[K, float | None] = {}  # when to work on it again, in the loop's time
        self._work = asyncio.Event()

    def add(self, key: K, after: float = 0.0) -> None:
        """Have `key` worked on, `after` seconds from now at the latest. To be called in the event loop's thread."""
        due = asyncio.get_running_loop().time() + after
        if key in self._active:
            again = self._active[key]
            self._active[key] = due if again is None else min(again, due)
        elif key not in self._waiting:
            self._schedule(key, due)

    @property
    def depth(self) -> int:
        """Keys that wait for a worker now; those due later do not count."""
        return len(self._waiting)

    @property
    def oldest_age(self) -> float:
        """Seconds that the first of them has waited; 0 when none waits."""
        since = next(iter(self._waiting.values()), None)
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    async def run(self) -> None:
        """For ever; end it by cancelling, which cancels what is being worked on."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._worker(), name=f"{self._name}-{number}")

    def _schedule(self, key: K, due: float) -> None:
        loop = asyncio.get_running_loop()
        timer = self._later.get(key)
        if timer is not None and timer.when() <= due:
            return
        if timer is not None:
            self._later.pop(key).cancel()
        if due <= loop.time():
            self._ripen(key)
        else:
            self._later[key] = loop.call_at(due, self._ripen, key)

    def _ripen(self, key: K) -> None:
        self._later.pop(key, None)
        self._waiting[key] = asyncio.get_running_loop().time()
        self._work.set()

    async def _worker(self) -> None:
        while True:
            while not self._waiting:
                self._work.clear()
                await self._work.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._active[key] = None
            due = None
            try:
                due = await self._work_on(key)
            finally:
                again = self._active.pop(key)
            if due is not None or again is not None:
                self._schedule(key, min(time for time in (due, again) if time is not None))

    async def _work_on(self, key: K) -> float | None:
        """When to work on it again, in the loop's time."""
        started = time.monotonic()
        try:
            after = await self._reconcile(key)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            # A CancelledError that is not for us comes from something reconcile awaited; taken for ours, it would
            # end this worker without a word.
            after = self._backoff.next(key)
            self._metrics.reconcile_errors.labels(self._name).inc()
            log.exception(
                "reconcile failed",
                queue=self._name,
                key=key,
                attempts=self._backoff.attempts(key),
                retry_in_s=after,
            )
        else:
            self._backoff.forget(key)
        finally:
            self._metrics.reconcile_seconds.labels(self._name).observe(time.monotonic() - started)
        return None if after is None else asyncio.get_running_loop().time() + after
