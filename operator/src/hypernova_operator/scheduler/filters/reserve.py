"""Room kept free for the case that hosts fail."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere, some
from hypernova_operator.scheduler.headroom import Headroom, headroom, usable
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import available, needed
from hypernova_operator.scheduler.table import HostTable, Mask


class KeepsReserve(Filter):
    """Its aggregates and zone would still keep so much free that as many hosts may fail as their reserve says.

    A claim lowers what is free by what it takes: of what a request takes nothing, it uses up no reserve.
    Instances whose host has failed may take what was kept for them. What an Instance takes more of a host that is out
    of use (disabled, its agent silent) is of no reserve: what is free there does not count as kept.
    """

    in_place = True

    def applies(self, want: Request) -> bool:
        return not want.evacuated

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        mask = everywhere(hosts)
        if want.evacuated:
            return mask
        for reserve in hosts.reserves.values():
            if _short(headroom(hosts, reserve), want):
                mask &= ~(hosts.where(reserve.member) & usable(hosts))
        return mask

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        broken = []
        counted = lost & usable(hosts)
        for name, reserve in hosts.reserves.items():
            if hosts.where(reserve.member)[counted].any() and (short := _short(headroom(hosts, reserve), want)):
                broken.append(f"{name} must keep {short}")
        return f"with no room beyond the failover reserve ({some(broken, between='; ')})"


def _short(room: Headroom, want: Request) -> str:
    """The first resource that there would not be enough left of, in words; empty if there would be of all."""
    takes, keep = want.resources, room.needed
    left = room.free - takes
    if takes.vcpus and left.vcpus < keep.vcpus:
        return f"{keep.vcpus} vCPUs free, {max(left.vcpus, 0)} would be left"
    if takes.memory and left.memory < keep.memory:
        return f"{needed(keep.memory)} memory free, {available(left.memory)} would be left"
    if takes.disk and left.disk < keep.disk:
        return f"{needed(keep.disk)} disk free, {available(left.disk)} would be left"
    return ""
