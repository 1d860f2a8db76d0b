"""The status of a HostAggregate. Pure: cache and table are only read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

import numpy as np

from hypernova_api.aggregate import HostAggregateStatus, HostCount
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import HostAggregate
from hypernova_operator.controllers.observed import Observed, only
from hypernova_operator.controllers.statuses.hosts import failover, total
from hypernova_operator.scheduler import Host, HostTable
from hypernova_operator.scheduler.filters.isolation import Admit, OneOf, Side, isolation_of
from hypernova_operator.scheduler.headroom import usable
from hypernova_operator.scheduler.request import Labels

MOST_NODES = 1024
"""Names that a status takes."""

_TAKES_NOTHING = "it takes nothing new until one of them lets it go"


def status(aggregate: HostAggregate, cache: Cache, hosts: HostTable, now: datetime) -> HostAggregateStatus:
    """What an aggregate means now."""
    name = aggregate.key.name
    members = np.flatnonzero(hosts.where_aggregates(OneOf(frozenset({name}))))
    members = members[np.argsort(hosts.rank[members])]
    there = [hosts.at(row) for row in members.tolist()]
    in_use = members[usable(hosts)[members]]
    observed = [_ready(aggregate, cache, len(members)), _conflict(aggregate, cache, there)]
    reserve = hosts.reserves.get(f"HostAggregate {name}")
    if reserve is not None:
        observed.append(failover(hosts, reserve))
    return HostAggregateStatus(
        observed_generation=aggregate.generation,
        nodes=[host.name for host in there[:MOST_NODES]],
        hosts=HostCount(total=len(members), usable=len(in_use)),
        instances=int(hosts.instances[members].sum()),
        capacity=total(hosts.vcpus_total[in_use], hosts.memory_total[in_use], hosts.disk_total[in_use]),
        free=total(hosts.vcpus_free[in_use], hosts.memory_free[in_use], hosts.disk_free[in_use]),
        conditions=only(aggregate.status.conditions, aggregate.generation, now, *observed),
    )


def _ready(aggregate: HostAggregate, cache: Cache, hosts: int) -> Observed:
    if aggregate.zone and cache.zone(aggregate.zone) is None:
        message = (
            f'there is no AvailabilityZone "{aggregate.zone}", so that nobody can ask for it: create it, or correct '
            "spec.availabilityZone"
        )
        return Observed("Ready", "False", "AvailabilityZoneNotFound", message)
    if not hosts:
        message = "no host is selected: look at nodeSelector and nodes, and at the labels of the nodes"
        return Observed("Ready", "False", "NoHostSelected", message)
    return Observed("Ready", "True", "Ready", "")


def _conflict(aggregate: HostAggregate, cache: Cache, members: list[Host]) -> Observed:
    if words := _in_several_zones(aggregate, cache, members):
        return Observed("Conflict", "True", "HostInSeveralZones", words)
    if words := _with_several_cpu_models(aggregate, cache, members):
        return Observed("Conflict", "True", "HostWithSeveralCpuModels", words)
    namespaces = {each.labels for each in cache.namespaces.store} if aggregate.judged.projects else set()
    images = {each.labels for each in cache.images.store} if aggregate.judged.images else set()
    name = aggregate.key.name
    words = _kept_for_nobody(name, members, namespaces, "projects", "namespaces")
    if words := words or _kept_for_nobody(name, members, images, "images", "Images"):
        return Observed("Conflict", "True", "ContradictoryIsolation", words)
    return Observed("Conflict", "False", "NoConflict", "")


def _in_several_zones(aggregate: HostAggregate, cache: Cache, members: list[Host]) -> str:
    """In words, with the other aggregate; empty if there is no such host."""
    confused = [host for host in members if len(host.zones) > 1] if aggregate.zone else []
    for host in confused[:1]:
        elsewhere = [
            f"in zone {other.zone} by HostAggregate {other.key.name}"
            for other in _aggregates_of(host, cache)
            if other.zone not in ("", aggregate.zone)
        ]
        return (
            f"host {host.name} is in zone {aggregate.zone} by this aggregate and "
            f"{' and '.join(elsewhere)}{_more(confused)}: {_TAKES_NOTHING}"
        )
    return ""


def _with_several_cpu_models(aggregate: HostAggregate, cache: Cache, members: list[Host]) -> str:
    """In words, with the other aggregate; empty if there is no such host."""
    confused = [host for host in members if len(host.cpu_models) > 1] if aggregate.cpu_model else []
    for host in confused[:1]:
        others = [
            f"{other.cpu_model} by HostAggregate {other.key.name}"
            for other in _aggregates_of(host, cache)
            if other.cpu_model not in ("", aggregate.cpu_model)
        ]
        return (
            f"guests on host {host.name} are to see CPU model {aggregate.cpu_model} by this aggregate and "
            f"{' and '.join(others)}{_more(confused)}: {_TAKES_NOTHING}"
        )
    return ""


def _aggregates_of(host: Host, cache: Cache) -> Iterator[HostAggregate]:
    for each in host.aggregates:
        if (record := cache.aggregates.store.get(Key("", each.name))) is not None:
            yield record


def _more(confused: list[Host]) -> str:
    return f", and so are {len(confused) - 1} more" if len(confused) > 1 else ""


def _kept_for_nobody(name: str, members: list[Host], there_are: Collection[Labels], side: Side, whom: str) -> str:
    """What is wrong if aggregates together keep a host for none of those there are, in words; else empty.

    Those there are, namespaces or Images, are told by their labels.
    """
    if not there_are:
        return ""
    admitted = [Admit(side, labels) for labels in there_are]
    # One host for each combination of aggregates, which share them: the first by name.
    for host in {tuple(map(id, host.aggregates)): host for host in reversed(members)}.values():
        aggregates = host.aggregates
        others = [each.name for each in aggregates if isolation_of(each, side) is not None and each.name != name]
        if others and not any(admits(aggregates) for admits in admitted):
            return (
                f"host {host.name} takes no Instance: this aggregate and HostAggregate {' and '.join(others)} keep it "
                f"for different {whom}; let one of them let it go, or admit the same"
            )
    return ""
