"""The host table: what the scheduler knows of every host, as arrays that filters and weights work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hypernova_operator.scheduler.resources import NOTHING, Resources

Mask = npt.NDArray[np.bool_]
"""One truth for each row of a table."""

Amounts = npt.NDArray[np.int64]
"""One amount for each row of a table."""

_LIMIT = 2**62  # What a row holds at most: nonsense reported by a host must not overflow it.


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor node as the scheduler sees it."""

    name: str

    labelled: bool
    """Whether its Node says that it takes Instances."""

    trouble: str
    """Why its agent can't be relied on now, in a few words; empty when it can."""

    maintenance: bool

    disabled: str
    """The administrator's reason for giving it no new Instances; empty when it is enabled."""

    total: Resources
    """What Instances may claim, overcommit included."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Instance takes of a host: assumed, bound or being deleted alike."""

    host: str
    resources: Resources


class HostTable:
    """A row for each host, updated in place, and the claims on them by Instance uid.

    Rows of hosts that left stay, with `present` False, until a new host takes them: filters start from `present`. A
    claim may be on a host that is not (or not yet) in the table; it counts as soon as the host is.
    """

    def __init__(self) -> None:
        self.present: Mask = np.zeros(0, np.bool_)
        self.labelled: Mask = np.zeros(0, np.bool_)
        self.alive: Mask = np.zeros(0, np.bool_)
        self.enabled: Mask = np.zeros(0, np.bool_)
        self.maintenance: Mask = np.zeros(0, np.bool_)
        self.vcpus_free: Amounts = np.zeros(0, np.int64)
        self.memory_free: Amounts = np.zeros(0, np.int64)
        self.disk_free: Amounts = np.zeros(0, np.int64)
        self._hosts: list[Host | None] = []
        self._rows: dict[str, int] = {}
        self._vacant: list[int] = []
        self._rank: Amounts | None = None
        self._claims: dict[str, Claim] = {}
        self._claimed: dict[str, Resources] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Host]:
        return (host for host in self._hosts if host is not None)

    def at(self, row: int) -> Host:
        """The host in a row that is present."""
        host = self._hosts[row]
        if host is None:
            raise IndexError(f"no host in row {row}")
        return host

    @property
    def rank(self) -> Amounts:
        """Each row's place in the order of host names, so that ties are broken alike in every process."""
        if self._rank is None:
            self._rank = np.zeros(len(self._hosts), np.int64)
            for place, name in enumerate(sorted(self._rows)):
                self._rank[self._rows[name]] = place
        return self._rank

    def put(self, host: Host) -> None:
        """Add a host, or update the one of that name."""
        row = self._rows.get(host.name)
        if row is None:
            row = self._vacate()
            self._rows[host.name] = row
            self._rank = None
        self._hosts[row] = host
        self.present[row] = True
        self.labelled[row] = host.labelled
        self.alive[row] = not host.trouble
        self.enabled[row] = not host.disabled
        self.maintenance[row] = host.maintenance
        self._count(host.name)

    def remove(self, name: str) -> None:
        """The host is gone; claims on it stay."""
        row = self._rows.pop(name, None)
        if row is not None:
            self._hosts[row] = None
            self.present[row] = False
            self._vacant.append(row)
            self._rank = None

    def claim(self, uid: str, host: str, resources: Resources) -> None:
        """Take resources of a host for an Instance. Safe to repeat; replaces the Instance's other claim, if any."""
        claim = Claim(host, resources)
        if self._claims.get(uid) != claim:
            self.release(uid)
            self._claims[uid] = claim
            self._claimed[host] = self._claimed.get(host, NOTHING) + resources
            self._count(host)

    def release(self, uid: str) -> bool:
        """Give an Instance's claim back; whether there was one. Safe to repeat."""
        claim = self._claims.pop(uid, None)
        if claim is None:
            return False
        left = self.claimed(claim.host) - claim.resources
        if left == NOTHING:
            self._claimed.pop(claim.host, None)
        else:
            self._claimed[claim.host] = left
        self._count(claim.host)
        return True

    def claim_of(self, uid: str) -> Claim | None:
        """An Instance's claim."""
        return self._claims.get(uid)

    def claimed(self, host: str) -> Resources:
        """The sum of the claims on a host."""
        return self._claimed.get(host, NOTHING)

    def _count(self, name: str) -> None:
        row = self._rows.get(name)
        if row is not None:
            free = self.at(row).total - self.claimed(name)
            self.vcpus_free[row] = max(-_LIMIT, min(_LIMIT, free.vcpus))
            self.memory_free[row] = max(-_LIMIT, min(_LIMIT, free.memory))
            self.disk_free[row] = max(-_LIMIT, min(_LIMIT, free.disk))

    def _vacate(self) -> int:
        """A row for one more host; the arrays double when none is vacant."""
        if not self._vacant:
            size = len(self._hosts)
            more = max(size, 16)
            self.present, self.labelled, self.alive, self.enabled, self.maintenance = (
                np.pad(column, (0, more))
                for column in (self.present, self.labelled, self.alive, self.enabled, self.maintenance)
            )
            self.vcpus_free, self.memory_free, self.disk_free = (
                np.pad(column, (0, more)) for column in (self.vcpus_free, self.memory_free, self.disk_free)
            )
            self._hosts.extend([None] * more)
            self._vacant.extend(reversed(range(size, size + more)))
        return self._vacant.pop()
