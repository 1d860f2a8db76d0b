"""What the administrator says of a host, on its Hypervisor."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class Enabled(Filter):
    """Not disabled by the administrator."""

    nova = "ComputeFilter, COMPUTE_STATUS_DISABLED"

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.enabled

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        reasons = {hosts.at(int(row)).disabled for row in np.flatnonzero(lost)}
        return f"disabled ({some(reasons)})"


class NotInMaintenance(Filter):
    """Not in maintenance."""

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return ~hosts.maintenance

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return "in maintenance"
