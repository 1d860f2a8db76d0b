"""The host table says what was told to it, whatever comes, changes, moves and goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hypernova_operator.scheduler import (
    Aggregate,
    AllocatedCell,
    Allocation,
    Cell,
    Claim,
    Device,
    Host,
    HostTable,
    Refusal,
    Resources,
    decide,
)
from hypernova_operator.scheduler import table as table_module
from support.clouds import ALIASES, GROUPS, IMAGES, NAMES, PAGE_SIZES, claims, examples, hosts
from support.reference import Cloud
from support.scheduling import GI, a_claim, a_host, a_table, a_want

KEYS = st.sampled_from(("1", "2", "3", "4", "1 arriving"))


def test_claiming_again_changes_nothing() -> None:
    table = a_table(a_host("a", vcpus=4))
    for _ in range(2):
        table.claim("uid", a_claim("a"))
    assert table.claimed("a") == a_want().resources
    assert table.instances.tolist() == [1]


def test_claiming_elsewhere_moves_the_claim() -> None:
    table = a_table(a_host("a"), a_host("b"))
    table.claim("uid", a_claim("a"))
    table.claim("uid", a_claim("b"))
    assert table.claim_of("uid") == a_claim("b")
    assert table.claimed("a") == Resources()
    assert table.instances.tolist() == [0, 1]


def test_a_migration_claims_both_hosts_until_one_is_given_back() -> None:
    table = a_table(a_host("a"), a_host("b"))
    table.claim("uid", a_claim("a"))
    table.claim("uid migrating", a_claim("b"))
    assert table.instances.tolist() == [1, 1]
    table.release("uid")
    assert table.instances.tolist() == [0, 1]


def test_releasing_again_changes_nothing() -> None:
    table = a_table(a_host("a"))
    table.claim("uid", a_claim("a"))
    assert table.release("uid")
    assert not table.release("uid")
    assert table.claimed("a") == Resources()


def test_a_claim_may_come_before_its_host() -> None:
    table = HostTable()
    table.claim("uid", a_claim("a"))
    table.put(a_host("a", vcpus=1))
    assert isinstance(decide(table, a_want()), Refusal)


def test_claims_outlive_their_host() -> None:
    table = a_table(a_host("a", vcpus=1))
    table.claim("uid", a_claim("a"))
    table.remove("a")
    table.put(a_host("a", vcpus=1))
    assert isinstance(decide(table, a_want()), Refusal)


def test_claims_of_nothing_can_be_released_in_any_order() -> None:
    table = a_table(a_host("a"))
    for uid in ("1", "2"):
        table.claim(uid, Claim("a", Resources()))
    assert table.release("1")
    assert table.release("2")


def test_what_allocations_hold_is_free_again_when_they_go() -> None:
    cell = Cell(0, ((0, 1),), memory=GI, huge_pages={GI: 2 * GI})
    host = a_host("a", cells=(cell,), dedicated=frozenset({0, 1}), devices=(Device("gpu", "0000:00:00.0", 0),))
    table = a_table(host)
    held = Allocation((AllocatedCell(0, (0,), (0,), GI, GI, idle_cpus=(1,)),), (("gpu", "0000:00:00.0"),))
    table.claim("uid", a_claim("a", allocation=held))
    assert (table.dedicated_free[0], table.devices_free("gpu")[0], table.huge_pages_free(GI)[0]) == (0, 0, GI)
    table.claim("uid", a_claim("a"))
    assert (table.dedicated_free[0], table.devices_free("gpu")[0], table.huge_pages_free(GI)[0]) == (2, 1, 2 * GI)


def test_what_is_known_not_to_fit_is_forgotten_when_the_host_or_what_is_taken_of_it_changes() -> None:
    held = Allocation(devices=(("gpu", "0000:00:00.0"),))
    table = a_table(a_host("a"))
    changes: list[Callable[[], object]] = [
        lambda: table.put(a_host("a")),
        lambda: table.claim("uid", a_claim("a", allocation=held)),
        lambda: table.claim("uid", a_claim("b", allocation=held)),
        lambda: table.claim("uid", a_claim("a", allocation=held)),
        lambda: table.release("uid"),
    ]
    for change in changes:
        table.misfits("a")["something"] = "is too large"
        change()
        assert not table.misfits("a")


class HasRack(NamedTuple):
    """True of a rack's hosts."""

    key: str
    value: str

    def __call__(self, host: Host) -> bool:
        return host.labels.get(self.key) == self.value


class HasNoRack(HasRack):
    """True of all others; equal to the former, as tuples are."""

    def __call__(self, host: Host) -> bool:
        return not super().__call__(host)


def test_predicates_that_are_equal_as_tuples_are_told_apart() -> None:
    table = a_table(a_host("a", labels={"devices": "gpu"}), a_host("b"))
    assert table.devices_free("gpu").tolist() == [0, 0]
    assert table.where(HasRack("devices", "gpu")).tolist() == [True, False]
    assert table.where(HasNoRack("devices", "gpu")).tolist() == [False, True]


def test_a_predicate_is_asked_once_a_host_until_the_host_changes() -> None:
    asked: Counter[str] = Counter()

    def predicate(host: Host) -> bool:
        asked[host.name] += 1
        return not host.maintenance

    table = a_table(a_host("a"), a_host("b"))
    for _ in range(3):
        assert table.where(predicate).tolist() == [True, True]
    table.put(a_host("b", maintenance=True))
    table.claim("uid", a_claim("a"))
    assert table.where(predicate).tolist() == [True, False]
    assert asked == {"a": 1, "b": 2}


def test_a_predicate_that_fails_is_asked_again() -> None:
    fails = [True]

    def predicate(_host: Host) -> bool:
        if fails:
            raise ZeroDivisionError
        return True

    table = a_table(a_host("a"))
    with pytest.raises(ZeroDivisionError):
        table.where(predicate)
    fails.clear()
    assert table.where(predicate).tolist() == [True]


def test_the_longest_unused_column_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "_KEPT_COLUMNS", 2)
    asked: Counter[HasRack] = Counter()

    class Asked(HasRack):
        def __call__(self, host: Host) -> bool:
            asked[self] += 1
            return super().__call__(host)

    first, second, third = (Asked("rack", value) for value in "123")
    table = a_table(a_host("a", labels={"rack": "1"}))
    for predicate in (first, second, first, third, first, second):
        assert table.where(predicate).tolist() == [predicate.value == "1"]
    assert asked == {first: 1, second: 2, third: 1}


def test_nonsense_of_a_host_overflows_nothing() -> None:
    cell = Cell(0, ((0,),), memory=GI, huge_pages={GI: 10**30})
    fields = {"qemu_version": 10**30, "max_instances": 10**30, "max_builds": 10**30, "cells": (cell,)}
    table = a_table(a_host("a", vcpus=10**30, memory=10**30, disk=10**30, **fields))
    table.claim("uid", a_claim("a", a_want(memory=10**40)))
    assert table.huge_pages_free(GI)[0] > 0
    assert table.qemu_version[0] > 0
    assert table.memory_free[0] < 0


def in_fast_aggregates(aggregates: tuple[Aggregate, ...]) -> bool:
    """Something about what a host is in."""
    return any("10" in aggregate.metadata.get("speed", ()) for aggregate in aggregates)


class Books(RuleBasedStateMachine):
    """The table beside a cloud that keeps nothing but what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.table = HostTable()
        self.cloud = Cloud()
        self.racks = [HasRack("rack", "1"), HasNoRack("rack", "1")]

    @rule(host=hosts())
    def host_comes_or_changes(self, host: Host) -> None:
        self.table.put(host)
        self.cloud.hosts[host.name] = host

    @rule(name=st.sampled_from(NAMES))
    def its_aggregates_are_read_anew(self, name: str) -> None:
        """Equal to what they were, and not the same objects."""
        if host := self.cloud.hosts.get(name):
            self.host_comes_or_changes(
                replace(host, aggregates=tuple(replace(aggregate) for aggregate in host.aggregates))
            )

    @rule(name=st.sampled_from(NAMES))
    def host_goes(self, name: str) -> None:
        self.table.remove(name)
        self.cloud.hosts.pop(name, None)

    @rule(number=st.integers(17, 40))
    def many_hosts_come_and_go(self, number: int) -> None:
        names = [f"other-{other}" for other in range(number)]
        for name in names:
            self.table.put(a_host(name, labels={"rack": "1"}))
        for name in names:
            self.table.remove(name)

    @rule(key=KEYS, claim=claims())
    def claim(self, key: str, claim: Claim) -> None:
        self.table.claim(key, claim)
        self.cloud.claim(key, claim)

    @rule(key=KEYS)
    def a_build_ends(self, key: str) -> None:
        if key in self.cloud.claims:
            self.claim(key, replace(self.cloud.claims[key], building=False))

    @rule(key=KEYS)
    def release(self, key: str) -> None:
        assert self.table.release(key) == (self.cloud.claims.pop(key, None) is not None)

    @rule(name=st.sampled_from(NAMES))
    def a_build_fails(self, name: str) -> None:
        self.table.failed(name)
        self.cloud.failures[name] = self.cloud.failures.get(name, 0) + 1

    @rule(name=st.sampled_from(NAMES))
    def a_build_succeeds(self, name: str) -> None:
        self.table.succeeded(name)
        self.cloud.failures.pop(name, None)

    @rule(kept=st.integers(1, 4))
    def columns_are_scarce(self, kept: int) -> None:
        """Requests of other kinds push columns out."""
        for number in range(table_module._KEPT_COLUMNS - kept):
            self.table.where(HasRack("other", str(number)))

    @invariant()
    def every_host_has_its_row(self) -> None:
        assert {host.name: host for host in self.table} == self.cloud.hosts
        assert len(self.table) == len(self.cloud.hosts)
        names = [host.name for host in self.table]
        assert [self.table.row(name) for name in names] == list(range(len(names)))
        assert [names[row] for row in self.table.rank.argsort()] == sorted(names)

    @invariant()
    def every_row_says_what_its_host_is(self) -> None:
        table = self.table
        number_of = table.zones
        for row, host in enumerate(table):
            said = {
                "labelled": host.labelled,
                "alive": not host.trouble,
                "enabled": not host.disabled,
                "maintenance": host.maintenance,
                "settled": len(host.zones) < 2 and len(host.cpu_models) < 2,
                "vcpus_total": host.total.vcpus,
                "memory_total": host.total.memory,
                "disk_total": host.total.disk,
                "devices": len(host.devices),
                "instances_limit": host.max_instances,
                "builds_limit": host.max_builds,
                "qemu_version": host.qemu_version,
                "zone": number_of[host.zones[0] if len(host.zones) == 1 else ""],
            }
            assert {name: getattr(table, name)[row] for name in said} == said
            assert [bool(table.where(rack)[row]) for rack in self.racks] == [rack(host) for rack in self.racks]
            assert table.where_aggregates(in_fast_aggregates)[row] == in_fast_aggregates(host.aggregates)
            assert table.aggregates_of(np.arange(len(table)) == row) == [host.aggregates]
            multipliers = table.multipliers("freeMemory", 7.0)
            of_row = multipliers if isinstance(multipliers, float) else multipliers[row]
            assert of_row == host.multipliers.get("freeMemory", 7.0)

    @invariant()
    def every_row_says_what_is_claimed(self) -> None:
        table, cloud = self.table, self.cloud
        for row, host in enumerate(table):
            on = cloud.claims_on(host.name)
            free = cloud.free(host.name)
            said = {
                "vcpus_free": free.vcpus,
                "memory_free": free.memory,
                "disk_free": free.disk,
                "dedicated_free": cloud.dedicated_free(host.name),
                "instances": len(on),
                "builds": len([claim for claim in on if claim.building]),
                "failures": cloud.failures.get(host.name, 0),
            }
            assert {name: getattr(table, name)[row] for name in said} == said
            for alias in ALIASES:
                assert table.devices_free(alias)[row] == cloud.devices_free(host.name, alias)
            for size in PAGE_SIZES:
                assert table.huge_pages_free(size)[row] == cloud.huge_pages_free(host.name, size)
            for image in IMAGES:
                assert table.cached(image)[row] == ((image, host.name) in cloud.fetched)

    @invariant()
    def the_books_hold_what_is_claimed_of_hosts_that_are_not_there_too(self) -> None:
        for name in NAMES:
            assert self.table.claimed(name) == self.cloud.claimed(name)
            assert self.table.taken(name) == self.cloud.taken(name)
        for group in GROUPS:
            members = {name: count for name in NAMES if (count := self.cloud.members(name, group.key))}
            assert dict(self.table.members(group.key)) == members
        assert {key: self.table.claim_of(key) for key in self.cloud.claims} == self.cloud.claims


Books.TestCase.settings = examples(60, stateful_step_count=25)
TestBooks = Books.TestCase
