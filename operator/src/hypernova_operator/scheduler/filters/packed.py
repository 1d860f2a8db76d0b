"""Whether there is enough of what must also be packed: a quick look at sums, before fit looks at cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, everywhere, lack
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import available, needed
from hypernova_operator.scheduler.table import HostTable, Mask


@dataclass(frozen=True, slots=True)
class HasCells:
    """The host has at least so many NUMA cells."""

    number: int

    def __call__(self, host: Host) -> bool:
        return len(host.cells) >= self.number


@dataclass(frozen=True, slots=True)
class HasDedicated:
    """The host has CPUs set apart for guests with dedicated ones."""

    def __call__(self, host: Host) -> bool:
        return bool(host.dedicated)


class EnoughDedicatedCpus(Filter):
    """Dedicated CPUs that nobody has, one for each virtual CPU that must be pinned."""

    nova = "PCPU, resources:PCPU, hw:cpu_policy"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.dedicated

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.dedicated_free >= want.vcpus if want.dedicated else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        if not hosts.where(HasDedicated())[lost].any():
            return f"without dedicated CPUs (need {want.vcpus}; spec.dedicatedCpus of a Hypervisor sets them apart)"
        return f"{lack(lost)} dedicated CPUs (need {want.vcpus}, most free {int(hosts.dedicated_free[lost].max())})"


class EnoughHugePages(Filter):
    """Huge pages of the size asked for that nobody has."""

    nova = "hw:mem_page_size"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.page_size > 0

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.huge_pages_free(want.page_size) >= want.memory if want.page_size > 0 else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = available(int(hosts.huge_pages_free(want.page_size)[lost].max()))
        return f"{lack(lost)} huge pages of {needed(want.page_size)} (need {needed(want.memory)}, most free {most})"


class EnoughCells(Filter):
    """At least as many NUMA cells as the guest is to have."""

    nova = "NUMATopologyFilter, hw:numa_nodes"
    in_place = True

    def applies(self, want: Request) -> bool:
        return want.cells > 0

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where(HasCells(want.cells))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        most = max(len(hosts.at(int(row)).cells) for row in np.flatnonzero(lost))
        return f"{lack(lost)} NUMA cells (need {want.cells}, most {most})"


class EnoughDevices(Filter):
    """PCI devices of each kind asked for that nobody has."""

    nova = "PciPassthroughFilter, pci_passthrough:alias"
    in_place = True

    def applies(self, want: Request) -> bool:
        return bool(want.devices)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        mask = everywhere(hosts)
        for alias, number in _numbers(want).items():
            mask &= hosts.devices_free(alias) >= number
        return mask

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        short = []
        for alias, number in sorted(_numbers(want).items()):
            free = hosts.devices_free(alias)[lost]
            if (free < number).any():
                short.append(f"need {number} {alias}, most free {int(free[free < number].max())}")
        return f"{lack(lost)} PCI devices ({'; '.join(short)})"


def _numbers(want: Request) -> Counter[str]:
    numbers: Counter[str] = Counter()
    for device in want.devices:
        numbers[device.alias] += device.count
    return numbers
