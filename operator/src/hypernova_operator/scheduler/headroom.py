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
    # Of each resource a line: in small sets calls of numpy cost more than what they do.
    free = np.array((hosts.vcpus_free[rows], hosts.memory_free[rows], hosts.disk_free[rows]))
    given = np.array((hosts.vcpus_total[rows], hosts.memory_total[rows], hosts.disk_total[rows]))
    given -= np.minimum(free, 0)  # where more is claimed than there is: what is claimed
    survivors = len(rows) - reserve.hosts
    largest = np.partition(given, survivors)[:, survivors:] if survivors > 0 else given
    return Headroom(len(rows), _sums(np.maximum(free, 0)), _sums(largest))


def usable(hosts: HostTable) -> Mask:
    """Hosts that take Instances now, as far as it is not about what an Instance wants."""
    return hosts.labelled & hosts.alive & hosts.enabled & hosts.settled & ~hosts.maintenance


def _sums(amounts: Amounts) -> Resources:
    """Of each line, exact, also where an int64 would overflow."""
    if amounts.size and int(amounts.max()) > _SAFE_SUM // amounts.shape[1]:
        return Resources(*map(sum, amounts.tolist()))
    return Resources(*amounts.sum(axis=1).tolist())
