"""Which updates of the default network make or end a DHCP reservation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from hypernova_agent.host import Reservation


class Command(Enum):
    """What virNetworkUpdate does with an entry of <dhcp>."""

    ADD = auto()
    MODIFY = auto()
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Update:
    """One virNetworkUpdate. Each takes libvirt 0.4 s: it takes the network's whole firewall down and up again."""

    command: Command
    reservation: Reservation


def to_reserve(wanted: Reservation, current: Sequence[Reservation]) -> list[Update]:
    """The fewest updates after which the MAC is answered with the address; none when it is already.

    MAC, address and host name each belong to one guest, so whoever else has one of them is gone. (libvirt agrees: it
    refuses to add an entry that shares any of them with another, and modifies the first that does.)
    """
    outdated = [found for found in current if _share(found, wanted)]
    if outdated == [wanted]:
        return []
    if not outdated:
        return [Update(Command.ADD, wanted)]
    return [*(Update(Command.DELETE, found) for found in outdated[1:]), Update(Command.MODIFY, wanted)]


def _share(one: Reservation, other: Reservation) -> bool:
    return one.mac == other.mac or one.ip == other.ip or one.hostname == other.hostname


def to_release(mac: str, current: Sequence[Reservation]) -> list[Update]:
    """The updates after which the MAC is answered no more."""
    return [Update(Command.DELETE, found) for found in current if found.mac == mac]
