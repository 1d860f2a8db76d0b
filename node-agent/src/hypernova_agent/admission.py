"""Whether an Instance that was bound to this node finds room on it: the host's own word, as kubelet's on Pods.

The scheduler counts the same things; but two of them, or one with an old view, can bind more than there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from hypernova_agent.allocation import NO_ALLOCATION, Allocation
from hypernova_agent.capacity import Room
from hypernova_agent.desired import Guest
from hypernova_agent.sizes import size
from hypernova_api.cpuset import format_cpuset
from hypernova_api.overcommit import Overcommit, Ratios, ratios


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Instance takes of a host. Memory and disk in bytes."""

    vcpus: int
    """Of those that float over shared CPUs."""

    memory: int
    """Ordinary memory."""

    disk: int
    allocation: Allocation = NO_ALLOCATION
    bound_at: str = ""
    """When it was bound, RFC 3339; empty where nobody says."""

    overcommit: Overcommit = field(default_factory=Overcommit)
    """The host's ratios that were counted with at its binding, its aggregates' included: agents read no aggregates."""

    @property
    def cpus(self) -> frozenset[int]:
        """CPUs that nobody else gets."""
        return frozenset(cpu for cell in self.allocation.cells for cpu in (*cell.cpus, *cell.idle_cpus))

    @property
    def devices(self) -> frozenset[str]:
        """Addresses of devices."""
        return frozenset(self.allocation.devices)

    def __or__(self, other: Claim) -> Claim:
        """What is taken while the guest may have either of two: a resize that is not in force yet."""
        return Claim(
            vcpus=max(self.vcpus, other.vcpus),
            memory=max(self.memory, other.memory),
            disk=max(self.disk, other.disk),
            allocation=self.allocation | other.allocation,
            bound_at=self.bound_at,
            overcommit=self.overcommit,
        )


def claim_of(guest: Guest) -> Claim:
    """What a guest takes, running or not."""
    cells = guest.allocation.cells
    return Claim(
        vcpus=guest.vcpus - sum(len(cell.cpus) for cell in cells),
        memory=guest.memory - sum(cell.memory for cell in cells if cell.page_size),
        disk=guest.disk,
        allocation=guest.allocation,
        bound_at=guest.bound_at,
        overcommit=guest.overcommit,
    )


def refusal(claim: Claim, taken: Iterable[Claim], room: Room) -> str | None:
    """Why a claim does not fit beside those that are taken, as a sentence; None if it does. Pure."""
    taken = list(taken)
    used, given = _claimed(taken), _given(room, ratios(claim.overcommit, [room.overcommit]))
    lacks = []
    for what, need in _claimed([claim]).items():
        free = max(given[what] - used[what], 0)
        if need > free:
            lacks.append(f"{what} (need {_in_words(what, need)}, free {_in_words(what, free)})")
    lacks += _amiss(claim, room)
    if cpus := claim.cpus & frozenset().union(*(other.cpus for other in taken)):
        lacks.append(f"CPUs {format_cpuset(cpus)} (other Instances have them)")
    if devices := claim.devices & frozenset().union(*(other.devices for other in taken)):
        lacks.append(f"PCI devices {', '.join(sorted(devices))} (other Instances have them)")
    return f"this node lacks {' and '.join(lacks)}" if lacks else None


def excess(claims: Iterable[Claim], room: Room) -> str | None:
    """What claims that were admitted take beyond what there is now, as a sentence; None if there is room for all. Pure.

    It comes of a host that lost something, or of a smaller ratio. Without one of the administrator's for this host the
    ratios are those of the newest binding: the aggregates' then.
    """
    claims = list(claims)
    newest = max(claims, key=lambda claim: claim.bound_at).overcommit if claims else Overcommit()
    given = _given(room, ratios(room.overcommit, [newest]))
    over = [
        f"{what} ({_in_words(what, amount)} of {_in_words(what, given[what])})"
        for what, amount in _claimed(claims).items()
        if amount > given[what]
    ]
    over += [what for claim in claims for what in _amiss(claim, room)]
    return f"the Instances on this node claim what it does not have: {' and '.join(over)}" if over else None


def _claimed(claims: Iterable[Claim]) -> Counter[str]:
    """Amounts by what they are of; nothing is not among them, as it fits a full host, too."""
    total: Counter[str] = Counter()
    for claim in claims:
        total.update({"vCPUs": claim.vcpus, "memory": claim.memory, "disk": claim.disk})
        for cell in claim.allocation.cells:
            total[_memory_of(cell.host_cell, cell.page_size)] += cell.memory
    return +total


def _given(room: Room, ratio: Ratios) -> Counter[str]:
    """Amounts by what they are of, overcommit included, but within cells: there memory is given out once."""
    given = Counter(
        {
            "vCPUs": int(room.vcpus * ratio.cpu),
            "memory": int(room.memory * ratio.memory),
            "disk": int(room.disk * ratio.disk),
        }
    )
    for cell in room.cells.values():
        given[_memory_of(cell.id)] = cell.ordinary_memory
        for page_size, count in cell.huge_pages.items():
            given[_memory_of(cell.id, page_size)] = page_size * count
    return given


def _amiss(claim: Claim, room: Room) -> Iterator[str]:
    """What an allocation names that the host lacks, or does not give to guests."""
    for cell in claim.allocation.cells:
        host_cell, cpus = room.cells.get(cell.host_cell), frozenset(cell.cpus)
        if host_cell is None:
            yield f"NUMA cell {cell.host_cell} (not there)"
            continue
        if strange := cpus - host_cell.cpus:
            yield f"CPUs {format_cpuset(strange)} in NUMA cell {cell.host_cell} (not there)"
        if shared := cpus & host_cell.cpus - room.dedicated:
            yield f"CPUs {format_cpuset(shared)} (not among the Hypervisor's spec.dedicatedCpus)"
        if not cpus and not room.shared_in(cell.host_cell):
            yield f"CPUs in NUMA cell {cell.host_cell} that are shared (all are dedicated)"
    if devices := claim.devices - room.devices:
        yield f"PCI devices {', '.join(sorted(devices))} (not there, or not in the Hypervisor's spec.passthrough)"


def _memory_of(cell: int, page_size: int = 0) -> str:
    return f"{f'{size(page_size)} pages' if page_size else 'memory'} in NUMA cell {cell}"


def _in_words(what: str, amount: int) -> str:
    return str(amount) if what == "vCPUs" else size(amount)
