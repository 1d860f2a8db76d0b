"""Room kept free for the case that hosts fail."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere, some
from hypernova_operator.scheduler.headroom import Headroom, headroom
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import available, needed
from hypernova_operator.scheduler.table import HostTable, Mask


class KeepsReserve(Filter):
    """Its aggregates and zone would still keep so much free that as many hosts may fail as their reserve says.

    A claim lowers what is free by what it takes: of what a request takes nothing, it uses up no reserve.
    Instances whose host has failed may take what was kept for them.
    """

    def applies(self, want: Request) -> bool:
        return not want.evacuated

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        mask = everywhere(hosts)
        if want.evacuated:
            return mask
        for reserve in hosts.reserves.values():
            if _short(headroom(hosts, reserve), want):
                mask &= ~hosts.where(reserve.member)
        return mask

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        broken = []
        for name, reserve in hosts.reserves.items():
            if hosts.where(reserve.member)[lost].any() and (short := _short(headroom(hosts, reserve), want)):
                broken.append(f"{name} must keep {' and '.join(short)}")
        return f"with no room beyond the failover reserve ({some(broken, between='; ')})"


def _short(room: Headroom, want: Request) -> list[str]:
    """Of what there would not be enough left, in words."""
    takes, free, keep = want.resources, room.free, room.needed
    short = []
    if takes.vcpus and free.vcpus - takes.vcpus < keep.vcpus:
        short.append(f"{keep.vcpus} vCPUs free, has {free.vcpus}")
    if takes.memory and free.memory - takes.memory < keep.memory:
        short.append(f"{needed(keep.memory)} memory free, has {available(free.memory)}")
    if takes.disk and free.disk - takes.disk < keep.disk:
        short.append(f"{needed(keep.disk)} disk free, has {available(free.disk)}")
    return short
