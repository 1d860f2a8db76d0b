"""How often something may be done. Pure: the time comes in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_KEYS = 10_000


class TokenBucket:
    """Holds `burst` tokens at most, and gets `rate` new ones a second."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._as_of = now

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def take(self, now: float) -> float:
        """Take a token; or, if there is none, the seconds until there is."""
        wait = self.wait(now)
        if not wait:
            self._tokens -= 1.0
        return wait

    def _fill(self, now: float) -> None:
        # max: a clock that is put back gives no tokens and takes none.
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._as_of) * self._rate)
        self._as_of = now


class Throttle:
    """A TokenBucket for each key. Keys long unused are forgotten when there are too many."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        """A throttle that has seen nobody.

        Args:
            rate: tokens a second, for each key.
            burst: tokens at first, and at most.
            clock: monotonic seconds.
        """
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def wait(self, key: Hashable) -> float:
        """Seconds until `key` may; 0 if it may now. Takes nothing."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait(self._clock())

    def take(self, key: Hashable) -> float:
        """Take a token of `key`; or, if it has none, the seconds until it has."""
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)
