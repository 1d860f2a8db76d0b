"""An event loop whose clock jumps instead of waiting: hours of timeouts in a moment, the same on every run.

    @virtual_time
    async def test_a_key_is_retried_after_a_minute(): ...

Not for code that waits for sockets or threads: time would jump past them.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Advances `now` by what it was asked to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("every task waits, and no timer will wake one")
            self.now += max(timeout, 0.0)
        return events


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0; `time()` moves only when every task waits."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test in a loop of its own, with virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(main())

    return run


def now() -> float:
    """The running loop's time: the clock to hand to what takes one."""
    return asyncio.get_running_loop().time()
