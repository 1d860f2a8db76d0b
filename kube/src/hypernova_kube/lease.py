"""Leases: saying that one is alive, and agreeing on who leads. (Signatures; the bodies follow.)"""

import asyncio
from collections.abc import Mapping

from hypernova_kube.client import Client
from hypernova_kube.resources import Object


class Heartbeat:
    """Renews a Lease of one's own for as long as one lives."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = 40,
        interval: float = 10.0,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """For ever; no error of the API server ends it. End it by cancelling."""
        raise NotImplementedError

    def age(self) -> float:
        """Seconds since the last renewal that succeeded (since the making of this object, if none has)."""
        raise NotImplementedError


class Elector:
    """Takes part in the election of a leader. `identity` must be unique per process."""

    elected: asyncio.Event

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = 15,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
    ) -> None:
        raise NotImplementedError

    def is_leader(self) -> bool:
        """Whether this process may act as leader at this very moment."""
        raise NotImplementedError

    async def run(self) -> None:
        """Wait for leadership (then `elected` is set), keep it, raise LeadershipLost when it is lost."""
        raise NotImplementedError

    async def release(self) -> None:
        """Give up leadership, after `run()` was cancelled: a standby takes over at its next try."""
        raise NotImplementedError


class LeaseObserver:
    """Who is alive, judged by when (on our clock) each Lease was last seen to change."""

    def observe(self, lease: Object, now: float) -> None:
        """Take note of a Lease as just seen."""
        raise NotImplementedError

    def forget(self, name: str) -> None:
        """The Lease is gone."""
        raise NotImplementedError

    def is_alive(self, name: str, now: float) -> bool:
        """Whether the Lease of that name was renewed within its duration."""
        raise NotImplementedError
