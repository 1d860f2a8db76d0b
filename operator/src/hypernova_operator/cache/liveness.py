"""Whose agent is alive: the Leases of the agents, judged by our own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_kube.lease import LeaseObserver
from hypernova_kube.reflector import Change
from hypernova_operator.cache.hosts import Hosts

TICK_SECONDS = 1.0
"""How late the end of an agent is noticed at most: silence is no event, somebody has to look."""


class Liveness:
    """Tells `hosts` which agents are alive."""

    def __init__(self, hosts: Hosts, clock: Callable[[], float] = time.monotonic) -> None:
        self._hosts = hosts
        self._clock = clock
        self._observer = LeaseObserver()
        self._leases: set[str] = set()
        self.sure = asyncio.Event()
        """Set while each agent is known to live or not: who has just begun to watch takes them for silent at first."""
        self.sure.set()

    def on_change(self, change: Change) -> None:
        """Take a change of a Lease from the reflector."""
        name = change.key.name
        if change.new is None:
            self._observer.forget(name)
            self._leases.discard(name)
            self._hosts.set_alive(_node(name), False)
        else:
            self._observer.observe(change.new, self._clock())
            self._leases.add(name)
            if not self._judge(name):
                self.sure.clear()

    def look(self) -> None:
        """Judge all Leases by the time it is now."""
        unsure = [name for name in self._leases if not self._judge(name)]
        if not unsure:
            self.sure.set()

    async def run(self) -> None:
        """Look every second, for ever."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.look()

    def _judge(self, name: str) -> bool:
        """Tell whether it lives; returns whether that is sure."""
        now = self._clock()
        alive = self._observer.is_alive(name, now)
        self._hosts.set_alive(_node(name), alive)
        return alive or self._observer.is_dead(name, now)


def _node(lease: str) -> str:
    return lease.removeprefix(LEASE_PREFIX)
