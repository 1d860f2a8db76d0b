"""Failover headroom: what the scheduler keeps free, so that others can take over from hosts that fail."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hypernova_operator.scheduler import (
    Aggregate,
    Claim,
    Host,
    HostTable,
    Placement,
    Request,
    Reserve,
    Resources,
    decide,
)
from hypernova_operator.scheduler.filters.reserve import KeepsReserve
from hypernova_operator.scheduler.headroom import Headroom, InAggregate, InZone, headroom
from support.scheduling import GI, a_claim, a_host, a_table, a_want

RACK = Aggregate("rack-1")
OF_RACK = InAggregate("rack-1")
NAMES = "abcde"


def in_rack(name: str, **fields: object) -> Host:
    """A host of rack-1 with 4 vCPUs, 4Gi and 4Gi."""
    return a_host(name, **{"vcpus": 4, "memory": 4 * GI, "disk": 4 * GI, "aggregates": (RACK,), **fields})


AMOUNTS = st.builds(Resources, *[st.integers(0, 6)] * 3)
HOSTS = st.dictionaries(st.sampled_from(NAMES), AMOUNTS, min_size=1)
CLAIMS = st.lists(st.tuples(st.sampled_from(NAMES), AMOUNTS), max_size=8)


def a_cloud(totals: dict[str, Resources], claims: list[tuple[str, Resources]]) -> HostTable:
    """Hosts of rack-1 with these amounts, and claims on them that may be more than there is."""
    table = a_table(
        *(in_rack(name, vcpus=total.vcpus, memory=total.memory, disk=total.disk) for name, total in totals.items())
    )
    for number, (host, resources) in enumerate(claims):
        table.claim(str(number), Claim(host, resources))
    return table


def survives(table: HostTable, failing: int) -> bool:
    """Whether whatever `failing` hosts of the table fail, the others have as much free as was claimed of them."""
    for lost in itertools.combinations(table, min(failing, len(table))):
        others = [host for host in table if host not in lost]
        for resource in ("vcpus", "memory", "disk"):
            free = sum(
                max(getattr(host.total, resource) - getattr(table.claimed(host.name), resource), 0) for host in others
            )
            if free < sum(getattr(table.claimed(host.name), resource) for host in lost):
                return False
    return True


@given(HOSTS, CLAIMS, st.integers(1, 6))
def test_it_holds_when_any_of_so_many_hosts_may_fail(
    totals: dict[str, Resources], claims: list[tuple[str, Resources]], failing: int
) -> None:
    table = a_cloud(totals, claims)
    assert headroom(table, Reserve(failing, OF_RACK)).holds is survives(table, failing)


@given(HOSTS, CLAIMS, st.builds(a_want, st.integers(1, 4), st.integers(1, 4), st.integers(0, 4)), st.integers(1, 3))
def test_where_there_is_headroom_no_placement_takes_it_and_none_that_would_leave_it_is_refused(
    totals: dict[str, Resources], claims: list[tuple[str, Resources]], want: Request, failing: int
) -> None:
    table = a_cloud(totals, claims)
    table.reserves["HostAggregate rack-1"] = Reserve(failing, OF_RACK)
    assume(survives(table, failing))
    passes = KeepsReserve().mask(table, want).tolist()
    for row, host in enumerate(list(table)):
        left = host.total - table.claimed(host.name)
        if want.vcpus <= left.vcpus and want.memory <= left.memory and want.disk <= left.disk:
            table.claim("new", a_claim(host.name, want))
            assert passes[row] is survives(table, failing)
            table.release("new")


def test_amounts_are_those_of_usable_hosts() -> None:
    table = a_table(
        in_rack("a"),
        in_rack("b", vcpus=6),
        in_rack("c", trouble="no heartbeat"),
        in_rack("d", maintenance=True),
        in_rack("e", disabled="fan"),
        in_rack("f", labelled=False),
        in_rack("g", zones=("az1", "az2")),
        a_host("elsewhere"),
    )
    table.claim("1", Claim("a", Resources(1, GI, 5 * GI)))
    table.claim("2", Claim("d", Resources(1, GI, 0)))
    assert headroom(table, Reserve(1, OF_RACK)) == Headroom(
        2, Resources(9, 7 * GI, 4 * GI), Resources(6, 4 * GI, 5 * GI)
    )


def test_without_hosts_there_is_nothing_to_lose() -> None:
    assert headroom(a_table(), Reserve(1, OF_RACK)) == Headroom(0, Resources(), Resources())
    assert headroom(a_table(), Reserve(1, OF_RACK)).holds


def test_one_host_alone_cannot_be_absorbed_once_anything_is_claimed() -> None:
    table = a_table(in_rack("a"))
    assert headroom(table, Reserve(1, OF_RACK)).holds
    table.claim("1", Claim("a", Resources(1, 0, 0)))
    assert not headroom(table, Reserve(1, OF_RACK)).holds


def test_sums_of_nonsense_are_exact() -> None:
    table = a_table(*(in_rack(f"node-{number}", memory=10**30) for number in range(50)))
    most = int(table.memory_free[0])
    assert 50 * most > 2**63
    room = headroom(table, Reserve(2, OF_RACK))
    assert (room.free.memory, room.needed.memory) == (50 * most, 2 * most)


def filled(table: HostTable) -> int:
    """How many Instances of 1Gi find a host."""
    before = int(table.instances.sum())
    while isinstance(placement := decide(table, a_want()), Placement):
        table.claim(str(table.instances.sum()), a_claim(placement.host))
    return int(table.instances.sum()) - before


def test_hosts_are_filled_up_to_their_reserve() -> None:
    table = a_table(*map(in_rack, "abcd"))
    table.reserves["HostAggregate rack-1"] = Reserve(1, OF_RACK)
    assert filled(table) == 12
    table.put(in_rack("e"))
    assert filled(table) == 4


def test_other_hosts_are_filled_whole() -> None:
    table = a_table(in_rack("a"), in_rack("b"), a_host("c", vcpus=4))
    table.reserves["HostAggregate rack-1"] = Reserve(1, OF_RACK)
    assert filled(table) == 8


def test_where_no_reserve_holds_any_more_others_are_used() -> None:
    table = a_table(in_rack("a", zones=("az1",)), in_rack("b", zones=("az2",)), a_host("c", vcpus=4))
    table.reserves["AvailabilityZone az1"] = Reserve(1, InZone("az1"))
    table.reserves["AvailabilityZone az2"] = Reserve(1, InZone("az2"))
    assert filled(table) == 4
    assert {name for name in NAMES if table.claimed(name).vcpus} == {"c"}


def test_what_failed_may_take_what_was_kept_for_it() -> None:
    table = a_table(*map(in_rack, "abc"))
    table.reserves["HostAggregate rack-1"] = Reserve(1, OF_RACK)
    assert filled(table) == 8
    table.remove("a")
    assert not isinstance(decide(table, a_want()), Placement)
    assert isinstance(decide(table, a_want(evacuated=True)), Placement)


@pytest.mark.parametrize(
    ("claimed", "innocent", "guilty"),
    [
        (Resources(vcpus=3), a_want(9, GI, GI, dedicated=True), a_want(1, GI, GI)),
        (Resources(memory=3 * GI), a_want(1, 9 * GI, GI, page_size=GI), a_want(1, GI, GI)),
        (Resources(disk=3 * GI), a_want(1, GI, 0), a_want(1, GI, 1)),
    ],
    ids=["vcpus", "memory", "disk"],
)
def test_a_reserve_that_is_short_of_something_refuses_only_who_takes_of_it(
    claimed: Resources, innocent: Request, guilty: Request
) -> None:
    table = a_table(in_rack("a"), in_rack("b"))
    table.reserves["HostAggregate rack-1"] = Reserve(1, OF_RACK)
    table.claim("1", Claim("a", claimed))
    table.claim("2", Claim("b", claimed))
    assert not headroom(table, Reserve(1, OF_RACK)).holds
    assert KeepsReserve().mask(table, innocent).all()
    assert not KeepsReserve().mask(table, guilty).any()
