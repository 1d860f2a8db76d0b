"""Whether what is left of a host, after overcommit and all claims, is enough."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, count
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import available, needed
from hypernova_operator.scheduler.table import HostTable, Mask


class EnoughVcpus(Filter):
    """Free virtual CPUs after overcommit. (Nova: placement, VCPU.)"""

    def applies(self, want: Request) -> bool:
        return not want.dedicated

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.vcpus_free >= want.vcpus

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = max(int(hosts.vcpus_free[lost].max()), 0)
        return f"{_lack(lost)} vCPUs (need {want.vcpus}, most free {most})"


class EnoughMemory(Filter):
    """Free memory after overcommit. (Nova: placement, MEMORY_MB.)"""

    def applies(self, want: Request) -> bool:
        return not want.page_size

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.memory_free >= want.memory

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = int(hosts.memory_free[lost].max())
        return f"{_lack(lost)} memory (need {needed(want.memory)}, most free {available(most)})"


class EnoughDisk(Filter):
    """Free disk of the host's pool after overcommit. (Nova: placement, DISK_GB.)

    Who claims none passes everywhere, even where the pool is full: its image may be there already.
    """

    def applies(self, want: Request) -> bool:
        return want.disk > 0

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.disk_free >= want.disk

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = int(hosts.disk_free[lost].max())
        return f"{_lack(lost)} disk (need {needed(want.disk)}, most free {available(most)})"


def _lack(lost: Mask) -> str:
    return "lacks" if count(lost) == 1 else "lack"
