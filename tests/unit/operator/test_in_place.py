"""Another size on the same host: by what is left beside the others, the Instance's own claim given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hypernova_operator.scheduler import (
    NO_ALLOCATION,
    AllocatedCell,
    Allocation,
    Claim,
    Device,
    DeviceWant,
    Host,
    Misfit,
    Request,
    Requirement,
    Reserve,
    Resources,
    in_place,
)
from hypernova_operator.scheduler.headroom import InZone
from support.scheduling import GI, a_cell, a_claim, a_host, a_table, a_want

OURS = "uid-1"


def asked(want: Request, *others: Claim, host: Host | None = None, has: Claim | None = None) -> Allocation | Misfit:
    """What an Instance with 2 vCPUs and 4Gi on a host of 8 and 16Gi is told."""
    host = host or a_host(vcpus=8, memory=16 * GI, disk=100 * GI)
    table = a_table(a_host("another", vcpus=64), host)
    table.claim(OURS, has or a_claim(host.name, a_want(2, 4 * GI, 10 * GI)))
    for number, other in enumerate(others):
        table.claim(f"other-{number}", other)
    before = (table.claimed(host.name), table.claim_of(OURS), table.taken(host.name), table.vcpus_free.tolist())
    got = in_place(table, OURS, want)
    assert before == (table.claimed(host.name), table.claim_of(OURS), table.taken(host.name), table.vcpus_free.tolist())
    return got


def test_what_it_has_already_counts_as_free() -> None:
    others = a_claim("node-a", a_want(4, 8 * GI))
    assert asked(a_want(4, 8 * GI, 10 * GI), others) == NO_ALLOCATION
    assert asked(a_want(5, 9 * GI, 10 * GI), others) == Misfit(
        "lacks vCPUs (need 5, most free 4), lacks memory (need 9Gi, most free 8Gi)"
    )


def test_room_on_other_hosts_is_no_room() -> None:
    assert asked(a_want(16)) == Misfit("lacks vCPUs (need 16, most free 8)")


@pytest.mark.parametrize(
    "trouble",
    [
        {"maintenance": True},
        {"disabled": "fan"},
        {"labelled": False},
        {"zones": ("az1", "az2")},
        {"max_instances": 1},
    ],
    ids=str,
)
def test_that_a_host_takes_nothing_new_is_no_reason(trouble: dict[str, Any]) -> None:
    assert asked(a_want(4), host=a_host(**trouble)) == NO_ALLOCATION


def test_a_host_without_a_working_agent_gives_nothing() -> None:
    assert asked(a_want(4), host=a_host(trouble="no heartbeat")) == Misfit(
        "without a working agent (no heartbeat: node-a)"
    )


def test_an_instance_can_be_made_smaller_on_a_host_that_has_less_than_is_claimed() -> None:
    shrunken = a_host(vcpus=1, memory=GI, disk=GI)
    assert asked(a_want(1, 4 * GI, 10 * GI), host=shrunken) == NO_ALLOCATION
    assert asked(a_want(3, 2 * GI, 10 * GI), host=shrunken) == Misfit("lacks vCPUs (need 3, most free 1)")


def test_what_a_flavor_asks_for_beside_amounts_is_asked_again() -> None:
    assert asked(a_want(required_traits=frozenset({"AVX2"}))) == Misfit("lacks traits (need AVX2)")
    fast = Requirement("disk", "=", ("ssd",))
    misfit = asked(a_want(requirements=(fast,)))
    assert isinstance(misfit, Misfit)


def test_growth_takes_nothing_of_a_reserve_but_what_does_not_grow_may_stay_in_it() -> None:
    hosts = [a_host(name, vcpus=4, zones=("az1",)) for name in ("a", "b")]
    table = a_table(*hosts)
    table.reserves["AvailabilityZone az1"] = Reserve(1, InZone("az1"))
    table.claim(OURS, a_claim("a", a_want(3)))
    table.claim("other", a_claim("b", a_want(3)))
    assert isinstance(in_place(table, OURS, a_want(4)), Misfit)
    assert in_place(table, OURS, a_want(3)) == NO_ALLOCATION
    assert in_place(table, OURS, a_want(1)) == NO_ALLOCATION


def test_what_grows_on_a_host_out_of_use_takes_nothing_of_a_reserve() -> None:
    table = a_table(*(a_host(name, vcpus=4, zones=("az1",), disabled="fan") for name in ("a", "b")))
    table.reserves["AvailabilityZone az1"] = Reserve(1, InZone("az1"))
    table.claim(OURS, a_claim("a", a_want(3)))
    assert in_place(table, OURS, a_want(4)) == NO_ALLOCATION


def test_cells_cpus_and_devices_are_packed_anew_with_its_own_given_back() -> None:
    host = a_host(
        dedicated=frozenset(range(4)),
        cells=(a_cell(0, (0,), (1,), (2,), (3,), memory=4 * GI),),
        devices=(Device("gpu", "0000:01:00.0", 0), Device("gpu", "0000:02:00.0", 0)),
    )
    own = Allocation((AllocatedCell(0, (0,), (0,), 2 * GI),), (("gpu", "0000:01:00.0"),))
    small = a_want(1, 2 * GI, dedicated=True, devices=(DeviceWant("gpu", 1, near=False),))
    has = a_claim("node-a", small, allocation=own)
    got = asked(replace(small, vcpus=4, memory=4 * GI, devices=(DeviceWant("gpu", 2, near=False),)), host=host, has=has)
    assert isinstance(got, Allocation)
    assert set(got.cells[0].cpus) == {0, 1, 2, 3}
    assert len(got.devices) == 2
    other = a_claim("node-a", small, allocation=Allocation((AllocatedCell(0, (0,), (3,), GI),)))
    assert asked(replace(small, vcpus=4, memory=4 * GI), other, host=host, has=has) == Misfit(
        "lacks dedicated CPUs (need 4, most free 3)"
    )
    assert asked(replace(small, vcpus=3, memory=4 * GI), other, host=host, has=has) == Misfit(
        "can't fit 3 dedicated CPUs and 4Gi in one NUMA cell"
    )


def test_a_host_that_is_none_any_more_gives_nothing() -> None:
    table = a_table(a_host("another"))
    table.claim(OURS, a_claim("node-a"))
    assert in_place(table, OURS, a_want(1)) == Misfit("is no host any more")


def test_for_either_of_two_amounts_the_greater_is_kept() -> None:
    assert Resources(1, 5, 3) | Resources(2, 4, 3) == Resources(2, 5, 3)


def test_for_either_of_two_allocations_all_cpus_and_devices_are_kept_and_of_memory_the_more() -> None:
    one = Allocation(
        (AllocatedCell(0, (0, 1), (4, 5), 2 * GI, idle_cpus=(6,)), AllocatedCell(1, (2,), (9,), GI, GI)),
        (("gpu", "0000:01:00.0"),),
    )
    other = Allocation((AllocatedCell(0, (0, 1), (5, 6), 3 * GI),), (("nic", "0000:02:00.0"),))
    assert (
        other | one
        == one | other
        == Allocation(
            (AllocatedCell(0, (), (4, 5, 6), 3 * GI), AllocatedCell(1, (2,), (9,), GI, GI)),
            (("gpu", "0000:01:00.0"), ("nic", "0000:02:00.0")),
        )
    )
    assert one | NO_ALLOCATION == NO_ALLOCATION | one == one | one == one
