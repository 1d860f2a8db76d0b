"""The one way tests wait: for a condition, with a bound, and a sentence for when it does not come."""

import time
from collections.abc import Callable
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
