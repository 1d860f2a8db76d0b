"""How long to wait before trying something again."""

import random
from collections.abc import Hashable


class Backoff:
    """Waits that double with each failure in a row, kept per key, with jitter.

    The n-th wait lies between half of `base * 2**n` and all of it, and never above `cap` (both in seconds):
    many that failed together do not come back together.
    """

    def __init__(self, base: float = 1.0, cap: float = 300.0, rng: random.Random | None = None) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or random.SystemRandom()
        self._attempts: dict[Hashable, int] = {}

    def next(self, key: Hashable) -> float:
        """Seconds to wait after one more failure of `key`."""
        attempts = self._attempts[key] = self.attempts(key) + 1
        # The exponent is bounded: 2**1024 is no float, and a key can fail for weeks.
        longest = min(self._cap, self._base * 2.0 ** min(attempts - 1, 64))
        return longest * self._rng.uniform(0.5, 1.0)

    def attempts(self, key: Hashable) -> int:
        """How many times `key` has failed in a row."""
        return self._attempts.get(key, 0)

    def forget(self, key: Hashable) -> None:
        """`key` has succeeded, or is gone."""
        self._attempts.pop(key, None)
