"""What one Instance has on this host, as its plan needs to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypernova_agent import names
from hypernova_agent.definition import disks
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Domain, DomainState, Host, Reservation
from hypernova_agent.steps import Change

ALIVE = frozenset({DomainState.RUNNING, DomainState.PAUSED, DomainState.STALLED, DomainState.SHUTTING_DOWN})
"""States in which a guest's memory and devices exist."""


REFUSED = float("-inf")
"""Of a change that is not waited for any more."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The power button has been pressed. Both in seconds on the clock of `Observed.now`."""

    since: float
    """First time: the guest's grace runs from here."""

    pressed: float
    """Last time."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is. Times are seconds on one monotonic clock."""

    now: float = 0.0
    domain: Domain | None = None
    volumes: Mapping[str, int] = field(default_factory=dict)
    """Those of the Instance that were looked for and are there, with their capacity in bytes."""

    reservations: frozenset[Reservation] = frozenset()
    """What the default network answers the Instance's MACs, those of former cards among them."""

    stopping: Stopping | None = None
    """Set from the first press of the power button until the domain is off."""

    excused_until: float = 0.0
    """A guest that ends before this does so because it was asked to, though it no longer is."""

    start_after: float | None = None
    """The guest ended by itself, or stalled, and is not started or resumed before this."""

    tried: Mapping[Change, float] = field(default_factory=dict)
    """Since when the guest that runs has been given a change, that it has not taken yet; `REFUSED`: it never will."""

    @property
    def alive(self) -> bool:
        """Whether there is a guest that a stop would end."""
        return self.domain is not None and self.domain.state in ALIVE

    @property
    def saved(self) -> bool:
        """Whether there is a guest whose memory is on disk."""
        return self.domain is not None and self.domain.saved and not self.alive


async def observe(host: Host, desired: Desired, domain: Domain | None) -> Observed:
    """Look at what the host has beside the Instance's domain, which has just been looked at.

    A few calls of a millisecond. What only the agent knows is left at its default.
    """
    owner = desired.owner
    seen = Observed(domain=domain)
    macs = {nic.reservation.mac for nic in desired.guest.nics} if isinstance(desired.guest, Guest) else set()
    reservations = frozenset(
        reservation
        for reservation in await host.reservations()
        if reservation.mac in macs or names.is_hostname_of(owner.namespace, owner.name, reservation.hostname)
    )
    return Observed(domain=domain, volumes=await _volumes(host, desired, seen), reservations=reservations)


async def _volumes(host: Host, desired: Desired, seen: Observed) -> dict[str, int]:
    """Only what a plan may need, and no more after the first that lacks: for that libvirt reads the whole pool."""
    uid = desired.owner.uid
    if desired.deleting:
        if seen.domain is not None:
            return {}
        return {each.name: each.capacity for each in await host.volumes() if names.is_of(uid, each.name)}
    if not isinstance(desired.guest, Guest):
        return {}
    guest = desired.guest
    root = names.root_disk(uid, guest.build)
    needed = [root] if seen.alive and not desired.ask.boot else [root, *(n for n in disks(uid, guest) if n != root)]
    found: dict[str, int] = {}
    for name in needed:
        volume = await host.volume(name)
        if volume is None:
            break
        found[name] = volume.capacity
    return found
