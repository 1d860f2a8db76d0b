"""Whether what is free among some hosts is enough for the case that a few of them fail. Pure: the table is only read.

Losing host h costs what is free on it, and what is claimed on it must be placed on the others: they have room for it
when `free - free(h) >= claimed(h)`, `free` being the sum over all. As `free(h) + claimed(h)` is all that h gives out,
that is `free >= total(h)`. Of any n hosts, the worst to lose are those that give out most: a reserve of n holds when
`free` is at least the sum of the n largest totals, for each of vCPUs, memory and disk.

Only hosts that are usable now count, on either side. A host with more claimed than it has counts as having nothing
free, and what is claimed on it as its total. Fragmentation is not looked at: free room that is scattered may not take
one large Instance, nor one that wants a certain zone, trait or device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.resources import Resources
from hypernova_operator.scheduler.table import Amounts, HostTable, Mask, Reserve

_SAFE_SUM = 2**62
"""Sums up to this fit an int64; a host may report nonsense."""


@dataclass(frozen=True, slots=True)
class InAggregate:
    """The host is in the aggregate of that name."""

    name: str

    def __call__(self, host: Host) -> bool:
        return any(aggregate.name == self.name for aggregate in host.aggregates)


@dataclass(frozen=True, slots=True)
class InZone:
    """The host is in the zone of that name, and in no other."""

    name: str

    def __call__(self, host: Host) -> bool:
        return host.zone == self.name


@dataclass(frozen=True, slots=True)
class Headroom:
    """How much is free among some hosts, and how much must be."""

    hosts: int
    """Those that are usable."""

    free: Resources
    needed: Resources

    @property
    def holds(self) -> bool:
        """Whether the others could take over, whichever hosts fail."""
        return (
            self.free.vcpus >= self.needed.vcpus
            and self.free.memory >= self.needed.memory
            and self.free.disk >= self.needed.disk
        )


def headroom(hosts: HostTable, reserve: Reserve) -> Headroom:
    """What the usable ones among a reserve's hosts have free, and must have."""
    rows = np.flatnonzero(usable(hosts) & hosts.where(reserve.member))
    vcpus = _free_and_needed(hosts.vcpus_free[rows], hosts.vcpus_total[rows], reserve.hosts)
    memory = _free_and_needed(hosts.memory_free[rows], hosts.memory_total[rows], reserve.hosts)
    disk = _free_and_needed(hosts.disk_free[rows], hosts.disk_total[rows], reserve.hosts)
    return Headroom(len(rows), *(Resources(*amounts) for amounts in zip(vcpus, memory, disk, strict=True)))


def usable(hosts: HostTable) -> Mask:
    """Hosts that take Instances now, as far as it is not about what an Instance wants."""
    return hosts.labelled & hosts.alive & hosts.enabled & hosts.settled & ~hosts.maintenance


def _free_and_needed(free: Amounts, total: Amounts, failing: int) -> tuple[int, int]:
    given = total - np.minimum(free, 0)  # where more is claimed than there is: what is claimed
    if failing == 1 and len(given):
        largest = given.max(keepdims=True)
    elif failing < len(given):
        largest = np.partition(given, -failing)[-failing:]
    else:
        largest = given
    return _sum(np.maximum(free, 0)), _sum(largest)


def _sum(amounts: Amounts) -> int:
    """Exact, also where an int64 would overflow."""
    if len(amounts) and int(amounts.max()) > _SAFE_SUM // len(amounts):
        return sum(amounts.tolist())
    return int(amounts.sum())
