"""Each filter: whom it passes, and what it says of those it doesn't."""

from __future__ import annotations

import numpy as np
import pytest

from hypernova_operator.scheduler import HostTable, Request
from hypernova_operator.scheduler.filters import FILTERS, Filter
from hypernova_operator.scheduler.filters.alive import AgentAlive
from hypernova_operator.scheduler.filters.allowed import Enabled, NotInMaintenance
from hypernova_operator.scheduler.filters.capacity import EnoughDisk, EnoughMemory, EnoughVcpus
from hypernova_operator.scheduler.filters.labelled import NodeLabelled
from support.scheduling import GI, a_host, a_table, a_want


def lost_by(filter_: Filter, hosts: HostTable, want: Request) -> tuple[set[str], str]:
    """The names of the hosts that a filter rules out, and its words for it."""
    lost = hosts.present & ~filter_.mask(hosts, want)
    names = {hosts.at(int(row)).name for row in np.flatnonzero(lost)}
    return names, filter_.reason(hosts, want, lost) if names else ""


GOOD = a_host("good")

CASES = {
    "a node without the label": (
        NodeLabelled(),
        a_host("bad", labelled=False),
        "without the node label compute.hypernova.dev/hypervisor=true",
    ),
    "an agent that is not heard of": (
        AgentAlive(),
        a_host("bad", trouble="no heartbeat"),
        "without a working agent (no heartbeat: bad)",
    ),
    "a disabled host, with the administrator's reason": (
        Enabled(),
        a_host("bad", disabled="fan is dying"),
        "disabled (fan is dying)",
    ),
    "a host in maintenance": (NotInMaintenance(), a_host("bad", maintenance=True), "in maintenance"),
    "too few vCPUs": (EnoughVcpus(), a_host("bad", vcpus=1), "lacks vCPUs (need 2, most free 1)"),
    "too little memory": (EnoughMemory(), a_host("bad", memory=3 * GI), "lacks memory (need 4Gi, most free 3Gi)"),
    "too little disk": (EnoughDisk(), a_host("bad", disk=5 * GI), "lacks disk (need 10Gi, most free 5Gi)"),
}


@pytest.mark.parametrize(("filter_", "bad", "words"), list(CASES.values()), ids=list(CASES))
def test_a_filter_rules_out_and_says_why(filter_: Filter, bad: object, words: str) -> None:
    hosts = a_table(GOOD, bad)
    assert lost_by(filter_, hosts, a_want(vcpus=2, memory=4 * GI, disk=10 * GI)) == ({"bad"}, words)


def test_every_filter_is_tested_here() -> None:
    assert {type(filter_) for filter_ in FILTERS} == {type(filter_) for filter_, _, _ in CASES.values()}


@pytest.mark.parametrize("filter_", FILTERS, ids=lambda filter_: type(filter_).__name__)
def test_exactly_enough_is_enough(filter_: Filter) -> None:
    hosts = a_table(a_host("a", vcpus=2, memory=4 * GI, disk=10 * GI))
    assert lost_by(filter_, hosts, a_want(vcpus=2, memory=4 * GI, disk=10 * GI)) == (set(), "")


@pytest.mark.parametrize(
    ("filter_", "want"),
    [
        (EnoughVcpus(), a_want(vcpus=3)),
        (EnoughMemory(), a_want(memory=GI + 1)),
        (EnoughDisk(), a_want(disk=GI + 1)),
    ],
    ids=["vcpus", "memory", "disk"],
)
def test_one_too_many_is_too_many(filter_: Filter, want: Request) -> None:
    assert lost_by(filter_, a_table(a_host("a", vcpus=2, memory=GI, disk=GI)), want)[0] == {"a"}


def test_who_claims_no_disk_goes_where_the_pool_is_full() -> None:
    assert lost_by(EnoughDisk(), a_table(a_host("a", disk=-GI)), a_want(disk=0)) == (set(), "")


def test_the_most_free_is_the_nearest_miss_among_the_lost() -> None:
    hosts = a_table(a_host("a", memory=GI), a_host("b", memory=3 * GI), a_host("c", memory=9 * GI))
    assert lost_by(EnoughMemory(), hosts, a_want(memory=8 * GI))[1] == "lack memory (need 8Gi, most free 3Gi)"


def test_a_host_that_shrank_below_its_claims_has_nothing_free() -> None:
    hosts = a_table(a_host("a", memory=4 * GI))
    hosts.claim("uid", "a", a_want(memory=4 * GI).resources)
    hosts.put(a_host("a", memory=GI))
    assert lost_by(EnoughMemory(), hosts, a_want(memory=GI))[1] == "lacks memory (need 1Gi, most free 0)"


def test_troubles_are_grouped_and_their_hosts_named() -> None:
    silent = [a_host(f"node-{letter}", trouble="no heartbeat") for letter in "edcba"]
    broken = a_host("node-x", trouble="not ready, PoolInactive")
    assert lost_by(AgentAlive(), a_table(*silent, broken), a_want())[1] == (
        "without a working agent (no heartbeat: node-a, node-b, node-c and 2 more; not ready, PoolInactive: node-x)"
    )


def test_administrators_reasons_are_told_once_each() -> None:
    hosts = a_table(a_host("a", disabled="new kernel"), a_host("b", disabled="fan"), a_host("c", disabled="fan"))
    assert lost_by(Enabled(), hosts, a_want())[1] == "disabled (fan, new kernel)"
