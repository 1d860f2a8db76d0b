"""What arrays decide is what plain Python decides, one host at a time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_operator.scheduler import (
    NO_ALLOCATION,
    Claim,
    Host,
    HostTable,
    Placement,
    Policy,
    Refusal,
    Request,
    Reserve,
    decide,
    drift,
    explain,
)
from hypernova_operator.scheduler.decide import PACKING, verdicts
from hypernova_operator.scheduler.filters import FILTERS
from hypernova_operator.scheduler.fit import fit
from hypernova_operator.scheduler.headroom import InAggregate, InZone, headroom
from hypernova_operator.scheduler.weights import WEIGHTS
from support import reference
from support.clouds import NAMES, PROBES, claims, crowd, examples, hosts, policies, requests, reserves
from support.reference import LASTING, RULES, TIE, WISHES, Chosen, Cloud, Refused, survives

ORDER = [type(filter_).__name__ for filter_ in FILTERS]


def test_every_filter_has_its_rule() -> None:
    assert sorted(RULES) == sorted(ORDER)


def test_every_weight_has_its_wish() -> None:
    assert sorted(WISHES) == sorted(weight.name for weight in WEIGHTS)


def test_what_an_instance_is_shown_to_break_are_the_lasting_rules() -> None:
    assert sorted(LASTING) == sorted(type(filter_).__name__ for filter_ in FILTERS if filter_.lasting)


@dataclass(frozen=True)
class History:
    """How a cloud came to be: hosts came, some went and came back changed; claims came, some went."""

    hosts: list[Host]
    claims: list[tuple[str, Claim]]
    gone: list[str]
    back: list[Host]
    released: list[str]
    failures: list[str]
    reserves: dict[str, Reserve]


_keys = st.sampled_from([str(number) for number in range(10)])
_names = st.lists(st.sampled_from(NAMES), max_size=2)
histories = st.builds(
    History,
    hosts=st.lists(hosts(), min_size=2, max_size=6),
    claims=st.lists(st.tuples(_keys, claims()), min_size=3, max_size=8),
    gone=_names,
    back=st.lists(hosts(), max_size=1),
    released=st.lists(_keys, max_size=3),
    failures=_names,
    reserves=reserves(),
)


def lived(history: History) -> tuple[HostTable, Cloud]:
    """The table and the plain cloud that it leads to."""
    table, cloud = HostTable(), Cloud()
    for host in history.hosts:
        table.put(host)
        cloud.put(host)
    for key, claim in history.claims:
        table.claim(key, claim)
        cloud.claim(key, claim)
    for name in history.gone:
        table.remove(name)
        cloud.hosts.pop(name, None)
    for host in history.back:
        table.put(host)
        cloud.put(host)
    for key in history.released:
        table.release(key)
        cloud.claims.pop(key, None)
    for name in history.failures:
        table.failed(name)
        cloud.failures[name] += 1
    table.reserves.update(history.reserves)
    cloud.reserves.update(history.reserves)
    return table, cloud


def test_both_decide_alike_where_every_filter_and_every_weight_has_a_say() -> None:
    present, held = crowd()
    reserve = {"HostAggregate all may fail": Reserve(99, lambda host: host.name.endswith("5"))}
    names = [host.name for host in present[::5]]
    table, cloud = lived(History(present, list(held.items()), [], [], [], names, reserve))
    policy = Policy(multipliers={"instances": 1.0})
    ruled_out: Counter[str] = Counter()
    had_a_say: Counter[str] = Counter()
    for want in PROBES:
        expected = reference.decide(cloud, want, policy, ORDER)
        assert_alike(decide(table, want, policy), expected, table, cloud, want)
        ruled_out.update(dict(expected.counts))
        ruled_out[PACKING] += expected.misfits.total()
        if isinstance(expected, Chosen):
            had_a_say.update(name for parts in expected.parts.values() for name, part in parts.items() if part)
    assert {name for name, hosts in ruled_out.items() if hosts} == {*ORDER, PACKING}
    assert set(had_a_say) == set(WISHES)


@examples(120)
@given(histories, policies())
def test_both_decide_alike_whatever_one_thing_is_asked_for(history: History, policy: Policy) -> None:
    table, cloud = lived(history)
    for want in PROBES:
        assert_alike(decide(table, want, policy), reference.decide(cloud, want, policy, ORDER), table, cloud, want)


@examples(200)
@given(histories, st.lists(st.one_of(st.sampled_from(PROBES), requests()), min_size=1, max_size=8), policies())
def test_both_decide_alike_one_after_the_other(history: History, wants: list[Request], policy: Policy) -> None:
    table, cloud = lived(history)
    for number, want in enumerate(wants):
        decision = decide(table, want, policy)
        assert_alike(decision, reference.decide(cloud, want, policy, ORDER), table, cloud, want)
        if isinstance(decision, Refusal):
            continue
        claim = Claim(
            decision.host, want.resources, want.group.key if want.group else "", want.image, decision.allocation, True
        )
        table.claim(f"placed {number}", claim)
        cloud.claim(f"placed {number}", claim)


def assert_alike(
    decision: Placement | Refusal, expected: Chosen | Refused, table: HostTable, cloud: Cloud, want: Request
) -> None:
    if isinstance(expected, Refused):
        refused_alike(decision, expected, cloud)
    else:
        chosen_alike(decision, expected, cloud, want)
        assert tuple((verdict.filter, verdict.hosts) for verdict in verdicts(table, want)) == expected.counts


def refused_alike(decision: Placement | Refusal, expected: Refused, cloud: Cloud) -> None:
    """As many hosts, for the same reasons in the same order."""
    assert isinstance(decision, Refusal), decision
    counts = tuple((verdict.filter, verdict.hosts) for verdict in decision.verdicts if verdict.filter != PACKING)
    misfits = {verdict.reason: verdict.hosts for verdict in decision.verdicts if verdict.filter == PACKING}
    assert counts == expected.counts
    assert misfits == expected.misfits
    assert decision.considered == len(cloud.hosts) == sum(verdict.hosts for verdict in decision.verdicts)
    assert explain(decision)


def chosen_alike(decision: Placement | Refusal, expected: Chosen, cloud: Cloud, want: Request) -> None:
    """The same host for the same reasons, and what it gets there is what can be had there."""
    assert isinstance(decision, Placement), decision
    assert decision.host in expected.ties
    assert (decision.considered, decision.passed) == (len(cloud.hosts), len(expected.passed))
    assert decision.candidates[0].host == decision.host
    for candidate in decision.candidates:
        parts = {name: part for name, part in expected.parts[candidate.host].items() if part}
        assert {name: part for name, part in candidate.parts.items() if part} == pytest.approx(parts)
        assert candidate.weight == pytest.approx(sum(parts.values()), abs=1e-6)
    others = [candidate.weight for candidate in decision.candidates[1:]]
    if want.packed:
        # Those that are better than the chosen one could not be packed; of those that are not, nobody knows.
        assert others == sorted(others, reverse=True)
        assert max(others, default=decision.candidates[0].weight) <= decision.candidates[0].weight + TIE
    else:
        rest = [sum(parts.values()) for name, parts in expected.parts.items() if name != decision.host]
        assert others == pytest.approx(sorted(rest, reverse=True)[:2], abs=1e-6)
    host = cloud.hosts[decision.host]
    assert decision.allocation == (fit(host, cloud.taken(host.name), want) if want.packed else NO_ALLOCATION)


@examples(30)
@given(histories)
def test_both_see_the_same_drift(history: History) -> None:
    table, cloud = lived(history)
    for want, (row, host) in product(PROBES, enumerate(table)):
        broken = [name for name in ORDER if name in LASTING and not RULES[name](cloud, host, want)]
        assert len(drift(table, want, row)) == len(broken), broken


@examples(100)
@given(histories, st.integers(1, 3))
def test_both_see_the_same_headroom(history: History, failing: int) -> None:
    table, cloud = lived(history)
    for member in (InZone("az1"), InAggregate("agg-1"), lambda host: True):
        reserve = Reserve(failing, member)
        survived = all(survives(cloud, reserve, amount) for amount in ("vcpus", "memory", "disk"))
        assert headroom(table, reserve).holds == survived


@examples(40)
@given(histories, requests(), policies(), st.randoms(use_true_random=False))
def test_the_order_in_which_everything_came_decides_nothing(
    history: History, want: Request, policy: Policy, rng: random.Random
) -> None:
    table, cloud = lived(history)
    again = HostTable()
    again.reserves.update(history.reserves)
    events = [
        *[(again.put, (host,)) for host in cloud.hosts.values()],
        *[(again.claim, (key, claim)) for key, claim in cloud.claims.items()],
        *[(again.failed, (name,)) for name in cloud.failures.elements()],
    ]
    rng.shuffle(events)
    for happen, arguments in events:
        happen(*arguments)
    # What images were fetched for Instances that are gone is known to who saw them come only.
    blind = Policy(policy.strategy, {**policy.multipliers, "imageCached": 0.0})
    assert decide(again, want, blind) == decide(table, want, blind)
