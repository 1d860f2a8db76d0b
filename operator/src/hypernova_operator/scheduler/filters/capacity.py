"""Whether what is left of a host, after overcommit and all claims, is enough."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere, lack
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import available, needed
from hypernova_operator.scheduler.table import HostTable, Mask


class EnoughVcpus(Filter):
    """Free virtual CPUs after overcommit, where they need not be dedicated."""

    nova = "VCPU, resources:VCPU"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.vcpus > 0 and not want.dedicated

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.vcpus_free >= want.vcpus if self.applies(want) else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = max(int(hosts.vcpus_free[lost].max()), 0)
        return f"{lack(lost)} vCPUs (need {want.vcpus}, most free {most})"


class EnoughMemory(Filter):
    """Free memory after overcommit, where it need not be huge pages."""

    nova = "MEMORY_MB, resources:MEMORY_MB"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.memory > 0 and not want.page_size

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.memory_free >= want.memory if self.applies(want) else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = int(hosts.memory_free[lost].max())
        return f"{lack(lost)} memory (need {needed(want.memory)}, most free {available(most)})"


class EnoughDisk(Filter):
    """Free disk of the host's pool after overcommit.

    Who claims none passes everywhere, even where the pool is full: its image may be there already.
    """

    nova = "DISK_GB, resources:DISK_GB"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.disk > 0

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.disk_free >= want.disk if want.disk > 0 else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = int(hosts.disk_free[lost].max())
        return f"{lack(lost)} disk (need {needed(want.disk)}, most free {available(most)})"
