"""How many more Instances of a kind there is room for. Pure: the table is read, never written."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence

import numpy as np

from hypernova_operator.scheduler.claims import Allocation, Taken, taken
from hypernova_operator.scheduler.decide import passing
from hypernova_operator.scheduler.filters import FILTERS, Filter
from hypernova_operator.scheduler.fit import fit
from hypernova_operator.scheduler.headroom import headroom
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable

MOST = 1_000_000
"""As many fit anywhere: of requests that take nothing, there is no end."""


def capacity(hosts: HostTable, want: Request, filters: Sequence[Filter] = FILTERS) -> Counter[str]:
    """How many more Instances that want this would find a host, by the host's zone; "" for those in none.

    Each may be one after the other, with none going meanwhile. Groups are not looked at: one by one is not what they
    are about. Where aggregates or zones that share hosts all keep a reserve, it may be a few more than this says.
    """
    rows = np.flatnonzero(passing(hosts, want, filters))
    counts: Amounts = np.zeros(len(hosts), np.int64)
    counts[rows] = _by_amounts(hosts, want, rows)
    if want.packed:
        for row in rows:
            host = hosts.at(int(row))
            counts[row] = min(counts[row], _by_packing(host, hosts.taken(host.name), want))
    _keep_reserves(hosts, want, counts)
    zones: Counter[str] = Counter()
    for row in np.flatnonzero(counts):
        zones[hosts.at(int(row)).zone] += int(counts[row])
    return zones


def _by_amounts(hosts: HostTable, want: Request, rows: Amounts) -> Amounts:
    most: Amounts = np.minimum(MOST, hosts.instances_limit[rows] - hosts.instances[rows])
    takes = want.resources
    for free, amount in (
        (hosts.vcpus_free, takes.vcpus),
        (hosts.memory_free, takes.memory),
        (hosts.disk_free, takes.disk),
    ):
        if amount:
            most = np.minimum(most, free[rows] // amount)
    return most


def _by_packing(host: Host, held: Taken, want: Request) -> int:
    """How often it can be packed into one host, one after the other."""
    held, number = copy.deepcopy(held), 0
    while number < MOST and isinstance(packed := fit(host, held, want), Allocation):
        _add(held, taken([packed]))
        number += 1
    return number


def _add(held: Taken, more: Taken) -> None:
    held.cpus |= more.cpus
    held.memory += more.memory
    held.huge_pages += more.huge_pages
    held.devices |= more.devices


def _keep_reserves(hosts: HostTable, want: Request, counts: Amounts) -> None:
    """Take away what a reserve would refuse, from the last rows first."""
    takes = want.resources
    for reserve in hosts.reserves.values():
        room = headroom(hosts, reserve)
        spare = [
            max(free - needed, 0) // amount
            for free, needed, amount in (
                (room.free.vcpus, room.needed.vcpus, takes.vcpus),
                (room.free.memory, room.needed.memory, takes.memory),
                (room.free.disk, room.needed.disk, takes.disk),
            )
            if amount
        ]
        members = np.flatnonzero(hosts.where(reserve.member))
        within = np.cumsum(counts[members])
        counts[members] = np.diff(np.minimum(within, min(spare, default=MOST)), prepend=0)
