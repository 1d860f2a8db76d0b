"""Blocking work in threads that keep nothing from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], name: str) -> Future[T]:
    """Begin work in a thread of its own. A daemon: what hangs in libvirt must not keep the process from ending."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


async def ended(job: asyncio.Future[T], seconds: float | None = None) -> T:
    """The job's result; on cancellation, too, only after it has ended.

    Raises:
        TimeoutError: it has not ended in time, and goes on.
    """
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    cancelled: asyncio.CancelledError | None = None
    while not job.done():
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            raise cancelled or TimeoutError
        try:
            await asyncio.wait([job], timeout=left)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        job.exception()  # looked at, so that asyncio doesn't report it as lost
        raise cancelled
    return job.result()
