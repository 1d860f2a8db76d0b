"""The host table: what the scheduler knows of every host, as arrays that filters and weights work on."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hypernova_operator.scheduler.claims import Allocation, Claim, Taken, taken
from hypernova_operator.scheduler.columns import Column, Columns
from hypernova_operator.scheduler.combinations import AboutAggregates, Aggregates, Combinations
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.resources import NOTHING, Resources

Mask = npt.NDArray[np.bool_]
"""One truth for each row of a table."""

Amounts = npt.NDArray[np.int64]
"""One amount for each row of a table."""

Scores = npt.NDArray[np.float64]
"""One number for each row, or for each of some."""

Predicate = Callable[[Host], bool]
"""Something that is true of a host or not, whatever is claimed of it. Hashable: equal ones are asked once."""

_LIMIT = 2**60
"""What a row holds at most: nonsense reported by a host must overflow neither it nor a sum of a few."""

_KEPT_COLUMNS = 256
"""Columns made for requests (a label, a zone, an image) that are kept for the next one; the longest unused goes."""

_EMPTY: Mapping[str, int] = MappingProxyType({})

_COLUMNS = {
    "labelled": np.bool_,
    "alive": np.bool_,
    "enabled": np.bool_,
    "maintenance": np.bool_,
    "settled": np.bool_,
    "vcpus_total": np.int64,
    "memory_total": np.int64,
    "disk_total": np.int64,
    "vcpus_free": np.int64,
    "memory_free": np.int64,
    "disk_free": np.int64,
    "dedicated_free": np.int64,
    "devices": np.int64,
    "instances": np.int64,
    "instances_limit": np.int64,
    "builds": np.int64,
    "builds_limit": np.int64,
    "failures": np.int64,
    "qemu_version": np.int64,
    "zone": np.int64,
    "aggregates": np.int64,
}


class Reserve(NamedTuple):
    """Room kept free among some hosts, so that the others can take over when a few fail."""

    hosts: int
    """How many may fail."""

    member: Predicate
    """Among which hosts."""


class HostTable:
    """A row for each host, updated in place, and the claims on them by Instance.

    A claim is known by any string: the Instance's uid, and a second one for a migration's other host. It may be on a
    host that is not (or not yet) in the table; it counts as soon as the host is.

    Arrays are views that are stale once a host has come or gone: take them from the table each time.
    """

    labelled: Mask
    """Whether the Node says that it takes Instances."""
    alive: Mask
    """Whether the agent can be relied on."""
    enabled: Mask
    maintenance: Mask
    settled: Mask
    """Whether its aggregates agree about its zone and CPU model."""
    vcpus_total: Amounts
    memory_total: Amounts
    disk_total: Amounts
    vcpus_free: Amounts
    """Of the shared CPUs after overcommit and all claims; negative where more is claimed than there is."""
    memory_free: Amounts
    disk_free: Amounts
    dedicated_free: Amounts
    """Dedicated CPUs that nobody has."""
    devices: Amounts
    """PCI devices that guests may have, taken or not."""
    instances: Amounts
    """Claims on it."""
    instances_limit: Amounts
    builds: Amounts
    """Claims under construction."""
    builds_limit: Amounts
    failures: Amounts
    """Builds that failed since the last that did not."""
    qemu_version: Amounts
    zone: Amounts
    """Which of `zones`."""
    aggregates: Amounts
    """The number of the combination of aggregates it is in."""

    def __init__(self) -> None:
        self._columns = Columns()
        for name, dtype in _COLUMNS.items():
            self._columns.add(name, dtype)
        self._kept: OrderedDict[tuple[object, object], Callable[[int], object]] = OrderedDict()
        """Columns made for requests, each with how a row of it is reckoned."""
        self._hosts: list[Host] = []
        self._rows: dict[str, int] = {}
        self._rank: Amounts | None = None
        self._zones: dict[str, int] = {"": 0}
        self._combinations = Combinations()
        self._claims: dict[str, Claim] = {}
        self._claimed: dict[str, Resources] = {}
        self._count_of: Counter[str] = Counter()
        self._building: Counter[str] = Counter()
        self._failed: dict[str, int] = {}
        self._allocations: dict[str, dict[str, Allocation]] = {}
        self._groups: dict[str, Counter[str]] = {}
        self._images: dict[str, set[str]] = {}
        self._taken: dict[str, Taken] = {}
        self._misfits: dict[str, dict[Hashable, str]] = {}
        self._multipliers: Counter[str] = Counter()
        """How many hosts have a multiplier of their own for a weight."""
        self.reserves: dict[str, Reserve] = {}
        """Room that is kept for the case that hosts fail, by what keeps it: `HostAggregate rack-1`."""
        self._refresh()

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts)

    # Hosts

    def at(self, row: int) -> Host:
        """The host in a row."""
        return self._hosts[row]

    def row(self, name: str) -> int | None:
        """The row of a host."""
        return self._rows.get(name)

    @property
    def rank(self) -> Amounts:
        """Each row's place in the order of host names, so that ties are broken alike in every process."""
        if self._rank is None:
            self._rank = np.zeros(len(self._hosts), np.int64)
            for place, name in enumerate(sorted(self._rows)):
                self._rank[self._rows[name]] = place
        return self._rank

    @property
    def zones(self) -> Mapping[str, int]:
        """Zones that hosts are or were in, with their numbers in `zone`; "" is none, or a conflict."""
        return self._zones

    def put(self, host: Host) -> None:
        """Add a host, or update the one of that name."""
        aggregates = self._combinations.join(host.aggregates)  # before the old ones are left: most often the same
        row = self._rows.get(host.name)
        if row is None:
            row = self._columns.append()
            self._rows[host.name] = row
            self._hosts.append(host)
            self._rank = None
            self._refresh()
        else:
            self._multipliers.subtract(self._hosts[row].multipliers.keys())
            self._combinations.leave(int(self.aggregates[row]))
        self.aggregates[row] = aggregates
        self._multipliers.update(host.multipliers.keys())
        self._hosts[row] = host
        self.labelled[row] = host.labelled
        self.alive[row] = not host.trouble
        self.enabled[row] = not host.disabled
        self.maintenance[row] = host.maintenance
        self.settled[row] = host.settled
        self.vcpus_total[row] = _bounded(host.total.vcpus)
        self.memory_total[row] = _bounded(host.total.memory)
        self.disk_total[row] = _bounded(host.total.disk)
        self.devices[row] = len(host.devices)
        self.instances_limit[row] = _bounded(host.max_instances)
        self.builds_limit[row] = _bounded(host.max_builds)
        self.qemu_version[row] = _bounded(host.qemu_version)
        self.zone[row] = self._zones.setdefault(host.zone, len(self._zones))
        self.dedicated_free[row] = self._dedicated_free(row)
        self._misfits.pop(host.name, None)
        self._count(host.name)
        for key, reckon in self._kept.items():
            self._columns.view(key)[row] = reckon(row)

    def remove(self, name: str) -> None:
        """The host is gone; claims on it stay."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        self._multipliers.subtract(self._hosts[row].multipliers.keys())
        self._combinations.leave(int(self.aggregates[row]))
        last = self._columns.remove(row)
        moved = self._hosts.pop()
        if last != row:
            self._hosts[row] = moved
            self._rows[moved.name] = row
        self._rank = None
        self._refresh()

    def where(self, predicate: Predicate) -> Mask:
        """Which hosts something is true of. The column is kept, and follows the hosts."""
        # With its type, as named tuples of two types may be equal, and equal to a key of our own.
        return self._derived((type(predicate), predicate), np.bool_, lambda row: predicate(self._hosts[row]))

    def where_aggregates(self, about: AboutAggregates) -> Mask:
        """Which hosts' aggregates something is true of: asked once for all hosts that are in the same ones."""
        verdicts = self._combinations.where(about)
        return np.ones(len(self), np.bool_) if verdicts.all() else verdicts[self.aggregates]

    def aggregates_of(self, mask: Mask) -> list[Aggregates]:
        """The combinations of aggregates that some hosts are in, each once."""
        return self._combinations.among(self.aggregates[mask])

    # Claims

    def claim(self, key: str, claim: Claim) -> None:
        """Take something of a host. Safe to repeat; replaces the claim of that key, if any."""
        before = self._claims.get(key)
        if before == claim:
            return
        if before is not None:
            self._let_go(key, before)
        self._claims[key] = claim
        host = claim.host
        self._claimed[host] = self._claimed.get(host, NOTHING) + claim.resources
        self._count_of[host] += 1
        if claim.building:
            self._building[host] += 1
        if claim.group:
            self._groups.setdefault(claim.group, Counter())[host] += 1
        if claim.image:
            self._remember(claim.image, host)
        if claim.allocation:
            self._allocations.setdefault(host, {})[key] = claim.allocation
            self._repack(host)
        if before is not None and before.host != host:
            self._count(before.host)
        self._count(host)

    def release(self, key: str) -> bool:
        """Give a claim back; whether there was one. Safe to repeat."""
        claim = self._claims.pop(key, None)
        if claim is None:
            return False
        self._let_go(key, claim)
        self._count(claim.host)
        return True

    @contextmanager
    def without(self, key: str) -> Iterator[None]:
        """As if a claim that is there were not, for a look at the table; nothing may be awaited meanwhile."""
        claim = self._claims[key]
        self.release(key)
        try:
            yield
        finally:
            self.claim(key, claim)

    def claim_of(self, key: str) -> Claim | None:
        """The claim of that key."""
        return self._claims.get(key)

    def claimed(self, host: str) -> Resources:
        """The sum of the claims on a host."""
        return self._claimed.get(host, NOTHING)

    def taken(self, host: str) -> Taken:
        """What allocations hold of a host's cells and devices. Not to be written to."""
        if host not in self._allocations:
            return Taken()
        if host not in self._taken:
            self._taken[host] = taken(self._allocations[host].values())
        return self._taken[host]

    def misfits(self, host: str) -> dict[Hashable, str]:
        """What is known not to fit into a host's cells and devices, and why; forgotten when the host or these change.

        Kept for whoever packs, to be written to.
        """
        return self._misfits.setdefault(host, {})

    def members(self, group: str) -> Mapping[str, int]:
        """On which hosts the members of a group are, and how many."""
        return self._groups.get(group, _EMPTY)

    def failed(self, host: str) -> None:
        """A build failed there."""
        self._failed[host] = self._failed.get(host, 0) + 1
        self._count(host)

    def succeeded(self, host: str) -> None:
        """A build came to its end there: what failed before is forgiven."""
        if self._failed.pop(host, 0):
            self._count(host)

    # Columns made for requests

    def devices_free(self, alias: str) -> Amounts:
        """How many devices of a kind nobody has."""

        def free(row: int) -> int:
            host = self._hosts[row]
            gone = self.taken(host.name).devices
            return sum(device.alias == alias and device.address not in gone for device in host.devices)

        return self._derived(("devices", alias), np.int64, free)

    def huge_pages_free(self, page_size: int) -> Amounts:
        """Bytes of huge pages of a size (in bytes) that nobody has."""

        def free(row: int) -> int:
            host = self._hosts[row]
            gone = self.taken(host.name).huge_pages
            return _bounded(sum(cell.huge_pages.get(page_size, 0) - gone[cell.id, page_size] for cell in host.cells))

        return self._derived(("pages", page_size), np.int64, free)

    def cached(self, image: str) -> Mask:
        """Which hosts have had an Instance of an image (by its SHA-256), and so have the image itself."""
        return self._derived(
            ("image", image), np.bool_, lambda row: self._hosts[row].name in self._images.get(image, ())
        )

    def multipliers(self, weight: str, default: float) -> Scores | float:
        """How much a weight counts for each host; one number where no aggregate says anything else."""
        if not self._multipliers[weight]:
            return default
        said = self._derived(
            ("multiplier", weight), np.float64, lambda row: self._hosts[row].multipliers.get(weight, np.nan)
        )
        return np.where(np.isnan(said), default, said)

    def _derived(self, key: tuple[object, object], dtype: npt.DTypeLike, reckon: Callable[[int], object]) -> Column:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._columns.view(key)
        values = np.fromiter(map(reckon, range(len(self))), dtype, len(self))  # first: if it fails, nothing is kept
        if len(self._kept) == _KEPT_COLUMNS:
            self._columns.drop(self._kept.popitem(last=False)[0])
        self._kept[key] = reckon
        column = self._columns.add(key, dtype)
        column[:] = values
        return column

    def _let_go(self, key: str, claim: Claim) -> None:
        host = claim.host
        left = self.claimed(host) - claim.resources
        self._count_of[host] -= 1
        if self._count_of[host]:
            self._claimed[host] = left
        else:
            del self._count_of[host], self._claimed[host]
        if claim.building:
            self._building[host] -= 1
            if not self._building[host]:
                del self._building[host]
        if claim.group:
            members = self._groups[claim.group]
            members[host] -= 1
            if not members[host]:
                del members[host]
            if not members:
                del self._groups[claim.group]
        if claim.allocation:
            del self._allocations[host][key]
            if not self._allocations[host]:
                del self._allocations[host]
            self._repack(host)

    def _remember(self, image: str, host: str) -> None:
        hosts = self._images.setdefault(image, set())
        if host not in hosts:
            hosts.add(host)
            row = self._rows.get(host)
            if row is not None and ("image", image) in self._kept:
                self._columns.view(("image", image))[row] = True

    def _count(self, name: str) -> None:
        """Reckon what the claims leave of a host."""
        row = self._rows.get(name)
        if row is None:
            return
        host = self._hosts[row]
        free = host.total - self.claimed(name)
        self.vcpus_free[row] = _bounded(free.vcpus)
        self.memory_free[row] = _bounded(free.memory)
        self.disk_free[row] = _bounded(free.disk)
        self.instances[row] = self._count_of.get(name, 0)
        self.builds[row] = self._building.get(name, 0)
        self.failures[row] = self._failed.get(name, 0)

    def _repack(self, name: str) -> None:
        """Reckon anew what allocations hold and leave of a host."""
        self._taken.pop(name, None)
        self._misfits.pop(name, None)
        row = self._rows.get(name)
        if row is None:
            return
        self.dedicated_free[row] = self._dedicated_free(row)
        for key, reckon in self._kept.items():
            if key[0] in ("devices", "pages"):
                self._columns.view(key)[row] = reckon(row)

    def _dedicated_free(self, row: int) -> int:
        host = self._hosts[row]
        return len(host.dedicated - self.taken(host.name).cpus) if host.dedicated else 0

    def _refresh(self) -> None:
        for name in _COLUMNS:
            setattr(self, name, self._columns.view(name))


def _bounded(amount: int) -> int:
    return amount if -_LIMIT <= amount <= _LIMIT else max(-_LIMIT, min(_LIMIT, amount))
