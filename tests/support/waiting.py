"""The one way tests wait: for a condition, with a bound, and a sentence for when it does not come."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """The first true answer of `look()`.

    Args:
        look: looked at every 20 ms.
        what: what is waited for, e.g. `the guest's READY`.
        seconds: how long at most.

    Raises:
        AssertionError: there was none in time; tells the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}; last seen: {answer!r}"
        time.sleep(0.02)


async def eventually_async(look: Callable[[], Awaitable[T | None] | T | None], what: str, seconds: float = 30) -> T:
    """As `eventually`, for what has to be awaited or happens in this event loop, which goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}; last seen: {answer!r}"
        await asyncio.sleep(0.02)
