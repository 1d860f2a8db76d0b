"""How many Instances may be on a host, and be made there at once."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable, Mask


class InstancesPerHost(Filter):
    """Fewer Instances on it than may be."""

    nova = "NumInstancesFilter, AggregateNumInstancesFilter, max_instances_per_host"

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.instances < hosts.instances_limit

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"at the limit of Instances ({_limits(hosts.instances_limit[lost])})"


class BuildsPerHost(Filter):
    """Fewer Instances under construction on it than may be at once."""

    nova = "IoOpsFilter, AggregateIoOpsFilter, max_io_ops_per_host"

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.builds < hosts.builds_limit

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"at the limit of Instances being built at once ({_limits(hosts.builds_limit[lost])})"


def _limits(limits: Amounts) -> str:
    least, most = int(np.min(limits)), int(np.max(limits))
    return str(most) if least == most else f"{least} to {most}"
