"""Addresses on the default network, until Network is a kind: unique in the cluster, handed out at binding. Pure."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from hypernova_api.network import DEFAULT_CIDR, DEFAULT_GATEWAY

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assignment:
    """The address of one Instance."""

    ip: IPv4Address
    mac: str


class NoAddressFree(Exception):
    """All addresses of the network are taken."""


class Addresses:
    """Who has which address, by Instance uid."""

    def __init__(self, cidr: IPv4Network = DEFAULT_CIDR, gateway: IPv4Address = DEFAULT_GATEWAY) -> None:
        self._last = cidr.broadcast_address
        self._held: dict[str, Assignment] = {}
        # Counted rather than listed: should an address ever be held twice, it is free only after both let go.
        self._ips: Counter[IPv4Address] = Counter([cidr.network_address, gateway, cidr.broadcast_address])
        self._macs: Counter[str] = Counter()
        self._never_used = cidr.network_address + 1
        self._let_go: list[IPv4Address] = []

    def assign(self, uid: str) -> Assignment:
        """The lowest free address for an Instance; the same again if it has one.

        Raises:
            NoAddressFree: there is none.
        """
        if uid not in self._held:
            mac = next(mac for mac in _macs(uid) if not self._macs[mac])
            self.hold(uid, Assignment(self._lowest(), mac))
        return self._held[uid]

    def hold(self, uid: str, assignment: Assignment) -> None:
        """The Instance has this address, whoever gave it. Safe to repeat; replaces its other address, if any."""
        if self._held.get(uid) != assignment:
            self.release(uid)
            self._held[uid] = assignment
            self._ips[assignment.ip] += 1
            self._macs[assignment.mac] += 1

    def release(self, uid: str) -> bool:
        """The Instance needs its address no more; whether it had one. Safe to repeat."""
        assignment = self._held.pop(uid, None)
        if assignment is None:
            return False
        _decrease(self._ips, assignment.ip)
        _decrease(self._macs, assignment.mac)
        heapq.heappush(self._let_go, assignment.ip)
        return True

    def _lowest(self) -> IPv4Address:
        # Both may name addresses that are held (again); those are passed over when they come up.
        while self._let_go:
            ip = heapq.heappop(self._let_go)
            if not self._ips[ip] and ip < self._never_used:
                return ip
        while self._never_used < self._last:
            ip = self._never_used
            self._never_used += 1
            if not self._ips[ip]:
                return ip
        raise NoAddressFree


def _decrease(counter: Counter[T], key: T) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _macs(uid: str) -> Iterator[str]:
    """MACs of QEMU's own range in the order an Instance tries them: it gets the same one wherever it can."""
    digest = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:3], "big")
    for step in range(2**24):
        number = (digest + step) % 2**24
        yield f"52:54:00:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"
