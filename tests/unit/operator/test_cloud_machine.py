"""A cloud under anything that can happen: the scheduler's promises hold throughout.

Hosts come, change, shrink, fail, go and come back. Instances are made, decided on, bound, built, resized, migrated and
deleted; binds and resizes come to nothing; quotas, namespaces and reserves change; another operator takes the lead and
knows only what is written. The real table, decision, ledger and quotas are driven beside plain books
(`support.reference.Cloud`).
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hypernova_api.quota import ComputeQuotaStatus
from hypernova_api.selectors import LabelSelector
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import NO_SCHEDULING, Amount, ComputeQuota, Instance, Limits, Namespace, Resize
from hypernova_operator.controllers.ledger import Ledger, charge_of
from hypernova_operator.controllers.quotas import Charge
from hypernova_operator.scheduler import (
    DEFAULT_POLICY,
    NO_ALLOCATION,
    Allocation,
    Claim,
    DeviceWant,
    Host,
    Placement,
    Policy,
    Refusal,
    Request,
    Reserve,
    Resources,
    decide,
    in_place,
)
from hypernova_operator.scheduler.filters import FILTERS
from support import reference
from support.clouds import ALIASES, GROUPS, NAMES, PACKED, PAGE_SIZES, PROBES, examples, hosts, requests, reserves
from support.reference import RULES, Cloud, Refused, usable
from support.scheduling import GI, a_claim, a_want

ORDER = [type(filter_).__name__ for filter_ in FILTERS]
NAMESPACES = ("shop", "lab")
USERS = ("ann", "bob")
# What one leader has seen and the next has not: images that were fetched, builds that failed.
FORGETFUL = Policy(multipliers={"imageCached": 0.0, "buildFailures": 0.0})

_SMALL = a_want(vcpus=2, disk=GI)
_BARE = replace(_SMALL, disk=0)
_HALVED = replace(_SMALL, vcpus=4, memory=2 * GI, dedicated=True, cells=2)
_KEEN = [
    _SMALL,
    _BARE,
    *(replace(_BARE, group=group) for group in GROUPS),
    *(replace(_SMALL, dedicated=True, threads=threads) for threads in ("Prefer", "Require", "Isolate")),
    *(replace(_BARE, devices=(DeviceWant(alias, 1, near),)) for alias in ALIASES for near in (False, True)),
    *(replace(_SMALL, page_size=size) for size in PAGE_SIZES),
    *(_HALVED, replace(_HALVED, disk=0), replace(_HALVED, dedicated=False, memory=6 * GI)),
]
"""What competes for what few hosts have."""
wants = st.one_of(st.sampled_from(_KEEN), st.sampled_from(_KEEN), requests())
limits = st.builds(
    Limits,
    instances=st.sampled_from((None, 3, 1, 0)),
    vcpus=st.sampled_from((None, 4, 2)),
    memory=st.sampled_from((None, 4 * GI)),
    disk=st.sampled_from((None, GI)),
)
selectors = st.sampled_from(
    (None, LabelSelector(), LabelSelector(match_labels={"team": "1"}), LabelSelector(match_labels={"team": "2"}))
)


@dataclass
class Books:
    """What has been said of quotas."""

    labels: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {"team": "1"} for name in NAMESPACES})
    quotas: dict[Key, ComputeQuota] = field(default_factory=dict)

    def covering(self, namespace: str) -> list[tuple[ComputeQuota, set[str]]]:
        """The quotas that are about a namespace, and all namespaces that each is about."""
        found = []
        for quota in self.quotas.values():
            shared = {quota.key.namespace}
            if quota.selector is not None:
                shared = {name for name, labels in self.labels.items() if quota.selector.matches(labels)}
            if namespace in shared:
                found.append((quota, shared))
        return found

    def over(self, charge: Charge, used: list[Charge]) -> bool:
        """Whether a quota has no room for something beside what is used."""
        for quota, shared in self.covering(charge.namespace):
            together = [other for other in used if other.namespace in shared]
            if _exceeds(quota.hard, together, charge):
                return True
            own = [other for other in together if other.user == charge.user]
            if quota.per_user is not None and _exceeds(quota.per_user, own, charge):
                return True
        return False


def _exceeds(limits: Limits, used: list[Charge], charge: Charge) -> bool:
    """Only of what it asks for itself."""
    return any(
        limit is not None and more and sum(other.amount[place] for other in used) + more > limit
        for place, (limit, more) in enumerate(zip(limits, charge.amount, strict=True))
    )


def _unbound(uid: str, key: Key, user: str, group: str) -> Instance:
    return Instance(
        key,
        uid,
        version=0,
        generation=1,
        deleting=False,
        finalizers=(),
        user=user,
        flavor="",
        image=Key("", ""),
        zone="",
        scheduling=replace(NO_SCHEDULING, group=group),
        key_pairs=(),
        node="",
        bound_flavor="",
        want=None,
        allocation=NO_ALLOCATION,
        resize=None,
        resized=None,
        building=False,
        failed=False,
        drift="",
        lost="",
        adopt="",
        cards=1,
        addresses=(),
        conditions=(),
    )


def _second(uid: str) -> str:
    """The key of a migration's other claim."""
    return f"{uid} migrating"


def _amounts(resources: Resources) -> tuple[int, int, int]:
    return resources.vcpus, resources.memory, resources.disk


class CloudMachine(RuleBasedStateMachine):
    """See the top of this file. An Instance waits, is assumed, or is bound."""

    def __init__(self) -> None:
        super().__init__()
        self.cloud = Cloud()
        self.books = Books()
        self.wants: dict[str, Request] = {}
        self.known: dict[str, Instance] = {}
        """As they are written, by uid."""
        self.assumed: dict[str, Placement] = {}
        self.version = 1
        self.cache, self.ledger = self._operator()

    def _operator(self) -> tuple[Cache, Ledger]:
        cache = Cache()
        ledger = Ledger(cache, on_room=lambda: None)
        for name, labels in self.books.labels.items():
            cache.namespaces.store.put(self._namespace(name, labels))
        for quota in self.books.quotas.values():
            cache.quotas.store.put(quota)
        ledger.table.reserves.update(self.cloud.reserves)
        return cache, ledger

    def _next(self) -> int:
        self.version += 1
        return self.version

    def _namespace(self, name: str, labels: dict[str, str]) -> Namespace:
        return Namespace(Key("", name), name, self._next(), tuple(labels.items()))

    def _write(self, instance: Instance) -> None:
        written = replace(instance, version=self._next())
        self.known[instance.uid] = written
        self.cache.instances.store.put(written)

    def _of(self, *, bound: bool) -> list[str]:
        return [uid for uid, instance in self.known.items() if bool(instance.node) == bound and uid not in self.assumed]

    def _some(self, data: st.DataObject, uids: list[str]) -> str:
        return data.draw(st.sampled_from(sorted(uids)))

    # Hosts

    @initialize(odd=st.lists(hosts(trouble=False), max_size=2), kept=reserves())
    def a_cloud_begins(self, odd: list[Host], kept: dict[str, Reserve]) -> None:
        self.reserves_change(kept)
        for name in NAMES:
            self.a_host_is_as_good_as_new(name)
        for host in odd:
            self.a_host_comes_or_changes(host)

    @rule(name=st.sampled_from(NAMES))
    def a_host_is_as_good_as_new(self, name: str) -> None:
        self.a_host_comes_or_changes(replace(PACKED, name=name))

    @rule(host=hosts())
    def a_host_comes_or_changes(self, host: Host) -> None:
        self.ledger.table.put(host)
        self.cloud.put(host)

    @rule(name=st.sampled_from(NAMES))
    def a_host_goes(self, name: str) -> None:
        self.ledger.table.remove(name)
        self.cloud.hosts.pop(name, None)

    @rule(name=st.sampled_from(NAMES), vcpus=st.integers(0, 4))
    def a_host_shrinks(self, name: str, vcpus: int) -> None:
        if name in self.cloud.hosts:
            host = self.cloud.hosts[name]
            self.a_host_comes_or_changes(replace(host, total=replace(host.total, vcpus=vcpus), devices=()))

    @rule(said=reserves())
    def reserves_change(self, said: dict[str, Reserve]) -> None:
        for books in (self.ledger.table.reserves, self.cloud.reserves):
            books.clear()
            books.update(said)

    # Quotas

    @rule(
        name=st.sampled_from(NAMESPACES),
        selector=selectors,
        hard=st.one_of(st.just(Limits()), limits),
        per_user=st.one_of(st.none(), limits),
    )
    def a_quota_changes(self, name: str, selector: LabelSelector | None, hard: Limits, per_user: Limits | None) -> None:
        key = Key(name, "limits")
        quota = ComputeQuota(key, name, self._next(), 1, selector, hard, per_user, ComputeQuotaStatus())
        self.books.quotas[key] = quota
        self.cache.quotas.store.put(quota)

    @rule(name=st.sampled_from(NAMESPACES))
    def a_quota_goes(self, name: str) -> None:
        self.books.quotas.pop(Key(name, "limits"), None)
        self.cache.quotas.store.remove(Key(name, "limits"), self._next())

    @rule(name=st.sampled_from(NAMESPACES), team=st.sampled_from(("1", "2", "3")))
    def a_namespace_is_labelled(self, name: str, team: str) -> None:
        self.books.labels[name] = {"team": team}
        self.cache.namespaces.store.put(self._namespace(name, {"team": team}))

    # Instances

    @rule(
        asked=st.lists(wants, min_size=3, max_size=8),
        namespace=st.sampled_from(NAMESPACES),
        user=st.sampled_from(USERS),
    )
    def instances_are_made(self, asked: list[Request], namespace: str, user: str) -> None:
        for want in asked:
            uid = f"uid-{self._next()}"
            self.wants[uid] = want
            group = Key(*want.group.key.split("/")) if want.group else Key(namespace, "")
            self._write(_unbound(uid, Key(group.namespace, uid), user, group.name))
            self._decide(uid)

    @rule()
    def all_who_wait_are_tried_again(self) -> None:
        for uid in self._of(bound=False):
            self._decide(uid)

    @rule()
    def binds_are_written(self) -> None:
        for uid in list(self.assumed):
            self._bind(uid)

    @precondition(lambda self: self.assumed)
    @rule(data=st.data())
    def a_bind_comes_to_nothing(self, data: st.DataObject) -> None:
        uid = self._some(data, list(self.assumed))
        self.ledger.release(uid)
        del self.assumed[uid], self.cloud.claims[uid]

    @rule(failing=st.sets(st.integers(0, 5)))
    def nodes_have_news(self, failing: set[int]) -> None:
        for place, uid in enumerate(self._of(bound=True)):
            instance, failed = self.known[uid], place in failing
            if failed and instance.building:
                self.cloud.failures[instance.node] += 1
            elif not failed and (instance.building or instance.failed):
                self.cloud.failures.pop(instance.node, None)
            self._write(replace(instance, building=False, failed=failed))
            self.cloud.claim(uid, replace(self.cloud.claims[uid], building=False))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def an_instance_is_gone(self, data: st.DataObject) -> None:
        uid = self._some(data, list(self.known))
        self._give_up_migration(uid)
        self.cache.instances.store.remove(self.known.pop(uid).key, self._next())
        self.assumed.pop(uid, None)
        self.cloud.claims.pop(uid, None)

    # Resizes, on the host they are on

    @precondition(lambda self: self._staying())
    @rule(data=st.data(), other=wants, is_written=st.booleans())
    def an_instance_asks_for_another_size(self, data: st.DataObject, other: Request, is_written: bool) -> None:
        uid = self._some(data, self._staying())
        instance, has = self.known[uid], self.wants[uid]
        want = replace(other, group=has.group, image=has.image)
        more = Amount(*(b - a for a, b in zip(self._charge(uid).amount, self._charge(uid, want).amount, strict=True)))
        growth = Charge(instance.key.namespace, instance.user, more)
        unmet = self.ledger.quotas.exceeded(growth)
        assert (unmet is not None) == self.books.over(growth, self._charges()), unmet
        got = in_place(self.ledger.table, uid, want)
        assert isinstance(got, Allocation) == self._would_fit_in_place(uid, want), got
        if unmet is not None or not isinstance(got, Allocation):
            return
        to = Resize("another", want, got)
        self.ledger.assume_resize(instance, to)
        if is_written:
            self._write(replace(instance, resize=to))
            had = self.cloud.claims[uid]
            both = replace(had, resources=had.resources | want.resources, allocation=had.allocation | got)
            self.cloud.claim(uid, both)
        else:
            self.ledger.follow(instance)

    @precondition(lambda self: self._resizing())
    @rule(data=st.data())
    def a_guest_has_what_was_granted(self, data: st.DataObject) -> None:
        uid = self._some(data, self._resizing())
        instance, resize = self.known[uid], self.known[uid].resize
        assert resize is not None
        self.wants[uid] = resize.want
        self._write(replace(instance, want=resize.want, allocation=resize.allocation, resize=None))
        claim = replace(self.cloud.claims[uid], resources=resize.want.resources, allocation=resize.allocation)
        self.cloud.claim(uid, claim)

    @precondition(lambda self: self._resizing())
    @rule(data=st.data())
    def a_resize_is_called_off(self, data: st.DataObject) -> None:
        uid = self._some(data, self._resizing())
        instance, resize = self.known[uid], self.known[uid].resize
        assert resize is not None
        back = Resize("before", self.wants[uid], instance.allocation)
        self.wants[uid] = resize.want
        self._write(replace(instance, want=resize.want, allocation=resize.allocation, resize=back))

    def _resizing(self) -> list[str]:
        return [uid for uid in self._of(bound=True) if self.known[uid].resize is not None]

    def _staying(self) -> list[str]:
        """Those that are on one host, in one size."""
        return [uid for uid in self._of(bound=True) if uid not in {*self._resizing(), *self._migrating()}]

    def _would_fit_in_place(self, uid: str, want: Request) -> bool:
        """Beside the others, asking for nothing of what does not grow."""
        had = self.cloud.claims[uid]
        host = self.cloud.hosts.get(had.host)
        if host is None:
            return False
        others = replace(self.cloud, claims={key: claim for key, claim in self.cloud.claims.items() if key != uid})
        takes = want.resources
        asked = replace(
            want,
            vcpus=0 if takes.vcpus and takes.vcpus <= had.resources.vcpus else want.vcpus,
            memory=0 if takes.memory and takes.memory <= had.resources.memory else want.memory,
            disk=0 if takes.disk <= had.resources.disk else want.disk,
        )
        rules = [type(filter_).__name__ for filter_ in FILTERS if filter_.in_place]
        packed, _ = reference.packing(others, want, [host])
        return reference.verdict(others, host, asked, rules) is None and bool(packed)

    # Migrations: the other host is claimed under a second key.

    @precondition(lambda self: self._staying())
    @rule(data=st.data())
    def a_migration_begins(self, data: st.DataObject) -> None:
        uid = self._some(data, self._staying())
        source = self.known[uid].node
        dead = source not in self.cloud.hosts or bool(self.cloud.hosts[source].trouble)
        want = replace(self.wants[uid], excluded=self.wants[uid].excluded | {source}, node_name="", evacuated=dead)
        if _second(uid) not in self.cloud.claims and (placement := self._place(want)):
            claim = a_claim(placement.host, want, allocation=placement.allocation)
            self.ledger.table.claim(_second(uid), claim)
            self.cloud.claim(_second(uid), claim)

    @precondition(lambda self: self._migrating())
    @rule(data=st.data())
    def a_migration_ends(self, data: st.DataObject) -> None:
        uid = self._some(data, self._migrating())
        there = self._give_up_migration(uid)
        assert there is not None
        self._write(
            replace(self.known[uid], node=there.host, allocation=there.allocation, building=False, failed=False)
        )
        self.cloud.claim(uid, replace(there, building=False))

    @precondition(lambda self: self._migrating())
    @rule(data=st.data())
    def a_migration_is_given_up(self, data: st.DataObject) -> None:
        self._give_up_migration(self._some(data, self._migrating()))

    def _migrating(self) -> list[str]:
        return [uid for uid in self.known if _second(uid) in self.cloud.claims]

    def _give_up_migration(self, uid: str) -> Claim | None:
        self.ledger.table.release(_second(uid))
        return self.cloud.claims.pop(_second(uid), None)

    # Leaders

    @rule(rng=st.randoms(use_true_random=False), data=st.data())
    def another_operator_leads(self, rng: random.Random, data: st.DataObject) -> None:
        """It knows what is written: of what was assumed, some has been and some never will be."""
        for uid in list(self.assumed):
            if data.draw(st.booleans()):
                self._bind(uid)
            else:
                self.ledger.release(uid)
                del self.assumed[uid], self.cloud.claims[uid]
        before = self.ledger
        self.cache, self.ledger = self._operator()
        news = [
            *[(self.ledger.table.put, (host,)) for host in self.cloud.hosts.values()],
            *[(self.cache.instances.store.put, (instance,)) for instance in self.known.values()],
            *[(self.ledger.table.claim, (_second(uid), self.cloud.claims[_second(uid)])) for uid in self._migrating()],
        ]
        rng.shuffle(news)
        for tell, what in news:
            tell(*what)
        self.cloud.failures.clear()
        self.cloud.fetched = {(claim.image, claim.host) for claim in self.cloud.claims.values() if claim.image}
        for want in (*PROBES[::12], *(self.wants[uid] for uid in self._of(bound=False))):
            assert decide(self.ledger.table, want, FORGETFUL) == decide(before.table, want, FORGETFUL)
        for namespace in NAMESPACES:
            charge = Charge(namespace, USERS[0], Amount(1, 1, GI, GI))
            assert self.ledger.quotas.exceeded(charge) == before.quotas.exceeded(charge)

    # Decisions

    def _decide(self, uid: str) -> None:
        """As the operator does: quota, decision and claim, with nothing in between."""
        instance, want = self.known[uid], self.wants[uid]
        charge = charge_of(instance, want)
        unmet = self.ledger.quotas.exceeded(charge)
        assert (unmet is not None) == self.books.over(charge, self._charges()), unmet
        if unmet is None and (placement := self._place(want)):
            self.ledger.assume(instance, placement, want)
            self.assumed[uid] = placement
            self.cloud.claim(uid, a_claim(placement.host, want, allocation=placement.allocation, building=True))

    def _charges(self) -> list[Charge]:
        """Of all that have a host, once each, with what is granted beside what they have."""
        return [self._charge(uid) for uid in self.known if uid in self.cloud.claims]

    def _charge(self, uid: str, *more: Request) -> Charge:
        instance = self.known[uid]
        wants = [self.wants[uid], *([instance.resize.want] if instance.resize else []), *more]
        amount = Amount(1, *(max(getattr(want, name) for want in wants) for name in ("vcpus", "memory", "disk")))
        return Charge(instance.key.namespace, instance.user, amount)

    def _place(self, want: Request) -> Placement | None:
        """A decision that is right: it has what was promised, and if there is none, there can't be any."""
        decision = decide(self.ledger.table, want)
        expected = reference.decide(self.cloud, want, DEFAULT_POLICY, ORDER)
        if isinstance(decision, Refusal):
            assert isinstance(expected, Refused), f"it would fit on {expected}"
            return None
        assert not isinstance(expected, Refused), f"it does not fit: {expected}"
        assert decision.host in expected.ties
        host = self.cloud.hosts[decision.host]
        assert usable(host)
        assert RULES["KeepsReserve"](self.cloud, host, want)
        self._fits(host, want, decision.allocation)
        return decision

    def _fits(self, host: Host, want: Request, allocation: Allocation) -> None:
        """Nothing is given out that is not there."""
        takes, free = want.resources, self.cloud.free(host.name)
        for more, left in zip(_amounts(takes), _amounts(free), strict=True):
            assert not more or more <= left
        held = self.cloud.taken(host.name)
        pinned = [cpu for cell in allocation.cells for cpu in cell.cpus]
        assert len(pinned) == (want.vcpus if want.dedicated else 0)
        assert set(pinned) <= host.dedicated
        for given in allocation.cells:
            cell = next(cell for cell in host.cells if cell.id == given.cell)
            if given.page_size:
                assert given.memory + held.huge_pages[cell.id, given.page_size] <= cell.huge_pages[given.page_size]
            else:
                assert given.memory + held.memory[cell.id] <= cell.memory
        aliases = Counter(alias for alias, _ in allocation.devices)
        assert aliases == {device.alias: device.count for device in want.devices}
        assert set(allocation.devices) <= {(device.alias, device.address) for device in host.devices}

    def _bind(self, uid: str) -> None:
        placement = self.assumed.pop(uid)
        bound = replace(
            self.known[uid],
            node=placement.host,
            want=self.wants[uid],
            allocation=placement.allocation,
            building=True,
        )
        self._write(bound)

    # What holds at any time

    @invariant()
    def no_claim_is_lost(self) -> None:
        table = self.ledger.table
        assert {key: table.claim_of(key) for key in self.cloud.claims} == self.cloud.claims
        for name in NAMES:
            assert table.claimed(name) == self.cloud.claimed(name)
        for row, host in enumerate(table):
            assert table.instances[row] == len(self.cloud.claims_on(host.name))
            assert table.failures[row] == self.cloud.failures[host.name]

    @invariant()
    def nothing_is_given_out_twice(self) -> None:
        for name in NAMES:
            allocations = [claim.allocation for claim in self.cloud.claims_on(name)]
            cpus = Counter(cpu for each in allocations for cell in each.cells for cpu in (*cell.cpus, *cell.idle_cpus))
            devices = Counter(address for each in allocations for _, address in each.devices)
            assert max([*cpus.values(), *devices.values()], default=0) <= 1

    @invariant()
    def hard_groups_hold(self) -> None:
        for group in GROUPS:
            on = [members for name in NAMES if (members := self.cloud.members(name, group.key))]
            if group.policy == "Affinity":
                assert len(on) <= 1
            if group.policy == "AntiAffinity":
                assert max(on, default=0) <= group.max_per_host

    @invariant()
    def quotas_count_every_instance_once(self) -> None:
        charges = self._charges()
        for namespace in NAMESPACES:
            for quota, shared in self.books.covering(namespace):
                together = [charge.amount for charge in charges if charge.namespace in shared]
                assert self.ledger.quotas.used(quota).total == Amount(*map(sum, zip(Amount(), *together, strict=True)))


CloudMachine.TestCase.settings = examples(200, stateful_step_count=50)
TestCloudMachine = CloudMachine.TestCase
