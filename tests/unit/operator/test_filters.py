"""Each filter: whom it passes, and what it says of those it doesn't."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_api.selectors import LabelSelector
from hypernova_operator.scheduler import (
    Aggregate,
    AllocatedCell,
    Allocation,
    Cell,
    Claim,
    Device,
    DeviceWant,
    Group,
    Host,
    HostTable,
    Isolation,
    Refusal,
    Request,
    Requirement,
    Reserve,
    Taint,
    Toleration,
    decide,
    explain,
)
from hypernova_operator.scheduler.filters import FILTERS, Filter
from hypernova_operator.scheduler.headroom import InAggregate, InZone
from support.scheduling import GI, MI, a_claim, a_host, a_table, a_want

BY_NAME = {type(filter_).__name__: filter_ for filter_ in FILTERS}

CELL = Cell(0, ((0,), (1,), (2,), (3,)), 8 * GI, {2 * MI: 4 * GI})
GPUS = (Device("gpu", "0000:01:00.0", 0), Device("gpu", "0000:02:00.0", 1), Device("nic", "0000:03:00.0", None))
NOT_FOR_US = Taint("dedicated", "db", "NoSchedule")
MEMBER = a_want(group=Group("shop/web", "Affinity", 1))


def an_aggregate(name: str = "rack-1", **metadata: str) -> Aggregate:
    """With values of each key between commas."""
    return Aggregate(name, {key: frozenset(value.split(",")) for key, value in metadata.items()})


def kept_for(name: str, projects: dict[str, str] | None = None, images: dict[str, str] | None = None) -> Aggregate:
    """An aggregate that takes only namespaces, or Images, with these labels."""
    isolated = [
        None if labels is None else Isolation(LabelSelector(match_labels=labels), confine=False)
        for labels in (projects, images)
    ]
    return Aggregate(name, {}, *isolated)


def lost_by(filter_: Filter, hosts: HostTable, want: Request) -> tuple[set[str], str]:
    """The names of the hosts that a filter rules out, and its words for it."""
    lost = ~filter_.mask(hosts, want)
    names = {hosts.at(int(row)).name for row in np.flatnonzero(lost)}
    return names, filter_.reason(hosts, want, lost) if names else ""


@dataclass(frozen=True)
class Case:
    """Some hosts that are good, some that are not, and what is said of these."""

    filter: str
    words: str
    bad: list[Host]
    good: list[Host] = field(default_factory=list)
    want: Request = field(default_factory=a_want)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    reserves: Mapping[str, Reserve] = field(default_factory=dict)

    def table(self) -> HostTable:
        """The hosts and claims."""
        table = a_table(*self.bad, *self.good)
        for key, claim in self.claims.items():
            table.claim(key, claim)
        table.reserves.update(self.reserves)
        return table


def hosts(names: str, **fields: Any) -> list[Host]:
    """One of each letter, all alike."""
    return [a_host(name, **fields) for name in names]


CASES = {
    "a node without the label": Case(
        "NodeLabelled", "without the node label compute.hypernova.dev/hypervisor=true", hosts("ab", labelled=False)
    ),
    "a host in two zones": Case(
        "NoConflict",
        "in two zones at once (a: az1, az2)",
        hosts("a", zones=("az1", "az2")),
        [a_host("b", zones=("az1",)), a_host("c")],
    ),
    "hosts in more than two": Case(
        "NoConflict",
        "in several zones at once (a: az1, az2; b: az1, az2, az3)",
        [a_host("a", zones=("az1", "az2")), a_host("b", zones=("az1", "az2", "az3"))],
    ),
    "a host with two CPU models": Case(
        "NoConflict",
        "with two CPU models at once (a: EPYC, EPYC-Milan)",
        hosts("a", cpu_models=("EPYC", "EPYC-Milan")),
        [a_host("b", cpu_models=("EPYC",)), a_host("c")],
    ),
    "hosts with conflicts of all kinds": Case(
        "NoConflict",
        "in two zones at once (a: az1, az2) or with several CPU models at once (b: x, y, z)",
        [a_host("a", zones=("az1", "az2")), a_host("b", cpu_models=("x", "y", "z"))],
    ),
    "an agent that is not heard of": Case(
        "AgentAlive", "without a working agent (no heartbeat: a)", hosts("a", trouble="no heartbeat")
    ),
    "agents in all kinds of trouble, grouped": Case(
        "AgentAlive",
        "without a working agent (no heartbeat: a, b, c and 2 more; not ready, PoolInactive: x)",
        [*hosts("edcba", trouble="no heartbeat"), a_host("x", trouble="not ready, PoolInactive")],
    ),
    "a disabled host, with the administrator's reason": Case(
        "Enabled", "disabled (fan is dying)", hosts("a", disabled="fan is dying")
    ),
    "administrators' reasons, each once": Case(
        "Enabled", "disabled (fan, new kernel)", [*hosts("ab", disabled="fan"), a_host("c", disabled="new kernel")]
    ),
    "a host in maintenance": Case("NotInMaintenance", "in maintenance", hosts("a", maintenance=True)),
    "all but the node asked for": Case(
        "RequestedHost", "not the node asked for (c)", hosts("ab"), hosts("c"), a_want(node_name="c")
    ),
    "a node asked for that is no host": Case(
        "RequestedHost", "not the node asked for (x, which is no host)", hosts("a"), want=a_want(node_name="x")
    ),
    "all but the node that has its Image": Case(
        "ImageHost",
        "without its Image (a snapshot that is only on node c)",
        hosts("ab"),
        hosts("c"),
        a_want(image_host="c"),
    ),
    "an Image that only a node has which is no host": Case(
        "ImageHost",
        "without its Image (a snapshot that is only on node x, which is no host)",
        hosts("a"),
        want=a_want(image_host="x"),
    ),
    "where a migration comes from": Case(
        "NotExcluded",
        "left out, as it comes from there or failed there before",
        hosts("a"),
        hosts("b"),
        a_want(excluded=frozenset({"a", "gone"})),
    ),
    "where the Instances it must be with are not": Case(
        "SameHost",
        "without all Instances it must be with (on c)",
        hosts("ab"),
        hosts("c"),
        a_want(same_hosts=frozenset({"c"})),
    ),
    "Instances to be with that are apart": Case(
        "SameHost",
        "without all Instances it must be with (on a, b, apart from each other)",
        hosts("abc"),
        want=a_want(same_hosts=frozenset({"a", "b"})),
    ),
    "where Instances are that it must not be with": Case(
        "DifferentHost",
        "with an Instance it must not be with (on a, b, gone)",
        hosts("ab"),
        hosts("c"),
        a_want(different_hosts=frozenset({"a", "b", "gone"})),
    ),
    "another zone, or none": Case(
        "Zone",
        "not in zone az1",
        [a_host("a", zones=("az2",)), a_host("b"), a_host("c", zones=("az1", "az2"))],
        hosts("d", zones=("az1",)),
        a_want(zone="az1"),
    ),
    "a zone nobody has heard of": Case("Zone", "not in zone nowhere", hosts("a"), want=a_want(zone="nowhere")),
    "a label that is missing": Case(
        "NodeSelector",
        "without the node labels asked for (need disk=ssd)",
        [a_host("a"), a_host("b", labels={"disk": "hdd"})],
        [a_host("c", labels={"disk": "ssd", "rack": "r1"})],
        a_want(node_selector=(("disk", "ssd"),)),
    ),
    "labels of which one is missing": Case(
        "NodeSelector",
        "without the node labels asked for (need disk=ssd, rack=r7; nearest: b lacks rack=r7)",
        [a_host("a"), a_host("c", labels={"rack": "r7"}), a_host("b", labels={"disk": "ssd"})],
        want=a_want(node_selector=(("disk", "ssd"), ("rack", "r7"))),
    ),
    "taints": Case(
        "Taints",
        "with a taint it does not tolerate (broken:NoExecute, dedicated=db:NoSchedule)",
        [a_host("a", taints=(NOT_FOR_US,)), a_host("b", taints=(NOT_FOR_US, Taint("broken", "", "NoExecute")))],
        [a_host("c"), a_host("d", taints=(Taint("gpu", "", "NoSchedule"), Taint("slow", "", "PreferNoSchedule")))],
        a_want(tolerations=(Toleration("gpu", "Exists", "", ""),)),
    ),
    "traits": Case(
        "RequiredTraits",
        "lack traits (need HW_A, HW_B, HW_C; nearest: b lacks HW_C)",
        [a_host("a", traits=frozenset({"HW_A"})), a_host("b", traits=frozenset({"HW_A", "HW_B"}))],
        [a_host("c", traits=frozenset({"HW_A", "HW_B", "HW_C"}))],
        a_want(required_traits=frozenset({"HW_C", "HW_A", "HW_B"})),
    ),
    "one host without a trait": Case(
        "RequiredTraits", "lacks traits (need HW_A)", hosts("a"), want=a_want(required_traits=frozenset({"HW_A"}))
    ),
    "traits nobody wants": Case(
        "ForbiddenTraits",
        "with forbidden traits (HW_A)",
        [a_host("a", traits=frozenset({"HW_A", "HW_C"}))],
        [a_host("b", traits=frozenset({"HW_C"}))],
        a_want(forbidden_traits=frozenset({"HW_A", "HW_B"})),
    ),
    "another architecture": Case(
        "ImageProperties",
        "unable to run its Image (need aarch64)",
        [a_host("a", architecture="x86_64"), a_host("b")],
        [a_host("c", architecture="aarch64")],
        a_want(architecture="aarch64"),
    ),
    "everything but the firmware": Case(
        "ImageProperties",
        "unable to run its Image (need UEFI, kvm, x86_64; nearest: b lacks UEFI)",
        [
            a_host("a", architecture="x86_64"),
            a_host("b", architecture="x86_64", domain_type="kvm", firmware=frozenset({"BIOS"})),
        ],
        [a_host("c", architecture="x86_64", domain_type="kvm", firmware=frozenset({"BIOS", "UEFI"}))],
        a_want(architecture="x86_64", domain_type="kvm", firmware="UEFI"),
    ),
    "hosts kept for other namespaces, also where another aggregate would take it": Case(
        "ProjectIsolation",
        "kept for other namespaces (by aggregates acme, globex)",
        [
            a_host("a", aggregates=(kept_for("acme", {"team": "acme"}),)),
            a_host("b", aggregates=(kept_for("globex", {"team": "globex"}), kept_for("shops", {"kind": "shop"}))),
        ],
        [a_host("c"), a_host("d", aggregates=(kept_for("shops", {"kind": "shop"}), an_aggregate()))],
        a_want(namespace_labels=(("kind", "shop"), ("team", "initech"))),
    ),
    "hosts elsewhere than its namespace is confined to": Case(
        "ProjectConfinement",
        "outside what its namespace is confined to (aggregate acme)",
        [a_host("a"), a_host("b", aggregates=(an_aggregate("globex"),))],
        [a_host("c", aggregates=(an_aggregate("acme"), an_aggregate("globex")))],
        a_want(confined_to=frozenset({"acme"})),
    ),
    "hosts kept for other Images": Case(
        "ImageIsolation",
        "kept for other Images (by aggregate windows)",
        [a_host("a", aggregates=(kept_for("windows", images={"os": "windows"}),))],
        [a_host("b"), a_host("c", aggregates=(kept_for("linux", images={"os": "linux"}),))],
        a_want(image_labels=(("os", "linux"),)),
    ),
    "hosts elsewhere than its Image is confined to": Case(
        "ImageConfinement",
        "outside what its Image is confined to (aggregates w1, w2)",
        hosts("a"),
        hosts("b", aggregates=(an_aggregate("w2"),)),
        a_want(image_confined_to=frozenset({"w1", "w2"})),
    ),
    "aggregates that say something else": Case(
        "AggregateRequirements",
        "without the aggregate metadata asked for "
        "(need disk = ssd, net In (10g, 25g), ram > 64; nearest: b lacks ram > 64)",
        [
            a_host("a", aggregates=(an_aggregate(disk="ssd"),)),
            a_host("b", aggregates=(an_aggregate(disk="ssd", ram="64"), an_aggregate("net", net="1g,10g"))),
        ],
        [a_host("c", aggregates=(an_aggregate(disk="hdd,ssd"), an_aggregate("x", net="25g"), an_aggregate(ram="65")))],
        a_want(
            requirements=(
                Requirement("disk", "=", ("ssd",)),
                Requirement("net", "In", ("10g", "25g")),
                Requirement("ram", ">", ("64",)),
            )
        ),
    ),
    "as many Instances as may be": Case(
        "InstancesPerHost",
        "at the limit of Instances (0 to 1)",
        [a_host("a", max_instances=1), a_host("b", max_instances=0)],
        [a_host("c", max_instances=1)],
        claims={"1": a_claim("a")},
    ),
    "as many builds as may be": Case(
        "BuildsPerHost",
        "at the limit of Instances being built at once (1)",
        [a_host("a", max_builds=1)],
        [a_host("b", max_builds=1), a_host("c", max_builds=2)],
        claims={"1": a_claim("a", building=True), "2": a_claim("b"), "3": a_claim("c", building=True)},
    ),
    "too few vCPUs": Case(
        "EnoughVcpus",
        "lacks vCPUs (need 2, most free 1)",
        hosts("a", vcpus=1),
        hosts("b", vcpus=2),
        a_want(vcpus=2),
    ),
    "vCPUs beyond what there is": Case(
        "EnoughVcpus", "lack vCPUs (need 2, most free 0)", [*hosts("a", vcpus=-3), *hosts("b", vcpus=0)], want=a_want(2)
    ),
    "too little memory": Case(
        "EnoughMemory",
        "lack memory (need 8Gi, most free 3Gi)",
        [a_host("a", memory=GI), a_host("b", memory=3 * GI)],
        hosts("c", memory=8 * GI),
        a_want(memory=8 * GI),
    ),
    "a host that shrank below its claims": Case(
        "EnoughMemory",
        "lacks memory (need 1Gi, most free 0)",
        hosts("a", memory=GI),
        claims={"1": a_claim("a", a_want(memory=4 * GI))},
    ),
    "too little disk": Case(
        "EnoughDisk",
        "lacks disk (need 10Gi, most free 5Gi)",
        hosts("a", disk=5 * GI),
        hosts("b", disk=10 * GI),
        a_want(disk=10 * GI),
    ),
    "no dedicated CPUs": Case(
        "EnoughDedicatedCpus",
        "without dedicated CPUs (need 2; spec.dedicatedCpus of a Hypervisor sets them apart)",
        hosts("a"),
        want=a_want(2, dedicated=True),
    ),
    "dedicated CPUs that others have": Case(
        "EnoughDedicatedCpus",
        "lack dedicated CPUs (need 2, most free 1)",
        [a_host("a", dedicated=frozenset({0, 1})), a_host("b")],
        [a_host("c", dedicated=frozenset({0, 1}))],
        a_want(2, dedicated=True),
        {"1": a_claim("a", allocation=Allocation((AllocatedCell(0, (0,), (1,), GI),)))},
    ),
    "huge pages that others have": Case(
        "EnoughHugePages",
        "lack huge pages of 2Mi (need 4Gi, most free 1Gi)",
        [a_host("a", cells=(CELL,)), a_host("b")],
        [a_host("c", cells=(CELL,))],
        a_want(memory=4 * GI, page_size=2 * MI),
        {"1": a_claim("a", allocation=Allocation((AllocatedCell(0, (0,), (), 3 * GI, 2 * MI),)))},
    ),
    "huge pages of another size": Case(
        "EnoughHugePages",
        "lacks huge pages of 1Gi (need 1Gi, most free 0)",
        [a_host("a", cells=(CELL,))],
        want=a_want(page_size=GI),
    ),
    "too few cells": Case(
        "EnoughCells",
        "lack NUMA cells (need 2, most 1)",
        [a_host("a"), a_host("b", cells=(CELL,))],
        [a_host("c", cells=(CELL, CELL))],
        a_want(cells=2),
    ),
    "devices that others have": Case(
        "EnoughDevices",
        "lack PCI devices (need 2 gpu, most free 1; need 1 nic, most free 0)",
        [a_host("a", devices=GPUS), a_host("b")],
        [a_host("c", devices=GPUS)],
        a_want(devices=(DeviceWant("nic", 1, near=False), DeviceWant("gpu", 2, near=True))),
        {"1": a_claim("a", allocation=Allocation(devices=(("gpu", "0000:02:00.0"),)))},
    ),
    "devices of one kind for flavor and image": Case(
        "EnoughDevices",
        "lacks PCI devices (need 3 gpu, most free 2)",
        [a_host("a", devices=GPUS)],
        want=a_want(devices=(DeviceWant("gpu", 2, near=False), DeviceWant("gpu", 1, near=True))),
    ),
    "hosts without members of a group that is together": Case(
        "GroupAffinity",
        "without a member of group shop/web (they are on c)",
        hosts("ab"),
        hosts("c"),
        MEMBER,
        {"1": a_claim("c", MEMBER), "2": a_claim("a")},
    ),
    "hosts with members of a group that is apart": Case(
        "GroupAntiAffinity",
        "with enough members of group shop/web (at most 2 on a host)",
        hosts("a"),
        hosts("bc"),
        a_want(group=Group("shop/web", "AntiAffinity", 2)),
        {"1": a_claim("a", MEMBER), "2": a_claim("a", MEMBER), "3": a_claim("b", MEMBER)},
    ),
    "what is free is kept for hosts that fail": Case(
        "KeepsReserve",
        "with no room beyond the failover reserve (HostAggregate rack-1 must keep 8 vCPUs free, 7 would be left)",
        hosts("ab", vcpus=8, memory=4 * GI, aggregates=(an_aggregate("rack-1"),)),
        [a_host("c"), a_host("d", zones=("az1",)), a_host("e", zones=("az1",))],
        a_want(1, GI),
        {"1": a_claim("a", a_want(8, 3 * GI + GI // 2))},
        {
            "HostAggregate rack-1": Reserve(1, InAggregate("rack-1")),
            "AvailabilityZone az1": Reserve(1, InZone("az1")),
        },
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_filter_rules_out_and_says_why(case: Case) -> None:
    filter_ = BY_NAME[case.filter]
    assert filter_.applies(case.want)
    assert lost_by(filter_, case.table(), case.want) == ({host.name for host in case.bad}, case.words)


def test_the_sentence_tells_the_greatest_loss_first_and_counts_each_host_once() -> None:
    cloud = a_table(
        *(a_host(f"full-{number}", memory=number * GI, zones=("az1",)) for number in range(7)),
        *(a_host(f"maintained-{number}", maintenance=True, memory=0) for number in range(3)),
        *(a_host(f"elsewhere-{number}", zones=("az2",), memory=0) for number in range(2)),
    )
    refusal = decide(cloud, a_want(memory=8 * GI, zone="az1"))
    assert isinstance(refusal, Refusal)
    assert explain(refusal) == (
        "0/12 hosts fit: 7 lack memory (need 8Gi, most free 6Gi), 3 in maintenance, 2 not in zone az1"
    )


def test_every_filter_is_tested_here() -> None:
    assert {case.filter for case in CASES.values()} == set(BY_NAME)


def test_filters_say_what_passes_in_a_sentence() -> None:
    for filter_ in FILTERS:
        assert (type(filter_).__doc__ or "").splitlines()[0].endswith(".")


def test_what_drifts_is_what_is_asked_for_good_of_what_a_host_is() -> None:
    assert {name for name, filter_ in BY_NAME.items() if filter_.lasting} == {
        "Zone",
        "NodeSelector",
        "AggregateRequirements",
        "ProjectIsolation",
        "ProjectConfinement",
        "ImageIsolation",
        "ImageConfinement",
        "ImageProperties",
        "RequiredTraits",
        "ForbiddenTraits",
    }


def test_a_group_that_is_to_be_together_begins_anywhere() -> None:
    assert lost_by(BY_NAME["GroupAffinity"], a_table(*hosts("ab")), MEMBER)[0] == set()


def test_a_group_whose_members_are_on_hosts_that_are_gone_fits_nowhere() -> None:
    table = a_table(*hosts("ab"))
    table.claim("1", a_claim("gone", MEMBER))
    assert lost_by(BY_NAME["GroupAffinity"], table, MEMBER)[0] == {"a", "b"}


def test_amounts_beyond_all_hosts_are_refused_not_overflown() -> None:
    huge = a_want(10**30, 10**30, 10**30, page_size=0)
    for name in ("EnoughVcpus", "EnoughMemory", "EnoughDisk"):
        assert lost_by(BY_NAME[name], a_table(a_host("a", memory=10**30)), huge)[0] == {"a"}


def test_the_nearest_miss_is_the_first_by_name_in_whatever_order_hosts_came() -> None:
    want = a_want(node_selector=(("x", "1"), ("y", "1")))
    for order in ("ab", "ba"):
        table = a_table(*hosts(order, labels={"x": "1"}))
        assert lost_by(BY_NAME["NodeSelector"], table, want)[1].endswith("nearest: a lacks y=1)")


POOLS = [
    Aggregate("plain"),
    kept_for("acme", {"team": "acme"}),
    kept_for("windows", images={"os": "windows"}),
    an_aggregate("ssd", disk="ssd"),
]

ANY_HOST = st.builds(
    a_host,
    st.sampled_from("abcdef"),
    vcpus=st.integers(-2, 4),
    memory=st.integers(-2, 4).map(lambda number: number * GI),
    disk=st.integers(-2, 4).map(lambda number: number * GI),
    zones=st.sampled_from([(), ("az1",), ("az2",), ("az1", "az2")]),
    labels=st.sampled_from([{}, {"disk": "ssd"}]),
    taints=st.sampled_from([(), (NOT_FOR_US,)]),
    traits=st.sampled_from([frozenset[str](), frozenset({"HW_A"})]),
    aggregates=st.lists(st.sampled_from(POOLS), unique_by=lambda pool: pool.name).map(tuple),
    architecture=st.sampled_from(["", "x86_64"]),
    dedicated=st.sampled_from([frozenset[int](), frozenset({0, 1})]),
    cells=st.sampled_from([(), (CELL,)]),
    devices=st.sampled_from([(), GPUS]),
    max_instances=st.integers(0, 2),
    max_builds=st.integers(0, 2),
)

ANY_WANT = st.builds(
    Request,
    st.integers(1, 3),
    st.integers(1, 3).map(lambda number: number * GI),
    st.integers(0, 3).map(lambda number: number * GI),
    namespace_labels=st.sampled_from([(), (("team", "acme"),)]),
    confined_to=st.sampled_from([None, frozenset[str](), frozenset({"acme"})]),
    image_host=st.sampled_from(["", "a", "x"]),
    image_labels=st.sampled_from([(), (("os", "windows"),)]),
    image_confined_to=st.sampled_from([None, frozenset({"windows"})]),
    zone=st.sampled_from(["", "az1", "az3"]),
    node_selector=st.sampled_from([(), (("disk", "ssd"),)]),
    tolerations=st.sampled_from([(), (Toleration("", "Exists", "", ""),)]),
    node_name=st.sampled_from(["", "a", "x"]),
    excluded=st.sampled_from([frozenset[str](), frozenset({"a"})]),
    evacuated=st.booleans(),
    same_hosts=st.sampled_from([frozenset[str](), frozenset({"a"}), frozenset({"a", "b"})]),
    different_hosts=st.sampled_from([frozenset[str](), frozenset({"b"})]),
    group=st.none()
    | st.builds(
        Group,
        st.just("shop/web"),
        st.sampled_from(["Affinity", "AntiAffinity", "SoftAffinity", "SoftAntiAffinity"]),
        st.integers(1, 2),
    ),
    architecture=st.sampled_from(["", "x86_64"]),
    required_traits=st.sampled_from([frozenset[str](), frozenset({"HW_A"})]),
    forbidden_traits=st.sampled_from([frozenset[str](), frozenset({"HW_A"})]),
    requirements=st.sampled_from([(), (Requirement("disk", "=", ("ssd",)),)]),
    dedicated=st.booleans(),
    cells=st.integers(0, 2),
    page_size=st.sampled_from([0, 2 * MI]),
    devices=st.sampled_from([(), (DeviceWant("gpu", 1, near=False),)]),
)


@given(st.lists(ANY_HOST, min_size=1), st.lists(st.tuples(st.sampled_from("abcdef"), ANY_WANT), max_size=5), ANY_WANT)
def test_a_filter_that_does_not_apply_would_pass_every_host(
    cloud: list[Host], claims: list[tuple[str, Request]], want: Request
) -> None:
    table = a_table(*cloud)
    for number, (host, claimed) in enumerate(claims):
        table.claim(str(number), a_claim(host, claimed, building=number % 2 == 0))
    table.reserves["AvailabilityZone az1"] = Reserve(1, InZone("az1"))
    for filter_ in FILTERS:
        mask = filter_.mask(table, want)
        assert mask.dtype == np.bool_
        assert mask.shape == (len(table),)
        assert filter_.applies(want) or mask.all()
        if not mask.all():
            assert filter_.reason(table, want, ~mask)
