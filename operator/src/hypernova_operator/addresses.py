"""Addresses on the default network, until Network is a kind: unique in the cluster, one a network card. Pure.

A card's MAC follows from its address. A host's DHCP server keeps an address for the MAC it leased it to, for an hour
after that guest is gone; a guest with another MAC that is given the address meanwhile would get no answer.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from hypernova_api.network import DEFAULT_CIDR, DEFAULT_GATEWAY


@dataclass(frozen=True, slots=True)
class Assignment:
    """The address of one network card."""

    ip: IPv4Address
    mac: str


Assignments = tuple[Assignment, ...]
"""Those of an Instance, in the order of its cards."""


class NoAddressFree(Exception):
    """All addresses of the network are taken."""


class Addresses:
    """Who has which addresses, by Instance uid."""

    def __init__(self, cidr: IPv4Network = DEFAULT_CIDR, gateway: IPv4Address = DEFAULT_GATEWAY) -> None:
        self._last = cidr.broadcast_address
        self._held: dict[str, Assignments] = {}
        # Counted rather than listed: should an address ever be held twice, it is free only after both let go.
        self._ips: Counter[IPv4Address] = Counter([cidr.network_address, gateway, cidr.broadcast_address])
        self._never_used = cidr.network_address + 1
        self._let_go: list[IPv4Address] = []

    def assign(self, uid: str, number: int = 1) -> Assignments:
        """So many addresses for an Instance: those it has, and the lowest free ones beside them.

        Raises:
            NoAddressFree: there are not so many; it has what it had.
        """
        before = self._held.get(uid, ())
        ips: list[IPv4Address] = []
        try:
            for _ in range(number - len(before)):
                ips.append(self._lowest(ips))
        except NoAddressFree:
            for ip in ips:
                heapq.heappush(self._let_go, ip)
            raise
        self.hold(uid, (*before, *(Assignment(ip, _mac(ip)) for ip in ips)))
        return self._held.get(uid, ())

    def hold(self, uid: str, assignments: Assignments) -> bool:
        """The Instance has just these addresses, whoever gave them; whether one has come free. Safe to repeat."""
        before = self._held.get(uid, ())
        if assignments == before:
            return False
        if assignments:
            self._held[uid] = assignments
        else:
            del self._held[uid]
        for each in assignments:
            self._ips[each.ip] += 1
        for each in before:
            self._ips[each.ip] -= 1
            heapq.heappush(self._let_go, each.ip)
        return not set(before) <= set(assignments)

    def release(self, uid: str) -> bool:
        """The Instance needs no address any more; whether it had one. Safe to repeat."""
        return self.hold(uid, ())

    def taken(self, assignments: Iterable[Assignment], but_by: str) -> list[IPv4Address]:
        """Those of some addresses that somebody has, but for one holder."""
        own = Counter(each.ip for each in self._held.get(but_by, ()))
        return [each.ip for each in assignments if self._ips[each.ip] > own[each.ip]]

    def _lowest(self, but: Collection[IPv4Address]) -> IPv4Address:
        # Both may name addresses that are held (again), or name one twice; those are passed over when they come up.
        while self._let_go:
            ip = heapq.heappop(self._let_go)
            if not self._ips[ip] and ip < self._never_used and ip not in but:
                return ip
        while self._never_used < self._last:
            ip = self._never_used
            self._never_used += 1
            if not self._ips[ip] and ip not in but:
                return ip
        raise NoAddressFree


def _mac(ip: IPv4Address) -> str:
    """A MAC of QEMU's own range, 52:54:00, that ends as the address does."""
    return "52:54:00:" + ip.packed[1:].hex(":")
