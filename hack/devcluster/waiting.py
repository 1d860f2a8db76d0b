"""The one way to wait here: for a condition, with a bound, and a sentence for when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable

from .errors import ClusterError


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Returns as soon as `condition()` holds.

    Args:
        condition: looked at every 50 ms.
        seconds: how long at most.
        what: what is waited for, e.g. `CustomResourceDefinitions to be served`.

    Raises:
        ClusterError: it did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)
