"""Whose agent is alive, and whose is lost: the Leases of the agents, judged by our own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Set
from dataclasses import dataclass

from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_kube.lease import LeaseObserver
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Object
from hypernova_operator.cache.hosts import Hosts

TICK_SECONDS = 1.0
"""How late the end of an agent is noticed at most: silence is no event, somebody has to look."""

DEAF_SECONDS = 10.0
"""Our watch sees the leader's own Lease too, which is renewed each second: who hears nothing for so long hears no agent
either, be the API server away or the watch stuck."""

AGENT_SECONDS = 40.0
"""Silence after which an agent counts as lost whose Lease is gone, and so does not say."""


@dataclass(frozen=True, slots=True)
class _Lease:
    duration: float
    renewed: str
    """When, by its agent's clock: for people."""


class Liveness:
    """Tells `hosts` which agents are alive.

    An agent that is not alive takes nothing new. It is lost only after it has been silent for as long as its Lease says
    while we could hear: not because we, or the API server, were away.
    """

    def __init__(self, hosts: Hosts, clock: Callable[[], float] = time.monotonic) -> None:
        self._hosts = hosts
        self._clock = clock
        self._observer = LeaseObserver()
        self._leases: dict[str, _Lease] = {}
        self._missing_since: dict[str, float] = {}
        """Of Leases that are gone, or not there yet."""
        self._heard_at = self._listening_since = clock()
        self.sure = asyncio.Event()
        """Set while each agent is known to live or not: who has just begun to watch takes them for silent at first."""
        self.sure.set()

    def on_change(self, change: Change) -> None:
        """Take a change of a Lease from the reflector, of an agent or not."""
        name, now = change.key.name, self._clock()
        if now - self._heard_at > DEAF_SECONDS:
            self._listening_since = now
        self._heard_at = now
        if not name.startswith(LEASE_PREFIX):
            return
        if change.new is None:
            self._observer.forget(name)
            self._leases.pop(name, None)
            self._missing_since[name] = now
            self._hosts.set_alive(_node(name), False)
        else:
            self._observer.observe(change.new, now)
            self._leases[name] = _read(change.new)
            self._missing_since.pop(name, None)
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

    def expect(self, nodes: Set[str]) -> None:
        """From these nodes an agent should be heard: for those without a Lease, silence begins now if it hasn't yet."""
        now = self._clock()
        missing = {LEASE_PREFIX + node for node in nodes} - self._leases.keys()
        self._missing_since = {name: self._missing_since.get(name, now) for name in missing}

    def is_lost(self, node: str) -> bool:
        """Whether a node's agent has been silent for too long, and that is not because nobody could hear it."""
        name, now = f"{LEASE_PREFIX}{node}", self._clock()
        lease = self._leases.get(name)
        duration = lease.duration if lease is not None else AGENT_SECONDS
        since = self._listening_since if lease is not None else self._missing_since.get(name, now)
        listened = now - max(self._listening_since, since)
        return now - self._heard_at <= DEAF_SECONDS and listened >= duration and self._observer.is_dead(name, now)

    def last_heard(self, node: str) -> str:
        """When a node's agent last showed that it lives, by its own clock, RFC 3339; empty if nobody knows."""
        lease = self._leases.get(f"{LEASE_PREFIX}{node}")
        return lease.renewed if lease is not None else ""

    def _judge(self, name: str) -> bool:
        """Tell whether it lives; returns whether that is sure."""
        now = self._clock()
        alive = self._observer.is_alive(name, now)
        self._hosts.set_alive(_node(name), alive)
        return alive or self._observer.is_dead(name, now)


def _read(lease: Object) -> _Lease:
    spec = lease.get("spec", {})
    # MicroTime has six digits of a second, which nobody needs.
    renewed = (spec.get("renewTime") or "").partition(".")[0]
    return _Lease(float(spec.get("leaseDurationSeconds") or 0), f"{renewed}Z" if renewed else "")


def _node(lease: str) -> str:
    return lease.removeprefix(LEASE_PREFIX)
