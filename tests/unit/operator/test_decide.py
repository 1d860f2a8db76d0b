"""The decision: who is chosen, what is told of it, and the sentence when nobody is."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from hypernova_operator.scheduler import (
    AllocatedCell,
    Allocation,
    Claim,
    Host,
    HostTable,
    Placement,
    Policy,
    Refusal,
    Request,
    Verdict,
    decide,
    drift,
    explain,
)
from hypernova_operator.scheduler.weights import WEIGHTS
from support.scheduling import GI, a_cell, a_claim, a_host, a_table, a_want

STACK = Policy(strategy="Stack")


def placed(table: HostTable, want: Request | None = None, *more: Any) -> Placement:
    placement = decide(table, want or a_want(), *more)
    assert isinstance(placement, Placement)
    return placement


def refused(table: HostTable, want: Request) -> Refusal:
    refusal = decide(table, want)
    assert isinstance(refusal, Refusal)
    return refusal


def chosen(*hosts: Host, want: Request | None = None) -> str:
    return placed(a_table(*hosts), want).host


def sentence(*hosts: Host, want: Request) -> str:
    return explain(refused(a_table(*hosts), want))


def three() -> HostTable:
    return a_table(a_host("a", memory=8 * GI), a_host("b", memory=32 * GI), a_host("c", memory=16 * GI))


def pinned_host(name: str, *, threads: int = 1, **fields: Any) -> Host:
    """A host of one cell with 4 CPUs, all set apart, so many to a core."""
    cores = [tuple(range(first, first + threads)) for first in range(0, 4, threads)]
    return a_host(name, cells=(a_cell(0, *cores),), dedicated=frozenset(range(4)), **fields)


def pinned(vcpus: int, **fields: Any) -> Request:
    return a_want(vcpus, dedicated=True, **fields)


# Who is chosen


def test_the_host_with_most_free_memory_is_chosen() -> None:
    assert placed(three()).host == "b"


def test_to_stack_the_host_with_the_least_is_chosen() -> None:
    assert placed(three(), None, STACK).host == "a"


def test_a_host_that_does_not_pass_is_not_chosen_however_it_weighs() -> None:
    assert placed(three(), a_want(memory=10 * GI), STACK).host == "c"
    assert chosen(a_host("a", memory=64 * GI, maintenance=True), a_host("b")) == "b"


def test_what_is_claimed_is_not_free() -> None:
    table = a_table(a_host("a", memory=32 * GI), a_host("b", memory=16 * GI))
    table.claim("uid", a_claim("a", a_want(memory=20 * GI)))
    assert placed(table).host == "b"


@pytest.mark.parametrize("order", list(itertools.permutations(["node-a", "node-b", "node-c"])), ids="-".join)
def test_among_equals_the_first_by_name_is_chosen_whatever_order_they_came_in(order: tuple[str, ...]) -> None:
    placement = placed(a_table(*map(a_host, order)))
    assert [candidate.host for candidate in placement.candidates] == ["node-a", "node-b", "node-c"]


@pytest.mark.parametrize("order", list(itertools.permutations(["node-b", "node-c", "node-d"])), ids="-".join)
def test_among_equals_that_passed_the_first_by_name_is_chosen(order: tuple[str, ...]) -> None:
    assert chosen(a_host("node-a", maintenance=True), *map(a_host, order)) == "node-b"


def test_a_host_that_left_is_not_chosen_and_one_that_took_its_row_may_be() -> None:
    table = a_table(a_host("a"))
    table.remove("a")
    assert isinstance(decide(table, a_want()), Refusal)
    table.put(a_host("b"))
    assert placed(table) == Placement("b", considered=1, passed=1, candidates=())


def test_to_decide_claims_nothing() -> None:
    table = three()
    assert placed(table) == placed(table)


# Chance


def test_one_is_chosen_by_chance_of_the_best_few_where_the_policy_says_so() -> None:
    table = a_table(*(a_host(name, memory=memory * GI) for name, memory in zip("abcde", range(8, 40, 8), strict=False)))
    rng = random.Random(4)
    times = Counter(placed(table, None, Policy(choose_among=2), rng).host for _ in range(400))
    assert {*times} == {"c", "d"}
    assert min(times.values()) > 100


def test_the_same_chance_chooses_the_same() -> None:
    table = a_table(*(a_host(f"node-{number}") for number in range(9)))
    hosts = [
        [placed(table, None, Policy(choose_among=9), random.Random(seed)).host for seed in range(20)] for _ in "ab"
    ]
    assert hosts[0] == hosts[1]
    assert len({*hosts[0]}) > 1


def test_to_choose_among_more_than_passed_chooses_among_those_that_did() -> None:
    table = a_table(a_host("a"), a_host("b"), a_host("c", maintenance=True))
    hosts = {placed(table, None, Policy(choose_among=50), random.Random(seed)).host for seed in range(20)}
    assert hosts == {"a", "b"}


def test_without_chance_nobody_is_asked() -> None:
    class Never(random.Random):
        def getrandbits(self, k: int) -> int:
            raise AssertionError("asked")

    assert placed(three(), None, Policy(), Never()).host == "b"


def test_chance_chooses_what_is_packed_too_of_those_that_can_be() -> None:
    hosts = [pinned_host(f"whole-{number}", threads=2) for number in range(2)]
    table = a_table(*hosts, pinned_host("apart"), pinned_host("worse", memory=GI, threads=2))
    want, policy = pinned(2, threads="Require"), Policy(choose_among=3)
    times = Counter(placed(table, want, policy, random.Random(seed)).host for seed in range(40))
    assert {*times} == {"whole-0", "whole-1"}


def test_all_hosts_are_tried_until_one_can_be_packed() -> None:
    table = a_table(*(pinned_host(f"node-{number}", memory=(64 - number) * GI) for number in range(20)))
    table.put(pinned_host("last", memory=GI, threads=2))
    assert placed(table, pinned(2, threads="Require")).host == "last"


# What is told


def test_the_chosen_host_is_told_first_then_the_best_of_the_others() -> None:
    table = a_table(*(a_host(name, memory=memory * GI) for name, memory in zip("abcd", (8, 32, 16, 64), strict=True)))
    assert [candidate.host for candidate in placed(table).candidates] == ["d", "b", "c"]
    chances = [placed(table, None, Policy(choose_among=4), random.Random(seed)).candidates for seed in range(30)]
    told = {tuple(candidate.host for candidate in candidates) for candidates in chances}
    assert told == {("d", "b", "c"), ("b", "d", "c"), ("c", "d", "b"), ("a", "d", "b")}


def test_no_more_is_told_than_passed() -> None:
    placement = placed(three(), a_want(memory=10 * GI), STACK)
    assert (placement.considered, placement.passed) == (3, 2)
    assert [candidate.host for candidate in placement.candidates] == ["c", "b"]


def test_a_candidates_parts_add_up_to_its_weight() -> None:
    table = a_table(
        a_host("a", memory=8 * GI, qemu_version=8_002_000, zones=("az1",)),
        a_host("b", memory=32 * GI, vcpus=8, zones=("az1",)),
        a_host("c", disk=0, zones=("az2",), multipliers={"builds": -3.0}),
        a_host("d", maintenance=True, memory=640 * GI),
    )
    table.claim("1", a_claim("c", a_want(image="debian", memory=GI), building=True))
    table.failed("b")
    candidates = placed(table, a_want(image="debian")).candidates
    assert [candidate.host for candidate in candidates] == ["a", "c", "b"]
    names = {weight.name for weight in WEIGHTS}
    for candidate in candidates:
        assert sum(candidate.parts.values()) == pytest.approx(candidate.weight)
        assert {*candidate.parts} < names
    given = {candidate.host: candidate.parts for candidate in candidates}
    assert given["a"]["hypervisorVersion"] == pytest.approx(1)
    assert given["c"]["builds"] == -3
    assert given["b"]["buildFailures"] == -1_000_000
    assert [candidate.weight for candidate in candidates] == sorted((c.weight for c in candidates), reverse=True)


# Packing


def test_what_is_packed_is_part_of_the_placement() -> None:
    placement = placed(a_table(pinned_host("a")), pinned(2))
    assert placement.allocation == Allocation((AllocatedCell(0, (0, 1), (0, 1), GI),))


def test_who_needs_no_packing_gets_none() -> None:
    assert not placed(a_table(pinned_host("a"))).allocation


def test_when_the_best_cannot_be_packed_the_next_best_is_chosen() -> None:
    table = a_table(
        pinned_host("best", memory=64 * GI),
        pinned_host("second", memory=32 * GI, threads=2),
        pinned_host("third", memory=16 * GI, threads=2),
    )
    placement = placed(table, pinned(2, threads="Require"))
    assert placement.passed == 3
    assert [candidate.host for candidate in placement.candidates] == ["second", "third"]
    assert placement.allocation == Allocation((AllocatedCell(0, (0, 1), (0, 1), GI),))


def test_what_cannot_be_packed_is_known_until_the_host_changes() -> None:
    table, want = a_table(pinned_host("a")), pinned(2, threads="Require")
    assert isinstance(decide(table, want), Refusal)
    assert want.packing in table.misfits("a")
    assert isinstance(decide(table, want), Refusal)
    table.put(pinned_host("a", threads=2))
    assert placed(table, want).host == "a"


def test_what_cannot_be_packed_is_tried_again_when_something_is_given_back() -> None:
    table, want = a_table(pinned_host("a", threads=2)), pinned(2, threads="Require")
    for cpu in (0, 2):
        held = Allocation((AllocatedCell(0, (0,), (cpu,), GI),))
        table.claim(f"on {cpu}", a_claim("a", pinned(1), allocation=held))
    assert isinstance(decide(table, want), Refusal)
    table.release("on 2")
    assert placed(table, want).allocation.cells[0].cpus == (2, 3)


def test_what_is_packed_and_claimed_nobody_else_gets() -> None:
    table, want, got = a_table(pinned_host("a"), pinned_host("b")), pinned(2), []
    for number in range(4):
        placement = placed(table, want)
        table.claim(str(number), Claim(placement.host, want.resources, allocation=placement.allocation))
        got += [(placement.host, cpu) for cell in placement.allocation.cells for cpu in cell.cpus]
    assert sorted(got) == [(host, cpu) for host in "ab" for cpu in range(4)]
    assert refused(table, want).verdicts == (
        Verdict("EnoughDedicatedCpus", 2, "lack dedicated CPUs (need 2, most free 0)"),
    )


def test_hosts_that_have_enough_but_not_together_are_told_after_the_filters() -> None:
    apart = a_host("apart", cells=(a_cell(0, (0,), (1,)), a_cell(1, (2,), (3,))), dedicated=frozenset(range(4)))
    table = a_table(apart, replace(apart, name="too"), pinned_host("resting", maintenance=True), a_host("plain"))
    refusal = refused(table, pinned(4))
    assert refusal.verdicts == (
        Verdict("NotInMaintenance", 1, "in maintenance"),
        Verdict("EnoughDedicatedCpus", 1, refusal.verdicts[1].reason),
        Verdict("Packing", 2, "can't fit 4 dedicated CPUs and 1Gi in one NUMA cell"),
    )
    assert explain(refusal).startswith("0/4 hosts fit: 2 can't fit 4 dedicated CPUs and 1Gi in one NUMA cell, 1 ")


# Drift


def test_an_instance_has_drifted_when_what_is_asked_for_good_holds_no_more() -> None:
    table = a_table(a_host("a", zones=("az1",)), a_host("b", zones=("az2",)))
    want = a_want(zone="az1", node_selector=(("disk", "ssd"),))
    assert len(drift(table, want, row=0)) == 1
    assert drift(table, replace(want, node_selector=()), row=0) == []
    reasons = drift(table, want, row=1)
    assert "not in zone az1" in reasons
    assert len(reasons) == 2


def test_a_host_that_would_take_no_more_is_no_drift_of_those_it_has() -> None:
    full = a_host("a", vcpus=0, memory=0, disk=0, maintenance=True, disabled="fan", trouble="no heartbeat")
    assert drift(a_table(full), a_want(disk=GI), row=0) == []


# Why not


def test_amounts_beyond_all_hosts_are_refused_not_overflown() -> None:
    huge = a_want(memory=10**30)
    assert sentence(a_host(memory=10**30), want=huge).startswith("0/1 hosts fit: 1 lacks memory")


SENTENCES = {
    "there are no hosts: label each node that has KVM and libvirt, `kubectl label node NODE "
    "compute.hypernova.dev/hypervisor=true`, and see that a node agent runs there": [],
    "0/12 hosts fit: 7 lack memory (need 8Gi, most free 6Gi), 3 in maintenance, 2 disabled (kernel upgrade)": [
        *(a_host(f"full-{i}", memory=i * GI) for i in range(7)),
        *(a_host(f"maintained-{i}", maintenance=True) for i in range(3)),
        *(a_host(f"disabled-{i}", disabled="kernel upgrade") for i in range(2)),
    ],
    "0/2 hosts fit: 1 lacks vCPUs (need 1, most free 0), 1 lacks disk (need 10Gi, most free 512Mi)": [
        a_host("a", vcpus=0),
        a_host("b", disk=GI // 2),
    ],
    "0/2 hosts fit: 2 without a working agent (never registered: b; no heartbeat: a)": [
        a_host("a", trouble="no heartbeat"),
        a_host("b", trouble="never registered"),
    ],
    "0/1 hosts fit: 1 without the node label compute.hypernova.dev/hypervisor=true": [a_host("a", labelled=False)],
    "0/1 hosts fit: 1 lacks memory (need 8Gi, most free 7.99Gi)": [a_host("a", memory=8 * GI - 1)],
}


@pytest.mark.parametrize(("hosts", "golden"), [(hosts, text) for text, hosts in SENTENCES.items()], ids=list(SENTENCES))
def test_why_not_is_a_sentence_with_numbers(hosts: list[Host], golden: str) -> None:
    assert sentence(*hosts, want=a_want(memory=8 * GI, disk=10 * GI)) == golden


def test_a_host_is_counted_once_at_the_first_filter_it_fails() -> None:
    hopeless = a_host("a", labelled=False, trouble="no heartbeat", disabled="fan", maintenance=True, vcpus=0, memory=0)
    verdicts = refused(a_table(hopeless), a_want()).verdicts
    assert [(verdict.filter, verdict.hosts) for verdict in verdicts] == [("NodeLabelled", 1)]
