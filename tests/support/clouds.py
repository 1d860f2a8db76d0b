"""Random clouds for hypothesis: hosts, requests and what is claimed; small, and full of collisions.

hosts()             a Host of one of NAMES
requests()          what some Instance wants, of the same few labels, zones, aggregates and amounts
PROBES              requests that want one thing each, and between them all there is
claims()            what some Instance holds of a host, which there may not be
crowd()             one large cloud, always the same, in which every filter and every weight has a say
reserves()          room that is kept for the case that hosts fail
policies()          what an administrator sets
examples(100)       how many of them to try

Names, labels and amounts are few, so that verdicts differ, hosts tie and Instances just fit or just don't. A host is a
plain one but for a few things, and so is a request: a cloud in which everything is wrong with every host proves
nothing. All that can be drawn is in lists, the harmless first: one draw each, as draws are what takes time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from hypernova_api.selectors import LabelRequirement, LabelSelector
from hypernova_operator.scheduler import (
    NO_LIMIT,
    Aggregate,
    AllocatedCell,
    Allocation,
    Cell,
    Claim,
    Device,
    DeviceWant,
    Group,
    Host,
    Isolation,
    Policy,
    Request,
    Requirement,
    Reserve,
    Resources,
    Taint,
    Toleration,
)
from hypernova_operator.scheduler.headroom import InAggregate, InZone
from hypernova_operator.scheduler.weights import WEIGHTS
from support.scheduling import GI, MI, a_host

NAMES = tuple(f"node-{letter}" for letter in "abcd")
IMAGES = ("image-1", "image-2")
ALIASES = ("gpu", "nic")
PAGE_SIZES = (GI, 2 * MI)
GROUPS = (
    Group("shop/apart", "AntiAffinity", 1),
    Group("shop/pairs", "AntiAffinity", 2),
    Group("shop/together", "Affinity", 1),
    Group("shop/near", "SoftAffinity", 1),
    Group("shop/far", "SoftAntiAffinity", 1),
)

T = TypeVar("T")
Choices = Mapping[str, Sequence[Any]]
"""What a field may be beside what it is by default."""


def _some_of(*values: T) -> list[tuple[T, ...]]:
    return [some for number in range(len(values) + 1) for some in combinations(values, number)]


def _drawn(draw: st.DrawFn, choices: Choices, least: int = 0) -> dict[str, Any]:
    """A few of these fields, with a value each."""
    fields = draw(st.lists(st.sampled_from(list(choices)), min_size=least, max_size=3, unique=True))
    return {field: draw(st.sampled_from(choices[field])) for field in fields}


# Hosts

_SELECTORS = (
    LabelSelector(match_labels={"team": "1"}),
    LabelSelector(match_labels={"team": "2", "level": "1"}),
    LabelSelector(match_expressions=[LabelRequirement(key="team", operator="DoesNotExist")]),
    LabelSelector(match_expressions=[LabelRequirement(key="level", operator="NotIn", values=["1"])]),
    LabelSelector(),
)
_LABELS = [(("team", "1"),), (("team", "2"),), (("level", "1"), ("team", "2")), (("level", "1"),), ()]
_RACKS = [(("rack", "1"),), (("rack", "2"),), (("row", "1"),), (("rack", "1"), ("row", "1")), ()]
_TAINTS = [
    Taint(key, value, effect)
    for effect in ("NoSchedule", "NoExecute", "PreferNoSchedule")
    for key in ("spot", "gpu")
    for value in ("", "1")
]
_METADATA = [
    {key: values}
    for key in ("disk", "speed")
    for values in map(frozenset, (("ssd",), ("10",), ("ssd", "2.5"), ("2", "10"), ("",), ("inf",)))
]
_AGGREGATES = [
    *(Aggregate("agg-1", metadata) for metadata in _METADATA),
    *(Aggregate("agg-1", projects=Isolation(selector, confine=False)) for selector in _SELECTORS),
    *(Aggregate("agg-2", images=Isolation(selector, confine=True)) for selector in _SELECTORS),
    Aggregate("agg-2", {"disk": frozenset({"ssd"}), "speed": frozenset({"10"})}),
]
_MEMBERSHIPS = [
    *[(Aggregate("agg-1", {"disk": frozenset({"ssd"}), "speed": frozenset({"10", "2.5"})}),)] * len(_AGGREGATES),
    *combinations(_AGGREGATES, 1),
    *((one, other) for one, other in combinations(_AGGREGATES, 2) if one.name != other.name),
]
_CONFINED = [frozenset(names) for names in _some_of("agg-1", "agg-2")]
_TRAITS = [frozenset(traits) for traits in (("AVX2", "TPM"), ("TPM",), ())]


def _cells(number: int, cores: int, threads: int, memory: int, **pages: int) -> tuple[Cell, ...]:
    """Cells alike: memory and pages (by size: `gi`, `mi`) of each in GiB."""
    sizes = {"gi": GI, "mi": 2 * MI}
    return tuple(
        Cell(
            cell,
            cores=tuple(
                tuple((cell * cores + core) * threads + thread for thread in range(threads)) for core in range(cores)
            ),
            memory=memory * GI,
            huge_pages={sizes[size]: amount * GI for size, amount in pages.items()},
        )
        for cell in range(number)
    )


_DEVICES = (
    Device("gpu", "0000:00:00.0", 0),
    Device("nic", "0000:01:00.0", 1),
    Device("gpu", "0000:02:00.0", None),
    Device("nic", "0000:03:00.0", 0),
)
_TOTALS = [
    Resources(vcpus, memory * GI, disk * GI)
    for vcpus, memory, disk in (
        (8, 8, 8), (16, 16, 16), (8, 8, 8), (8, 4, 2), (2, 8, 4), (4, 2, 8),
        (4, 4, 4), (2, 2, 0), (1, 1, 1), (0, 4, 4), (4, 0, 4),
    )
]  # fmt: skip
_LIMITS = [*[(NO_LIMIT, NO_LIMIT)] * 4, (1, NO_LIMIT), (2, 1), (NO_LIMIT, 1), (0, 0)]
_ODD: Choices = {
    "labels": [dict(labels) for labels in _RACKS],
    "taints": [(), *_some_of(*_TAINTS)[1:60]],
    "architecture": ["aarch64", ""],
    "domain_type": ["qemu", ""],
    "firmware": [frozenset({"bios"}), frozenset()],
    "traits": _TRAITS,
    "qemu_version": [7_002_000, 0],
    "dedicated": [frozenset(), frozenset({0, 1, 2, 3}), frozenset({1, 2, 5}), frozenset({4, 5, 9})],
    "cells": [
        (),
        _cells(1, 2, 2, 4, gi=4),
        _cells(2, 3, 1, 2),
        _cells(3, 1, 2, 2, gi=2, mi=1),
        _cells(2, 2, 2, 0, mi=4),
    ],
    "devices": _some_of(*_DEVICES),
    "multipliers": [
        {weight.name: multiplier} for weight in WEIGHTS for multiplier in (weight.multiplier * 2 + 1, -1.0, 0.0)
    ],
}
_TROUBLE: Choices = {
    "labelled": [False],
    "trouble": ["no heartbeat", "never registered"],
    "maintenance": [True],
    "disabled": ["fan"],
    "zones": [("az1", "az2")],
    "cpu_models": [("EPYC", "EPYC-Milan")],
}
_PLAIN = a_host(
    labels={"rack": "1"},
    architecture="x86_64",
    domain_type="kvm",
    firmware=frozenset({"bios", "efi"}),
    traits=frozenset({"AVX2"}),
    qemu_version=8_000_000,
)
PACKED = replace(
    _PLAIN,
    total=Resources(8, 8 * GI, 8 * GI),
    zones=("az1",),
    dedicated=frozenset(range(8)),
    cells=_cells(2, 3, 2, 4, gi=4, mi=2),
    devices=_DEVICES,
)
"""A host with some of everything."""


@st.composite
def hosts(draw: st.DrawFn, *, trouble: bool = True) -> Host:
    """A host; without `trouble` one that may be short of things, but is never out of order."""
    max_instances, max_builds = draw(st.sampled_from(_LIMITS))
    plain = replace(
        draw(st.sampled_from((_PLAIN, PACKED))),
        name=draw(st.sampled_from(NAMES)),
        zones=draw(st.sampled_from((("az1",), ("az2",), ()))),
        total=draw(st.sampled_from(_TOTALS)),
        aggregates=draw(st.sampled_from(_MEMBERSHIPS)),
        max_instances=max_instances,
        max_builds=max_builds,
    )
    return replace(plain, **_drawn(draw, {**_ODD, **_TROUBLE} if trouble else _ODD))


# Requests

_TOLERATIONS = [
    *(Toleration(key, "Exists", "", effect) for key in ("spot", "gpu", "") for effect in ("", "NoSchedule")),
    *(
        Toleration(key, "Equal", value, effect)
        for key in ("spot", "gpu")
        for value in ("", "1")
        for effect in ("", "NoExecute")
    ),
]
_REQUIREMENTS = [
    *(Requirement("disk", operator, ("ssd",)) for operator in ("=", "!=", "In", "NotIn", "AllIn")),
    *(Requirement("speed", operator, (bound,)) for operator in ("<", "<=", ">", ">=") for bound in ("10", "2.5")),
    *(Requirement("disk", operator, ("ssd", "2.5")) for operator in ("In", "NotIn", "AllIn")),
    Requirement("disk", "=", ("",)),
]
_SOME_NAMES = [frozenset(names) for names in _some_of(*NAMES)[1:11]]
_WANTS = [DeviceWant(alias, count, near) for alias in ALIASES for count in (1, 2) for near in (False, True)]
WANTED: Choices = {
    "namespace_labels": _LABELS,
    "confined_to": _CONFINED,
    "image": IMAGES,
    "image_host": NAMES,
    "image_labels": _LABELS,
    "image_confined_to": _CONFINED,
    "zone": ["az1", "az2", "az3"],
    "node_selector": _RACKS,
    "tolerations": [(), *_some_of(*_TOLERATIONS)[1:80]],
    "node_name": NAMES,
    "excluded": _SOME_NAMES,
    "same_hosts": _SOME_NAMES,
    "different_hosts": _SOME_NAMES,
    "evacuated": [True],
    "group": GROUPS,
    "architecture": ["x86_64", "aarch64"],
    "domain_type": ["kvm", "qemu"],
    "firmware": ["efi", "bios"],
    "required_traits": [frozenset({"AVX2"}), *_TRAITS],
    "forbidden_traits": _TRAITS,
    "requirements": [*combinations(_REQUIREMENTS, 1), *combinations(_REQUIREMENTS, 2)],
    "dedicated": [True],
    "threads": ["Prefer", "Require", "Isolate"],
    "cells": [1, 2, 3],
    "page_size": PAGE_SIZES,
    "devices": [*combinations(_WANTS, 1), *product(_WANTS[:4], _WANTS[4:])],
}
_SIZES = [(1, 1, 0), (2, 1, 1), (1, 2, 2), (3, 4, 0), (4, 1, 1)]


def _request(size: tuple[int, int, int], fields: dict[str, Any]) -> Request:
    vcpus, memory, disk = size
    cells = fields.get("cells", 0) or 1  # over which CPUs and memory split evenly, as flavors are made
    if "threads" in fields:
        fields = {**fields, "dedicated": True}
    return Request(vcpus * cells, memory * cells * GI, disk * GI, **fields)


@st.composite
def requests(draw: st.DrawFn, choices: Choices = WANTED) -> Request:
    """What some Instance wants."""
    return _request(draw(st.sampled_from(_SIZES)), _drawn(draw, choices))


PROBES = [
    *(_request(size, {}) for size in _SIZES),
    *(_request(_SIZES[1], {field: value}) for field, values in WANTED.items() for value in values[:6]),
]


# Claims

_ALLOCATED = [
    AllocatedCell(cell, (0,), cpus, memory * GI, page_size, idle)
    for cell in (0, 1)
    for cpus, memory, page_size, idle in (((), 1, 0, ()), ((1,), 2, GI, ()), ((2, 3), 1, 2 * MI, (4,)))
]
_HELD: Choices = {
    "group": [group.key for group in GROUPS],
    "image": IMAGES,
    "allocation": [
        Allocation(cells, tuple((device.alias, device.address) for device in devices))
        for cells in _some_of(*_ALLOCATED)[:12]
        for devices in ((), _DEVICES[:1], _DEVICES[1:3])
    ],
    "building": [True],
}
_AMOUNTS = [Resources(), Resources(1, GI, 0), Resources(2, GI, GI), Resources(1, 3 * GI, 2 * GI)]


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    """What some Instance holds of a host, whether or not the host has it, or is there."""
    return Claim(draw(st.sampled_from(NAMES)), draw(st.sampled_from(_AMOUNTS)), **_drawn(draw, _HELD, least=1))


def crowd() -> tuple[list[Host], dict[str, Claim]]:
    """A cloud in which nothing is idle: a host for everything that may be odd with one, and all kinds of claims."""
    every = {**_ODD, **_TROUBLE, "max_instances": [0, 2], "max_builds": [0, 1], "aggregates": _MEMBERSHIPS}
    odd = [(field, value) for field, values in every.items() for value in values[-9:]]
    zones: list[tuple[str, ...]] = [("az1",), ("az2",), ()]
    names = [*NAMES, *(f"odd-{number:03}" for number in range(2 * len(odd)))]
    hosts = [
        replace(
            _PLAIN if number % 3 else PACKED,
            **{"name": name, "zones": zones[number % 3], "total": _TOTALS[number % len(_TOTALS)], field: value},
        )
        for number, (name, (field, value)) in enumerate(zip(names, odd * 2, strict=False))
    ]
    held = [(field, value) for field, values in _HELD.items() for value in values]
    return hosts, {
        str(number): Claim(hosts[5 * number % len(hosts)].name, _AMOUNTS[number % 4], **{field: value})
        for number, (field, value) in enumerate(held * 3)
    }


# What administrators say

_RESERVES = [
    {},
    *({"HostAggregate agg-1": Reserve(number, InAggregate("agg-1"))} for number in (1, 2)),
    *({"AvailabilityZone az1": Reserve(number, InZone("az1"))} for number in (1, 2)),
    {"AvailabilityZone az1": Reserve(1, InZone("az1")), "AvailabilityZone az2": Reserve(1, InZone("az2"))},
    {"HostAggregate agg-1": Reserve(1, InAggregate("agg-1")), "AvailabilityZone az1": Reserve(1, InZone("az1"))},
]
_POLICIES = [
    Policy(),
    Policy("Stack"),
    *(Policy(multipliers={weight.name: multiplier}) for weight in WEIGHTS for multiplier in (10.0, 0.0, -2.0)),
    Policy("Stack", {"builds": 0.0, "instances": 1.0, "freeDisk": -1.0}),
]


def reserves() -> st.SearchStrategy[dict[str, Reserve]]:
    """Room that is kept in aggregates and zones; mostly none."""
    return st.one_of(st.just({}), st.sampled_from(_RESERVES))


def policies() -> st.SearchStrategy[Policy]:
    """The best host is chosen, never one by chance."""
    return st.sampled_from(_POLICIES)


def examples(number: int, **fields: Any) -> settings:
    """So many, times what the environment variable SOAK says: `SOAK=50 pytest tests/unit/operator`."""
    return settings(max_examples=number * int(os.environ.get("SOAK", "1")), **fields)
