"""How much room a host has left."""

from __future__ import annotations

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable
from hypernova_operator.scheduler.weights.base import Rows, Weight


class FreeMemory(Weight):
    """The host with the most free memory wins."""

    name = "freeMemory"
    multiplier = 1.0
    nova = "RAMWeigher"
    room = True
    floor = 0.0

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.memory_free[rows]


class FreeVcpus(Weight):
    """The host with the most free virtual CPUs wins."""

    name = "freeVcpus"
    multiplier = 1.0
    nova = "CPUWeigher"
    room = True
    floor = 0.0

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.vcpus_free[rows]


class FreeDisk(Weight):
    """The host with the most free disk wins."""

    name = "freeDisk"
    multiplier = 1.0
    nova = "DiskWeigher"
    room = True
    floor = 0.0

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.disk_free[rows]
