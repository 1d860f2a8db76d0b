"""Which cells of a host a guest's cells go to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain, combinations

from hypernova_operator.scheduler.claims import Taken
from hypernova_operator.scheduler.host import Cell, Device, Host
from hypernova_operator.scheduler.packing.cores import Pinned, pin
from hypernova_operator.scheduler.request import DeviceWant, Request

_MOST_CELLS = 16
"""Host cells that are tried in all combinations: at most 12,870 of them. Few hosts have more than 8."""


@dataclass(frozen=True, slots=True)
class Share:
    """What each cell of the guest takes; memory in bytes."""

    vcpus: int
    memory: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A cell of the host that one of the guest's would fit in, and what would be left of it."""

    cell: int
    pinned: Pinned
    cpus_left: int
    """Dedicated ones; 0 where none are asked for."""

    memory_left: int
    """Bytes, of the kind that is asked for."""


def offers(host: Host, taken: Taken, want: Request, share: Share) -> Iterator[Offer]:
    """The cells of the host that one of the guest's would fit in."""
    free = host.dedicated - taken.cpus if want.dedicated else frozenset()
    for cell in host.cells:
        memory_left = _memory(cell, taken, want.page_size) - share.memory
        if memory_left < 0:
            continue
        cpus = chain.from_iterable(cell.cores)
        if not want.dedicated:
            if not host.dedicated.issuperset(cpus):
                yield Offer(cell.id, Pinned(), 0, memory_left)
            continue
        here = free.intersection(cpus)
        if len(here) >= share.vcpus and (pinned := pin(cell.cores, here, share.vcpus, want.threads)):
            yield Offer(cell.id, pinned, len(here) - len(pinned.cpus) - len(pinned.idle), memory_left)


def choose(found: Sequence[Offer], number: int, wants: Sequence[DeviceWant], free: Sequence[Device]) -> list[Offer]:
    """So many of the offers, by number of cell, that have the near ones of the devices among them; empty if none do.

    Cells with the devices go first, then those with the fewest others, then those that would be left fullest. Of more
    than 16 cells the first 16 in that order are looked at.
    """
    there = Counter((device.alias, device.cell) for device in free)
    devices = Counter(device.cell for device in free)

    def rank(offer: Offer) -> tuple[int, ...]:
        wanted = sum(min(want.count, there[want.alias, offer.cell]) for want in wants)
        return -wanted, devices[offer.cell] - wanted, offer.cpus_left, offer.memory_left, offer.cell

    near = [want for want in wants if want.near]
    for want in near:  # each kind by itself, so that what is plainly too few does not cost all combinations
        if sum(nlargest(number, (there[want.alias, offer.cell] for offer in found))) < want.count:
            return []
    for chosen in combinations(sorted(found, key=rank)[:_MOST_CELLS], number):
        if all(sum(there[want.alias, offer.cell] for offer in chosen) >= want.count for want in near):
            return sorted(chosen, key=lambda offer: offer.cell)
    return []


def _memory(cell: Cell, taken: Taken, page_size: int) -> int:
    if page_size:
        return cell.huge_pages.get(page_size, 0) - taken.huge_pages[cell.id, page_size]
    return cell.memory - taken.memory[cell.id]
