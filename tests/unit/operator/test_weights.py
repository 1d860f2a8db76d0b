"""Weights: which of the hosts that passed is the best, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from hypernova_api.aggregate import WeightMultipliers
from hypernova_operator.scheduler import (
    Allocation,
    Claim,
    Device,
    DeviceWant,
    Group,
    Host,
    HostTable,
    Policy,
    Request,
    Resources,
)
from hypernova_operator.scheduler.request import Policy as GroupPolicy
from hypernova_operator.scheduler.weights import WEIGHTS, Rows, Weight, weigh
from support.scheduling import GI, a_claim, a_host, a_table, a_want

BY_NAME = {weight.name: weight for weight in WEIGHTS}
NOTHING_OF_NOTE = a_want()


def parts(
    table: HostTable,
    want: Request = NOTHING_OF_NOTE,
    *names: str,
    policy: Policy | None = None,
    rows: Rows | None = None,
) -> dict[str, dict[str, float]]:
    """What these weights (all, if none is named) give each host; that it adds up to the total goes for all tests."""
    weights = [BY_NAME[name] for name in names] or WEIGHTS
    rows = slice(None) if rows is None else rows
    weighed = weigh(table, want, rows, weights, policy or Policy())
    numbers = range(len(table))[rows] if isinstance(rows, slice) else rows
    given = [weighed.parts(place) for place in range(len(numbers))]
    assert [sum(each.values()) for each in given] == pytest.approx(list(weighed.total))
    return {table.at(int(row)).name: each for row, each in zip(numbers, given, strict=True)}


def of(name: str, table: HostTable, want: Request = NOTHING_OF_NOTE, **more: Any) -> dict[str, float]:
    """What one weight gives each host; empty if it makes no difference."""
    return {host: given[name] for host, given in parts(table, want, name, **more).items() if name in given}


def gpus(number: int) -> tuple[Device, ...]:
    return tuple(Device("gpu", f"0000:{place:02x}:00.0", None) for place in range(number))


def nics(number: int) -> tuple[Device, ...]:
    return tuple(Device("nic", f"0001:{place:02x}:00.0", None) for place in range(number))


def test_weights_have_the_names_and_the_order_of_an_aggregates_multipliers() -> None:
    wire = [field.alias for field in WeightMultipliers.model_fields.values()]
    assert [weight.name for weight in WEIGHTS] == wire


@pytest.mark.parametrize("weight", WEIGHTS, ids=BY_NAME)
def test_a_weights_first_line_says_who_wins(weight: Weight) -> None:
    first, *_ = (type(weight).__doc__ or "").splitlines()
    assert " win" in first
    assert first.endswith(".")


@dataclass(frozen=True)
class Case:
    weight: str
    hosts: tuple[Host, ...]
    gives: dict[str, float]
    want: Request = NOTHING_OF_NOTE
    claims: tuple[Claim, ...] = ()
    failures: tuple[str, ...] = ()
    """Where builds failed."""


def in_group(policy: GroupPolicy, key: str = "shop/web") -> Request:
    return a_want(group=Group(key, policy, 1))


def building(host: str) -> Claim:
    return a_claim(host, building=True)


A, B, C = a_host("a"), a_host("b"), a_host("c")
MEMBERS = tuple(a_claim(host, in_group("SoftAffinity")) for host in ("a", "a", "b"))
GPU = a_want(devices=(DeviceWant("gpu", 1, False),))


def zoned(name: str, zone: str, memory: int) -> Host:
    return a_host(name, memory=memory * GI, zones=(zone,) if zone else ())


CASES = {
    "free memory counts in proportion to the most there is": Case(
        "freeMemory",
        (a_host("a", memory=16 * GI), a_host("b", memory=64 * GI), a_host("c", memory=0)),
        {"a": 0.25, "b": 1, "c": 0},
    ),
    "free virtual CPUs count in proportion to the most there are": Case(
        "freeVcpus", (a_host("a", vcpus=8), a_host("b", vcpus=32)), {"a": 0.25, "b": 1}
    ),
    "free disk counts in proportion to the most there is": Case(
        "freeDisk", (a_host("a", disk=10 * GI), a_host("b", disk=20 * GI)), {"a": 0.5, "b": 1}
    ),
    "what is claimed is not free": Case(
        "freeMemory",
        (a_host("a", memory=8 * GI), a_host("b", memory=8 * GI)),
        {"a": 0.5, "b": 1},
        claims=(a_claim("a", a_want(memory=4 * GI)),),
    ),
    "who has less than nothing is as bad as who has nothing": Case(
        "freeMemory",
        (a_host("a", memory=GI), a_host("b", memory=0), a_host("c", memory=2 * GI)),
        {"a": 0, "b": 0, "c": 1},
        claims=(a_claim("a", a_want(memory=3 * GI)),),
    ),
    "where all are as free, all get the same": Case("freeMemory", (A, B), {"a": 1, "b": 1}),
    "where nobody has any, nobody gets any": Case("freeDisk", (a_host("a", disk=0), a_host("b", disk=0)), {}),
    "hosts that build are avoided": Case(
        "builds", (A, B, C), {"a": -0.5, "b": -1, "c": 0}, claims=(building("a"), building("b"), building("b"))
    ),
    "Instances that are built already are no builds": Case("builds", (A, B), {}, claims=(a_claim("a"),)),
    "hosts with devices are left to who wants some": Case(
        "deviceThrift",
        (A, a_host("b", devices=gpus(1)), a_host("c", devices=gpus(4))),
        {"a": 1, "b": 0.75, "c": 0},
    ),
    "without devices there is nothing to be thrifty with": Case("deviceThrift", (A, B), {}),
    "who wants devices is sent where the fewest are free": Case(
        "deviceThrift",
        (a_host("a", devices=gpus(2)), a_host("b", devices=gpus(4)), a_host("c", devices=gpus(4))),
        {"a": 1, "b": 0, "c": 0.5},
        GPU,
        claims=(a_claim("c", allocation=Allocation((), (("gpu", "0000:00:00.0"),))),),
    ),
    "all kinds of devices that are wanted count": Case(
        "deviceThrift",
        (a_host("a", devices=gpus(2)), a_host("b", devices=(*gpus(1), *nics(2)))),
        {"a": 1, "b": 0},
        a_want(devices=(DeviceWant("gpu", 1, False), DeviceWant("nic", 1, False))),
    ),
    "soft affinity seeks the group's members": Case(
        "softAffinity", (A, B, C), {"a": 1, "b": 0.5, "c": 0}, in_group("SoftAffinity"), MEMBERS
    ),
    "soft anti-affinity avoids the group's members": Case(
        "softAntiAffinity", (A, B, C), {"a": 0, "b": 0.5, "c": 1}, in_group("SoftAntiAffinity"), MEMBERS
    ),
    "members on hosts that are not there are nowhere": Case(
        "softAffinity", (B, C), {"b": 1, "c": 0}, in_group("SoftAffinity"), MEMBERS
    ),
    "other groups are no company": Case("softAffinity", (A, B, C), {}, in_group("SoftAffinity", "shop/db"), MEMBERS),
    "a group for anti-affinity seeks nobody": Case(
        "softAffinity", (A, B, C), {}, in_group("SoftAntiAffinity"), MEMBERS
    ),
    "a group for hard anti-affinity is no wish": Case(
        "softAntiAffinity", (A, B, C), {}, in_group("AntiAffinity"), MEMBERS
    ),
    "who is in no group seeks nobody": Case("softAffinity", (A, B, C), {}, claims=MEMBERS),
    "hosts where builds failed are avoided more than anything else can say for them": Case(
        "buildFailures", (A, B, C), {"a": -1_000_000, "b": -500_000, "c": 0}, failures=("a", "a", "b")
    ),
    "the newest QEMU wins": Case(
        "hypervisorVersion",
        (a_host("a", qemu_version=7_002_000), a_host("b", qemu_version=8_002_000), a_host("c", qemu_version=9_002_000)),
        {"a": 0, "b": 0.5, "c": 1},
    ),
    "one version everywhere makes no difference": Case("hypervisorVersion", (A, B), {}),
    "who has the image wins by a little": Case(
        "imageCached", (A, B), {"a": 0.1, "b": 0}, a_want(image="debian"), (a_claim("a", a_want(image="debian")),)
    ),
    "other images are no help": Case(
        "imageCached", (A, B), {}, a_want(image="debian"), (a_claim("a", a_want(image="alpine")),)
    ),
    "hosts of the emptiest zone win, in proportion to its size": Case(
        "zoneSpread",
        (zoned("a", "az1", 16), zoned("b", "az1", 16), zoned("c", "az2", 8)),
        {"a": 1, "b": 1, "c": 0},
        claims=(a_claim("a", a_want(memory=15 * GI)), a_claim("c", a_want(memory=4 * GI))),
    ),
    "who asks for a zone is not spread": Case(
        "zoneSpread",
        (zoned("a", "az1", 16), zoned("b", "az2", 16)),
        {},
        a_want(zone="az1"),
        (a_claim("a", a_want(memory=GI)),),
    ),
    "hosts in no zone are spread over like one more": Case(
        "zoneSpread",
        (zoned("a", "", 16), zoned("b", "az1", 16), zoned("c", "az2", 16)),
        {"a": 0, "b": 0.5, "c": 1},
        claims=(a_claim("a", a_want(memory=4 * GI)), a_claim("b", a_want(memory=2 * GI))),
    ),
    "one zone is nothing to spread over": Case(
        "zoneSpread", (zoned("a", "az1", 16), zoned("b", "az1", 8)), {}, claims=(a_claim("a", a_want(memory=GI)),)
    ),
    "a zone without any memory has none free": Case(
        "zoneSpread", (zoned("a", "az1", 0), zoned("b", "az2", 16)), {"a": 0, "b": 1}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_a_weight_gives(case: Case) -> None:
    table = a_table(*case.hosts)
    for number, claim in enumerate(case.claims):
        table.claim(str(number), claim)
    for host in case.failures:
        table.failed(host)
    assert of(case.weight, table, case.want) == pytest.approx(case.gives)


def test_the_number_of_instances_counts_only_where_somebody_says_so() -> None:
    table = a_table(A, B)
    table.claim("uid", a_claim("a"))
    assert of("instances", table) == {}
    assert of("instances", table, policy=Policy(multipliers={"instances": -2.0})) == {"a": -2, "b": 0}


def test_a_build_that_succeeds_makes_up_for_those_that_failed() -> None:
    table = a_table(A, B)
    table.failed("a")
    table.succeeded("a")
    assert of("buildFailures", table) == {}


def test_settings_say_how_much_a_weight_counts_in_whole_numbers_too() -> None:
    table = a_table(a_host("a", memory=8 * GI), a_host("b", memory=16 * GI))
    assert of("freeMemory", table, policy=Policy(multipliers={"freeMemory": 3})) == {"a": 1.5, "b": 3}
    assert of("freeMemory", table, policy=Policy(multipliers={"freeMemory": 0})) == {}


def test_an_aggregates_multiplier_is_for_its_hosts_alone() -> None:
    table = a_table(A, a_host("b", multipliers={"freeMemory": -2.0}), a_host("c", multipliers={"freeVcpus": 5.0}))
    assert of("freeMemory", table) == {"a": 1, "b": -2, "c": 1}
    assert of("freeMemory", table, policy=Policy(multipliers={"freeMemory": 0})) == {"a": 0, "b": -2, "c": 0}
    assert of("freeMemory", table, rows=np.array([1, 2])) == {"b": -2, "c": 1}


def test_to_stack_turns_around_what_is_about_room_and_nothing_else() -> None:
    table = a_table(
        zoned("a", "az1", 16), a_host("b", memory=64 * GI, zones=("az2",), qemu_version=1, devices=gpus(1)), C
    )
    for claim in (building("a"), a_claim("b", a_want(image="debian")), a_claim("b", in_group("SoftAffinity"))):
        table.claim(str(claim), claim)
    table.failed("a")
    want = a_want(image="debian", group=Group("shop/web", "SoftAffinity", 1))
    spread, stack = parts(table, want), parts(table, want, policy=Policy(strategy="Stack"))
    room = {weight.name for weight in WEIGHTS if weight.room}
    assert room == {"freeMemory", "freeVcpus", "freeDisk"}
    assert {*spread["a"]} == {weight.name for weight in WEIGHTS} - {"instances", "softAntiAffinity"}
    for host in "abc":
        assert stack[host] == {name: -part if name in room else part for name, part in spread[host].items()}


def test_hosts_that_did_not_pass_are_no_measure_for_those_that_did() -> None:
    hosts = [a_host("a", memory=8 * GI), a_host("b", memory=64 * GI), a_host("c", memory=2 * GI)]
    among_all = a_table(*hosts)
    assert of("freeMemory", among_all, rows=np.array([0, 2])) == {"a": 1, "c": 0.25}
    zones = a_table(zoned("a", "az1", 8), zoned("b", "az1", 8), zoned("c", "az2", 8))
    zones.claim("1", a_claim("b", a_want(memory=8 * GI)))
    zones.claim("2", a_claim("c", a_want(memory=2 * GI)))
    assert of("zoneSpread", zones) == {"a": 0, "b": 0, "c": 1}
    assert of("zoneSpread", zones, rows=np.array([0, 2])) == {"a": 1, "c": 0}


def test_to_weigh_writes_nothing_to_the_table() -> None:
    table = a_table(a_host("a", devices=gpus(2)), a_host("b", devices=gpus(1), multipliers={"deviceThrift": 2.0}), C)
    table.claim("1", Claim("a", Resources(1, 100 * GI, 0), "shop/web", "debian", building=True))
    columns = ("memory_free", "vcpus_free", "disk_free", "builds", "instances", "devices", "failures", "qemu_version")

    def content() -> list[list[int]]:
        return [
            *(getattr(table, name).tolist() for name in columns),
            table.devices_free("gpu").tolist(),
            table.cached("debian").tolist(),
        ]

    before = content()
    want = a_want(image="debian", devices=GPU.devices * 2, group=Group("shop/web", "SoftAntiAffinity", 1))
    weigh(table, want, slice(None), WEIGHTS, Policy(strategy="Stack"))
    assert content() == before
