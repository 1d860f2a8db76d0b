"""The books: host table, addresses and quotas follow what hosts and Instances say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from hypernova_api.network import DEFAULT_NETWORK
from hypernova_kube.resources import Key
from hypernova_operator.addresses import Addresses, Assignment, Assignments
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Amount, AvailabilityZone, HostAggregate, Hypervisor, Instance, Resize
from hypernova_operator.controllers.quotas import Charge, Quotas
from hypernova_operator.scheduler import NO_LIMIT, NOTHING, Claim, Host, HostTable, Placement, Request, Reserve
from hypernova_operator.scheduler.headroom import InAggregate, InZone
from hypernova_operator.scheduler.table import Predicate


class Ledger:
    """Keeps host table, addresses and quotas, and calls `on_room` when there may be room for somebody who waits.

    A bound Instance claims its host until its object is gone, whatever its guest does; so does one that is being
    deleted. While a resize is under way it claims enough for either flavor. One that is about to be bound claims from
    the decision on: `assume`. A domain without an Instance claims what that had.

    News of an Instance that doesn't say it is bound leaves its claim alone, as it may be older than the bind. News of
    one that is bound says what it claims: if a write of ours was to say more, that write is refused.
    """

    def __init__(self, cache: Cache, on_room: Callable[[], None]) -> None:
        self.table = HostTable()
        self.addresses = Addresses()
        self.quotas = Quotas(cache)
        self.orphans: dict[str, str] = {}
        """The node of each domain, or set of disks, without an Instance; by the UID that its Instance had."""
        self._on_room = on_room
        self._hypervisors = cache.hypervisors.store
        cache.hosts.subscribe(self._on_host)
        cache.instances.store.subscribe(self._on_instance)
        cache.aggregates.store.subscribe(self._on_aggregate)
        cache.zones.store.subscribe(self._on_zone)
        cache.hypervisors.store.subscribe(self._on_hypervisor)
        # What these say may open quotas or hosts to somebody who waits.
        cache.quotas.store.subscribe(self._on_terms)
        cache.namespaces.store.subscribe(self._on_terms)

    def assume(self, instance: Instance, placement: Placement, want: Request) -> Assignments:
        """Claim what was decided, before it is written.

        Raises:
            NoAddressFree: nothing is claimed.
        """
        assignments = self.addresses.assign(instance.uid, instance.cards)
        group = str(instance.group) if instance.group else ""
        claim = Claim(placement.host, want.resources, group, want.image, placement.allocation, building=True)
        self.table.claim(instance.uid, claim)
        self.quotas.charge(instance.uid, charge_of(instance, want))
        return assignments

    def assume_resize(self, instance: Instance, to: Resize) -> None:
        """Claim another flavor beside what a bound Instance has, before it is written. `follow` takes it back."""
        self.table.claim(instance.uid, claim_of(replace(instance, resize=to)))
        self.quotas.charge(instance.uid, charge_of(instance, *_wants(instance), to.want))

    def assume_cards(self, instance: Instance) -> Assignments:
        """Addresses for all cards that a bound Instance asks for, before they are written. `follow` takes them back.

        Raises:
            NoAddressFree: it has what it had.
        """
        return self.addresses.assign(instance.uid, instance.cards)

    def follow(self, instance: Instance) -> None:
        """A bound Instance claims what its status says, and nothing else."""
        before = self.table.claim_of(instance.uid)
        claim = claim_of(instance)
        self.table.claim(instance.uid, claim)
        if wants := _wants(instance):
            self.quotas.charge(instance.uid, charge_of(instance, *wants))
        freed = self.addresses.hold(instance.uid, _assignments(instance))
        if freed or (before is not None and _less(before, claim)):
            self._on_room()

    def release(self, uid: str) -> None:
        """The Instance is gone, or its bind has come to nothing."""
        freed = [self.table.release(uid), self.addresses.release(uid), self.quotas.discharge(uid)]
        if any(freed):
            self._on_room()

    def host_of(self, instance: Instance) -> str:
        """Where an Instance is, or is about to be; empty if nowhere."""
        claim = self.table.claim_of(instance.uid)
        return claim.host if claim else ""

    def taken_from_orphan(self, node: str, uid: str) -> str:
        """An address that a domain without an Instance had, and that somebody else has; empty if there is none."""
        hypervisor = self._hypervisors.get(Key("", node))
        for orphan in hypervisor.orphans if hypervisor is not None else ():
            if orphan.uid == uid and orphan.instance is not None:
                taken = self.addresses.taken(_assignments(orphan.instance), but_by=_orphan(node, uid))
                return str(taken[0]) if taken else ""
        return ""

    def _on_host(self, name: str, _old: Host | None, new: Host | None) -> None:
        if new is None:
            self.table.remove(name)
        else:
            self.table.put(new)
        self._on_room()

    def _on_aggregate(self, key: Key, _old: HostAggregate | None, new: HostAggregate | None) -> None:
        self._keep_reserve(f"HostAggregate {key.name}", new.reserve if new else 0, InAggregate(key.name))

    def _on_zone(self, key: Key, _old: AvailabilityZone | None, new: AvailabilityZone | None) -> None:
        self._keep_reserve(f"AvailabilityZone {key.name}", new.reserve if new else 0, InZone(key.name))

    def _keep_reserve(self, whose: str, hosts: int, among: Predicate) -> None:
        if hosts:
            self.table.reserves[whose] = Reserve(hosts, among)
        else:
            self.table.reserves.pop(whose, None)
        self._on_room()

    def _on_hypervisor(self, key: Key, old: Hypervisor | None, new: Hypervisor | None) -> None:
        before = {orphan.uid for orphan in old.orphans} if old is not None else set()
        after = {orphan.uid: orphan for orphan in new.orphans} if new is not None else {}
        for uid in before - after.keys():
            self.orphans.pop(uid, None)
            self.release(_orphan(key.name, uid))
        for uid, orphan in after.items():
            self.orphans[uid] = key.name
            if orphan.instance is None:
                self.release(_orphan(key.name, uid))  # its domain has gone, and left files behind
            else:
                self.table.claim(_orphan(key.name, uid), claim_of(orphan.instance))
                self.addresses.hold(_orphan(key.name, uid), _assignments(orphan.instance))

    def _on_terms(self, _key: Key, _old: object, _new: object) -> None:
        self._on_room()

    def _on_instance(self, _key: Key, old: Instance | None, new: Instance | None) -> None:
        if old is not None and (new is None or new.uid != old.uid):
            self.release(old.uid)
            old = None
        if new is None or not new.node:
            return
        self.follow(new)
        if old is not None and old.node == new.node:
            self._on_progress(old, new)

    def _on_progress(self, old: Instance, new: Instance) -> None:
        """What its node has made of it."""
        if new.failed and old.building:
            self.table.failed(new.node)
        elif (old.building or old.failed) and not (new.building or new.failed):
            self.table.succeeded(new.node)
        row = self.table.row(new.node)
        limited = row is not None and self.table.at(row).max_builds != NO_LIMIT
        if limited and old.building and not new.building:
            self._on_room()


def claim_of(instance: Instance) -> Claim:
    """What a bound Instance takes of its node: of two flavors, enough for either. Pure."""
    resources = instance.want.resources if instance.want else NOTHING
    allocation = instance.allocation
    if instance.resize is not None:
        resources |= instance.resize.want.resources
        allocation |= instance.resize.allocation
    return Claim(
        instance.node,
        resources,
        str(instance.group) if instance.group else "",
        instance.want.image if instance.want else "",
        allocation,
        instance.building,
    )


def charge_of(instance: Instance, want: Request, *others: Request) -> Charge:
    """What an Instance uses of quotas: its whole size, wherever on the host that comes from. Pure.

    Of several sizes, enough for each: what is under way counts once.
    """
    amount = Amount(1, want.vcpus, want.memory, want.disk)
    for other in others:
        amount = Amount(1, *map(max, amount[1:], (other.vcpus, other.memory, other.disk)))
    return Charge(instance.key.namespace, instance.user, amount)


def _assignments(instance: Instance) -> Assignments:
    return tuple(
        Assignment(IPv4Address(each.ip), each.mac) for each in instance.addresses if each.network == DEFAULT_NETWORK
    )


def _orphan(node: str, uid: str) -> str:
    """By what name a domain without an Instance claims."""
    return f"orphan {uid} on {node}"


def _wants(instance: Instance) -> tuple[Request, ...]:
    """What a bound Instance has, and what it is granted."""
    has = (instance.want,) if instance.want is not None else ()
    return (*has, instance.resize.want) if instance.resize is not None else has


def _less(before: Claim, now: Claim) -> bool:
    """Whether something has come free."""
    moved = before.host != now.host or before.allocation != now.allocation
    return moved or before.resources | now.resources != now.resources
