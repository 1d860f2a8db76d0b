"""The books: host table and addresses follow what hosts and Instances say."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from hypernova_api.network import DEFAULT_NETWORK
from hypernova_kube.resources import Key
from hypernova_operator.addresses import Addresses, Assignment
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Instance
from hypernova_operator.scheduler import Claim, Host, HostTable, Placement, Request


class Ledger:
    """Keeps host table and addresses, and calls `on_room` when there may be room for somebody who waits.

    A bound Instance claims its host until its object is gone, whatever its guest does; so does one that is being
    deleted. One that is about to be bound claims from the decision on: `assume`. News of an Instance that doesn't say
    it is bound leaves its claim alone, as it may be older than the bind.
    """

    def __init__(self, cache: Cache, on_room: Callable[[], None]) -> None:
        self.table = HostTable()
        self.addresses = Addresses()
        self._on_room = on_room
        cache.hosts.subscribe(self._on_host)
        cache.instances.store.subscribe(self._on_instance)

    def assume(self, uid: str, placement: Placement, want: Request) -> Assignment:
        """Claim what was decided, before it is written.

        Raises:
            NoAddressFree: nothing is claimed.
        """
        assignment = self.addresses.assign(uid)
        self.table.claim(uid, Claim(placement.host, want.resources))
        return assignment

    def release(self, uid: str) -> None:
        """The Instance is gone, or its bind has come to nothing."""
        host_freed = self.table.release(uid)
        address_freed = self.addresses.release(uid)
        if host_freed or address_freed:
            self._on_room()

    def _on_host(self, name: str, _old: Host | None, new: Host | None) -> None:
        if new is None:
            self.table.remove(name)
        else:
            self.table.put(new)
        self._on_room()

    def _on_instance(self, _key: Key, old: Instance | None, new: Instance | None) -> None:
        if old is not None and (new is None or new.uid != old.uid):
            self.release(old.uid)
        if new is not None and new.node:
            self.table.claim(new.uid, Claim(new.node, new.claim))
            for address in new.addresses:
                if address.network == DEFAULT_NETWORK:
                    self.addresses.hold(new.uid, Assignment(IPv4Address(address.ip), address.mac))
