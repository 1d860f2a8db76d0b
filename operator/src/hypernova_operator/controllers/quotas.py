"""How much of ComputeQuotas is used: each Instance counts once, from the decision until its object is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from hypernova_api.selectors import LabelSelector
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Amount, ComputeQuota, Limits, Namespace
from hypernova_operator.controllers.resolve import Unmet
from hypernova_operator.controllers.waiting import Named, Share
from hypernova_operator.scheduler.resources import needed

NO_AMOUNT = Amount()


class Charge(NamedTuple):
    """What one Instance uses, and in whose name."""

    namespace: str
    user: str
    amount: Amount


@dataclass(slots=True)
class Tally:
    """What is used in all, and by each user."""

    total: Amount = NO_AMOUNT
    users: dict[str, Amount] = field(default_factory=dict)

    def add(self, user: str, amount: Amount, sign: int = 1) -> None:
        """Put something to it, or (sign -1) take it away."""
        self.total = _plus(self.total, amount, sign)
        rest = _plus(self.users.get(user, NO_AMOUNT), amount, sign)
        if rest == NO_AMOUNT:
            self.users.pop(user, None)
        else:
            self.users[user] = rest


@dataclass(frozen=True, slots=True)
class _Shared:
    """A quota of several namespaces, which these are, and the sum over them."""

    quota: ComputeQuota
    selector: LabelSelector
    namespaces: frozenset[str]
    tally: Tally


class Quotas:
    """Charges by Instance, and their sums by quota."""

    def __init__(self, cache: Cache) -> None:
        self._quotas = cache.quotas.store
        self._namespaces = cache.namespaces.store
        self._charges: dict[str, Charge] = {}
        self._tallies: dict[str, Tally] = {}
        """By namespace."""
        self._shared: dict[Key, _Shared] = {}
        self._own: dict[str, dict[Key, ComputeQuota]] = {}
        """Quotas of their own namespace alone."""
        self._quotas.subscribe(self._on_quota)
        self._namespaces.subscribe(self._on_namespace)

    def charge(self, uid: str, charge: Charge) -> None:
        """An Instance uses this. Safe to repeat; replaces what it used before."""
        if self._charges.get(uid) != charge:
            self.discharge(uid)
            self._charges[uid] = charge
            self._count(charge, 1)

    def discharge(self, uid: str) -> bool:
        """An Instance uses nothing any more; whether it did. Safe to repeat."""
        charge = self._charges.pop(uid, None)
        if charge is None:
            return False
        self._count(charge, -1)
        return True

    def covering(self, namespace: str) -> Iterator[ComputeQuota]:
        """The quotas that are about a namespace, in no particular order."""
        yield from self._own.get(namespace, {}).values()
        for shared in self._shared.values():
            if namespace in shared.namespaces:
                yield shared.quota

    def used(self, quota: ComputeQuota) -> Tally:
        """What is used of a quota. Not to be written to."""
        if quota.selector is None:
            return self._tallies.get(quota.key.namespace, Tally())
        return self._shared[quota.key].tally

    def exceeded(self, charge: Charge) -> Unmet | None:
        """Why an Instance can't use this much more, if it can't."""
        if self._shared and self._namespaces.get(Key("", charge.namespace)) is None:
            return _not_seen(charge.namespace)
        for quota in sorted(self.covering(charge.namespace), key=lambda each: each.key):
            tally = self.used(quota)
            unmet = _unmet(quota, quota.hard, tally.total, charge, None)
            if unmet is None and quota.per_user is not None:
                used = tally.users.get(charge.user, NO_AMOUNT)
                unmet = _unmet(quota, quota.per_user, used, charge, charge.user)
            if unmet is not None:
                return unmet
        return None

    def _count(self, charge: Charge, sign: int) -> None:
        namespace = charge.namespace
        tally = self._tallies.setdefault(namespace, Tally())
        tally.add(charge.user, charge.amount, sign)
        if tally.total == NO_AMOUNT:
            del self._tallies[namespace]
        for shared in self._shared.values():
            if namespace in shared.namespaces:
                shared.tally.add(charge.user, charge.amount, sign)

    def _on_quota(self, key: Key, old: ComputeQuota | None, new: ComputeQuota | None) -> None:
        if old is not None:
            self._shared.pop(key, None)
            self._own.get(key.namespace, {}).pop(key, None)
        if new is not None and new.selector is None:
            self._own.setdefault(key.namespace, {})[key] = new
        elif new is not None and new.selector is not None:
            self._share(new, new.selector)

    def _on_namespace(self, key: Key, _old: Namespace | None, new: Namespace | None) -> None:
        for shared in list(self._shared.values()):
            selected = new is not None and shared.selector.matches(dict(new.labels))
            if selected != (key.name in shared.namespaces):
                self._share(shared.quota, shared.selector)

    def _share(self, quota: ComputeQuota, selector: LabelSelector) -> None:
        namespaces = frozenset(each.key.name for each in self._namespaces if selector.matches(dict(each.labels)))
        tally = Tally()
        for namespace in namespaces & self._tallies.keys():
            for user, amount in self._tallies[namespace].users.items():
                tally.add(user, amount)
        self._shared[quota.key] = _Shared(quota, selector, namespaces, tally)


def over(limits: Limits, used: Amount) -> list[str]:
    """What more is used of than is allowed, in words."""
    return [
        f"{_words(resource, amount)} used of {_words(resource, limit)}"
        for resource, amount, limit in _compared(limits, used)
        if amount > limit
    ]


def _compared(limits: Limits, amounts: Amount) -> Iterable[tuple[str, int, int]]:
    for resource, limit, amount in zip(Amount._fields, limits, amounts, strict=True):
        if limit is not None:
            yield resource, amount, limit


def _plus(one: Amount, other: Amount, sign: int) -> Amount:
    return Amount(*(a + sign * b for a, b in zip(one, other, strict=True)))


def _unmet(quota: ComputeQuota, limits: Limits, used: Amount, charge: Charge, user: str | None) -> Unmet | None:
    """What to say if one of a quota's limits, for all or for each user, is too low."""
    for resource, after, limit in _compared(limits, _plus(used, charge.amount, 1)):
        # Who needs none of it is not in the way of those who do.
        need: int = getattr(charge.amount, resource)
        if need and after > limit:
            whom, by = ("", "") if user is None else (" each user", f" by {user or 'somebody unknown'}")
            return Unmet(
                "QuotaExceeded",
                f"ComputeQuota {quota.key} allows{whom} {_words(resource, limit)}, {_number(resource, after - need)} "
                f"are used{by} and this one needs {_number(resource, need)}; delete some or ask for more",
                frozenset({Share(quota.key, user or "", charge.amount)}),
            )
    return None


def _not_seen(namespace: str) -> Unmet:
    return Unmet(
        "NamespaceNotFound",
        f'there is no Namespace "{namespace}"; once there is, this goes on by itself',
        frozenset({Named("Namespace", Key("", namespace))}),
    )


def _number(resource: str, amount: int) -> str:
    return needed(amount) if resource in ("memory", "disk") else str(amount)


def _words(resource: str, amount: int) -> str:
    """`10 instances`, `1 instance`, `8 vCPUs`, `64Gi of memory`."""
    if resource in ("memory", "disk"):
        return f"{needed(amount)} of {resource}"
    noun = {"instances": "instance", "vcpus": "vCPU"}[resource]
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"
