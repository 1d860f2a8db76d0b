"""The decision: who is chosen, and the sentence when nobody is."""

from __future__ import annotations

import itertools

import pytest

from hypernova_operator.scheduler import Host, Placement, Policy, Refusal, Request, decide, explain
from support.scheduling import GI, a_claim, a_host, a_table, a_want


def chosen(*hosts: Host, want: Request | None = None) -> str:
    placement = decide(a_table(*hosts), want or a_want())
    assert isinstance(placement, Placement)
    return placement.host


def sentence(*hosts: Host, want: Request) -> str:
    refusal = decide(a_table(*hosts), want)
    assert isinstance(refusal, Refusal)
    return explain(refusal)


def test_the_host_with_most_free_memory_is_chosen() -> None:
    assert chosen(a_host("a", memory=8 * GI), a_host("b", memory=32 * GI), a_host("c", memory=16 * GI)) == "b"


def test_a_negative_multiplier_stacks_instead_of_spreading() -> None:
    table = a_table(a_host("a", memory=8 * GI), a_host("b", memory=32 * GI), a_host("c", memory=16 * GI))
    placement = decide(table, a_want(), Policy(strategy="Stack"))
    assert isinstance(placement, Placement)
    assert placement.host == "a"


def test_what_is_claimed_is_not_free() -> None:
    table = a_table(a_host("a", memory=32 * GI), a_host("b", memory=16 * GI))
    table.claim("uid", a_claim("a", a_want(memory=20 * GI)))
    placement = decide(table, a_want())
    assert placement == Placement("b", considered=2, passed=2, weight=1.0)


@pytest.mark.parametrize("order", list(itertools.permutations(["node-a", "node-b", "node-c"])), ids="-".join)
def test_among_equals_the_first_by_name_is_chosen_whatever_order_they_came_in(order: tuple[str, ...]) -> None:
    assert chosen(*map(a_host, order)) == "node-a"


def test_a_host_that_left_is_not_chosen_and_one_that_took_its_row_may_be() -> None:
    table = a_table(a_host("a"))
    table.remove("a")
    assert isinstance(decide(table, a_want()), Refusal)
    table.put(a_host("b"))
    assert decide(table, a_want()) == Placement("b", considered=1, passed=1, weight=0.0)


def test_the_weight_says_how_the_best_compares() -> None:
    assert decide(a_table(a_host("a"), a_host("b", memory=GI)), a_want()) == Placement("a", 2, 2, 1.0)


def test_amounts_beyond_all_hosts_are_refused_not_overflown() -> None:
    huge = a_want(memory=10**30)
    assert sentence(a_host(memory=10**30), want=huge).startswith("0/1 hosts fit: 1 lacks memory")


SENTENCES = {
    "there are no hosts: label a node with compute.hypernova.dev/hypervisor=true and run the node agent on it": [],
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
    refusal = decide(a_table(hopeless), a_want())
    assert isinstance(refusal, Refusal)
    assert [(verdict.filter, verdict.hosts) for verdict in refusal.verdicts] == [("NodeLabelled", 1)]
