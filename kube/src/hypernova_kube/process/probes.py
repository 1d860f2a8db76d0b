"""The HTTP endpoints kubelet and Prometheus call. (Signatures; the bodies follow.)"""

from collections.abc import Callable
from typing import Self

from prometheus_client import CollectorRegistry


class Probes:
    """Serves /healthz, /readyz and /metrics: `async with Probes(...) as probes: print(probes.port)`."""

    port: int
    """The port in use; differs from the one asked for if that was 0."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        live: Callable[[], list[str]],
        ready: Callable[[], list[str]],
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *exc: object) -> None:
        raise NotImplementedError
