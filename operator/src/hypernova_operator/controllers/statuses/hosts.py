"""What is told of some hosts together, be it an aggregate or a zone. Pure: the table is only read."""

from __future__ import annotations

import numpy as np

from hypernova_api.hypervisor import Amounts
from hypernova_api.quantity import Quantity
from hypernova_operator.controllers.observed import Observed
from hypernova_operator.scheduler import HostTable, Reserve
from hypernova_operator.scheduler import table as tables
from hypernova_operator.scheduler.headroom import Headroom, headroom
from hypernova_operator.scheduler.resources import available, needed

_MI = 20
"""Sums are of MiB: that of a large cloud's bytes would not fit 64 bits."""


def total(vcpus: tables.Amounts, memory: tables.Amounts, disk: tables.Amounts) -> Amounts:
    """The sum over some hosts; those that have less than nothing count as nothing."""
    return Amounts(vcpus=int(np.maximum(vcpus, 0).sum()), memory=_bytes(memory), disk=_bytes(disk))


def failover(hosts: HostTable, reserve: Reserve) -> Observed:
    """Whether a reserve holds now."""
    room = headroom(hosts, reserve)
    fail = "1 host may fail" if reserve.hosts == 1 else f"any {reserve.hosts} hosts may fail"
    if room.holds and room.hosts > reserve.hosts:
        return Observed("FailoverHeadroom", "True", "Absorbable", f"{fail}: the others have room for what runs there")
    if room.hosts <= reserve.hosts:
        message = f"{fail}, and no host would be left: {room.hosts} can be used now"
        return Observed("FailoverHeadroom", "False", "TooFewHosts", message)
    message = f"{fail}, and the others would lack {' and '.join(_lacking(room))}: add hosts, or move Instances away"
    return Observed("FailoverHeadroom", "False", "NotAbsorbable", message)


def _lacking(room: Headroom) -> list[str]:
    words = []
    if room.free.vcpus < room.needed.vcpus:
        words.append(f"vCPUs ({room.needed.vcpus} must be free, {room.free.vcpus} are)")
    for resource in ("memory", "disk"):
        free, need = getattr(room.free, resource), getattr(room.needed, resource)
        if free < need:
            words.append(f"{resource} ({needed(need)} must be free, {available(free)} is)")
    return words


def _bytes(amounts: tables.Amounts) -> Quantity:
    return Quantity.of_bytes(int((np.maximum(amounts, 0) >> _MI).sum()) << _MI)
