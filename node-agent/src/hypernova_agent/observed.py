"""What one Instance has on this host, as its plan needs to know it."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent import names
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import DomainState, Host, Reservation

ALIVE = frozenset({DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUTTING_DOWN})
"""States in which a guest's memory and devices exist."""


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
    domain: DomainState | None = None
    """None: no domain."""

    volumes: frozenset[str] = frozenset()
    """Names of those volumes of ours for the Instance that are there; the host makes the logs."""

    reservation: Reservation | None = None
    """What the default network answers the Instance's MAC."""

    stopping: Stopping | None = None
    """Set from the first press of the power button until the domain is off."""

    start_after: float | None = None
    """The guest ended by itself and is not started again before this."""

    @property
    def alive(self) -> bool:
        """Whether there is a guest that a stop would end."""
        return self.domain in ALIVE


async def observe(host: Host, desired: Desired) -> Observed:
    """Look at the host: a handful of calls of a millisecond. What only the agent knows is left at its default."""
    uid = desired.owner.uid
    domain = await host.domain(uid)
    # Not the logs: one look for a volume that is not there has libvirt read the whole pool.
    made = (names.root_disk(uid), names.config_drive(uid))
    volumes = frozenset([name for name in made if await host.volume(name) is not None])
    mac = desired.guest.reservation.mac if isinstance(desired.guest, Guest) else None
    reservation = next((r for r in await host.reservations() if r.mac == mac), None)
    return Observed(domain=domain.state if domain else None, volumes=volumes, reservation=reservation)
