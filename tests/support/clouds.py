"""Random clouds for hypothesis: hosts, requests and what is claimed; small, and full of collisions.

hosts("node-a")     a Host of that name, anything about it drawn
requests()          what some Instance wants, of the same few labels, zones, aggregates and amounts
claims()            what some Instance holds, of a host that there may not be
policies()          what an administrator sets

Names, labels and amounts are few, so that verdicts differ, hosts tie and Instances just fit or just don't. Every field
is harmless more often than not: a cloud in which everything is wrong with every host proves nothing. Memory is in
units of 1 GiB, huge pages and cells too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

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
    Resources,
    Taint,
    Toleration,
)
from hypernova_operator.scheduler.request import Labels
from hypernova_operator.scheduler.weights import WEIGHTS
from support.scheduling import GI, MI

NAMES = tuple(f"node-{letter}" for letter in "abcdef")
IMAGES = ("", "image-1", "image-2")
GROUPS = (
    Group("shop/together", "Affinity", 1),
    Group("shop/apart", "AntiAffinity", 1),
    Group("shop/pairs", "AntiAffinity", 2),
    Group("shop/near", "SoftAffinity", 1),
    Group("shop/far", "SoftAntiAffinity", 1),
)

T = TypeVar("T")


def mostly(plain: T, other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """What is plain three times in four."""
    return st.sampled_from((True, True, True, False)).flatmap(lambda usual: st.just(plain) if usual else other)


def labels(*keys: str) -> st.SearchStrategy[Labels]:
    """Some of these keys, each with one of two values."""
    some = st.dictionaries(st.sampled_from(keys), st.sampled_from(("1", "2")), max_size=2)
    return some.map(lambda pairs: tuple(sorted(pairs.items())))


_selectors = st.builds(
    LabelSelector,
    match_labels=labels("team", "level").map(dict),
    match_expressions=mostly(
        [],
        st.lists(
            st.one_of(
                st.builds(LabelRequirement, key=st.just("team"), operator=st.sampled_from(("Exists", "DoesNotExist"))),
                st.builds(
                    LabelRequirement,
                    key=st.just("level"),
                    operator=st.sampled_from(("In", "NotIn")),
                    values=st.just(["1"]),
                ),
            ),
            max_size=1,
        ),
    ),
)
_isolations = mostly(None, st.builds(Isolation, _selectors, confine=st.booleans()))
_metadata_values = st.frozensets(st.sampled_from(("1", "2", "10", "2.5", "ssd", "")), min_size=1, max_size=2)


def _aggregates(name: str) -> st.SearchStrategy[Aggregate]:
    metadata = st.dictionaries(st.sampled_from(("disk", "speed")), _metadata_values, max_size=2)
    return st.builds(Aggregate, st.just(name), metadata, projects=_isolations, images=_isolations)


AGGREGATES = ("agg-1", "agg-2")


@st.composite
def aggregate_lists(draw: st.DrawFn) -> tuple[Aggregate, ...]:
    """The aggregates of one host, by name."""
    names = draw(mostly((), st.sampled_from((("agg-1",), ("agg-2",), AGGREGATES))))
    return tuple(draw(_aggregates(name)) for name in names)


_MULTIPLIERS = (-2.0, -1.0, 0.0, 0.5, 1.0, 3.0)
_multipliers = st.dictionaries(
    st.sampled_from([weight.name for weight in WEIGHTS]), st.sampled_from(_MULTIPLIERS), max_size=2
)


@st.composite
def _cells(draw: st.DrawFn) -> tuple[Cell, ...]:
    number, threads = draw(st.integers(1, 2)), draw(st.sampled_from((2, 1)))
    cores = draw(st.integers(1, 3))
    return tuple(
        Cell(
            id=cell,
            cores=tuple(
                tuple((cell * cores + core) * threads + thread for thread in range(threads)) for core in range(cores)
            ),
            memory=draw(st.integers(0, 6)) * GI,
            huge_pages=draw(mostly({}, st.dictionaries(st.sampled_from((2 * MI, GI)), _units(4), max_size=2))),
        )
        for cell in range(number)
    )


def _units(most: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.integers(least, most).map(lambda units: units * GI)


@st.composite
def hosts(draw: st.DrawFn, name: str, *, usable: bool = False) -> Host:
    """A host of that name; with `usable` one that is only short of things, never out of order."""
    cells = draw(mostly((), _cells()))
    cpus = [cpu for cell in cells for core in cell.cores for cpu in core]
    numbers = st.sampled_from([None, *(cell.id for cell in cells)])
    addresses = [f"0000:{number:02x}:00.0" for number in range(draw(mostly(0, st.integers(1, 3))))]
    fault = st.just("") if usable else mostly("", st.sampled_from(("no heartbeat", "draining")))
    return Host(
        name,
        labelled=usable or draw(mostly(True, st.booleans())),
        trouble=draw(fault),
        maintenance=not usable and draw(mostly(False, st.booleans())),
        disabled=draw(fault),
        total=Resources(draw(st.integers(0, 8)), draw(_units(8)), draw(_units(8))),
        labels=dict(draw(labels("rack", "row"))),
        taints=draw(mostly((), st.lists(_taints, max_size=2).map(tuple))),
        zones=draw(st.sampled_from((("az1",), ("az1",), ("az2",), (), () if usable else ("az1", "az2")))),
        aggregates=draw(aggregate_lists()),
        architecture=draw(mostly("x86_64", st.sampled_from(("aarch64", "")))),
        domain_type=draw(mostly("kvm", st.sampled_from(("qemu", "")))),
        firmware=draw(mostly(frozenset({"bios", "efi"}), st.just(frozenset({"bios"})))),
        traits=draw(st.frozensets(st.sampled_from(("AVX2", "TPM")))),
        qemu_version=draw(st.sampled_from((0, 7_002_000, 8_000_000))),
        dedicated=frozenset(draw(st.sets(st.sampled_from(cpus)))) if cpus else frozenset(),
        cells=cells,
        devices=tuple(Device(draw(st.sampled_from(("gpu", "nic"))), address, draw(numbers)) for address in addresses),
        max_instances=draw(mostly(NO_LIMIT, st.integers(0, 3))),
        max_builds=draw(mostly(NO_LIMIT, st.integers(0, 2))),
        multipliers=draw(mostly({}, _multipliers)),
    )


_effects = st.sampled_from(("NoSchedule", "NoExecute", "PreferNoSchedule"))
_taints = st.builds(Taint, st.sampled_from(("spot", "gpu")), st.sampled_from(("", "1")), _effects)


@st.composite
def _tolerations(draw: st.DrawFn) -> Toleration:
    effect = draw(st.one_of(st.just(""), _effects))
    if draw(st.booleans()):
        return Toleration(draw(st.sampled_from(("spot", "gpu", ""))), "Exists", "", effect)
    return Toleration(draw(st.sampled_from(("spot", "gpu"))), "Equal", draw(st.sampled_from(("", "1"))), effect)


@st.composite
def _requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from(("=", "!=", "<", "<=", ">", ">=", "In", "NotIn", "AllIn")))
    many = operator in ("In", "NotIn", "AllIn")
    words = ("2", "10", "2.5") if operator[0] in "<>" else ("ssd", "2", "10", "")
    values = draw(st.lists(st.sampled_from(words), min_size=1, max_size=2 if many else 1, unique=True))
    return Requirement(draw(st.sampled_from(("disk", "speed"))), operator, tuple(values))


_devices = st.builds(DeviceWant, st.sampled_from(("gpu", "nic")), st.integers(1, 2), near=st.booleans())
_names = st.sampled_from(NAMES)


@st.composite
def requests(draw: st.DrawFn, *, group: st.SearchStrategy[Group | None] | None = None) -> Request:
    """What some Instance wants."""
    cells = draw(mostly(0, st.integers(1, 2)))
    page_size = draw(mostly(0, st.sampled_from((2 * MI, GI))))
    dedicated = draw(mostly(False, st.booleans()))
    return Request(
        vcpus=draw(st.integers(1, 3)) * max(cells, 1),
        memory=draw(st.integers(1, 3)) * max(cells, 1) * GI,
        disk=draw(_units(3)),
        namespace_labels=draw(labels("team", "level")),
        confined_to=draw(mostly(None, st.frozensets(st.sampled_from(AGGREGATES)))),
        image=draw(st.sampled_from(IMAGES)),
        image_labels=draw(labels("team", "level")),
        image_confined_to=draw(mostly(None, st.frozensets(st.sampled_from(AGGREGATES)))),
        zone=draw(mostly("", st.sampled_from(("az1", "az2", "az3")))),
        node_selector=draw(mostly((), labels("rack", "row"))),
        tolerations=draw(mostly((), st.lists(_tolerations(), max_size=2).map(tuple))),
        node_name=draw(mostly("", mostly("", _names))),
        excluded=draw(mostly(frozenset(), st.frozensets(_names, max_size=2))),
        same_hosts=draw(mostly(frozenset(), mostly(frozenset(), st.frozensets(_names, max_size=2)))),
        different_hosts=draw(mostly(frozenset(), st.frozensets(_names, max_size=2))),
        group=draw(group if group is not None else mostly(None, st.sampled_from(GROUPS))),
        architecture=draw(mostly("", st.sampled_from(("x86_64", "aarch64")))),
        domain_type=draw(mostly("", st.sampled_from(("kvm", "qemu")))),
        firmware=draw(mostly("", st.sampled_from(("bios", "efi")))),
        required_traits=draw(mostly(frozenset(), st.frozensets(st.sampled_from(("AVX2", "TPM"))))),
        forbidden_traits=draw(mostly(frozenset(), st.frozensets(st.sampled_from(("AVX2", "TPM"))))),
        requirements=draw(mostly((), st.lists(_requirements(), max_size=2).map(tuple))),
        dedicated=dedicated,
        threads=draw(mostly("Prefer", st.sampled_from(("Require", "Isolate")))) if dedicated else "Prefer",
        cells=cells,
        page_size=page_size,
        devices=draw(
            mostly((), st.lists(_devices, max_size=2, unique_by=lambda device: device.alias).map(tuple)),
        ),
    )


_allocations = st.builds(
    Allocation,
    cells=st.lists(
        st.builds(
            AllocatedCell,
            cell=st.integers(0, 1),
            vcpus=st.just((0,)),
            cpus=st.lists(st.integers(0, 8), max_size=2, unique=True).map(tuple),
            memory=_units(2),
            page_size=st.sampled_from((0, 2 * MI, GI)),
            idle_cpus=st.lists(st.integers(9, 11), max_size=1).map(tuple),
        ),
        max_size=2,
        unique_by=lambda cell: cell.cell,
    ).map(tuple),
    devices=st.lists(st.sampled_from((("gpu", "0000:00:00.0"), ("nic", "0000:01:00.0"))), max_size=2, unique=True).map(
        tuple
    ),
)


def claims(on: st.SearchStrategy[str] = _names) -> st.SearchStrategy[Claim]:
    """What some Instance holds of a host, whether or not the host has it, or is there."""
    return st.builds(
        Claim,
        on,
        st.builds(Resources, st.integers(0, 3), _units(3), _units(3)),
        group=mostly("", st.sampled_from([group.key for group in GROUPS])),
        image=st.sampled_from(IMAGES),
        allocation=mostly(Allocation(), _allocations),
        building=st.booleans(),
    )


def policies(multipliers: Mapping[str, float] | None = None) -> st.SearchStrategy[Policy]:
    """What an administrator sets; the best host is chosen, never one by chance."""
    said = st.just(multipliers) if multipliers is not None else mostly({}, _multipliers)
    return st.builds(Policy, strategy=st.sampled_from(("Spread", "Stack")), multipliers=said)
