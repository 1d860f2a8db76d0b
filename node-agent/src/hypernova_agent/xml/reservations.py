"""Which updates of the default network make or end a DHCP reservation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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

    libvirt refuses an entry that shares MAC, address or host name with another, and modifies the first that shares any.
    MAC and address belong to one Instance, so whoever else has one of them is gone. But instances of two namespaces may
    well share a host name: the later one does without, and learns its name from its config drive.
    """
    outdated = [found for found in current if found.mac == wanted.mac or found.ip == wanted.ip]
    if any(found.hostname == wanted.hostname for found in current if found not in outdated):
        wanted = replace(wanted, hostname="")
    if outdated == [wanted]:
        return []
    if not outdated:
        return [Update(Command.ADD, wanted)]
    return [*(Update(Command.DELETE, found) for found in outdated[1:]), Update(Command.MODIFY, wanted)]


def to_release(mac: str, current: Sequence[Reservation]) -> list[Update]:
    """The updates after which the MAC is answered no more."""
    return [Update(Command.DELETE, found) for found in current if found.mac == mac]
