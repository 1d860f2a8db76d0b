"""Keys to be worked on, each by one worker at a time. (Signatures; the bodies follow.)"""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from hypernova_kube.backoff import Backoff
from hypernova_kube.metrics import Metrics

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Runs `reconcile(key)` for every key added."""

    def __init__(
        self,
        reconcile: Callable[[K], Awaitable[float | None]],
        *,
        workers: int,
        backoff: Backoff,
        name: str,
        metrics: Metrics | None = None,
    ) -> None:
        raise NotImplementedError

    def add(self, key: K, after: float = 0.0) -> None:
        """Work on `key`, `after` seconds from now at the latest."""
        raise NotImplementedError

    @property
    def depth(self) -> int:
        """Keys waiting for a worker now."""
        raise NotImplementedError

    @property
    def oldest_age(self) -> float:
        """Seconds the longest-waiting of them has waited; 0 when none waits."""
        raise NotImplementedError

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        raise NotImplementedError
