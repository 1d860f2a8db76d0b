"""Whether somebody on the host would do what is bound to it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class AgentAlive(Filter):
    """The agent's Lease is fresh and its Hypervisor Ready."""

    nova = "ComputeFilter"
    in_place = True

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.alive

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        names = defaultdict(list)
        for row in np.flatnonzero(lost):
            host = hosts.at(int(row))
            names[host.trouble].append(host.name)
        troubles = "; ".join(f"{trouble}: {some(names[trouble])}" for trouble in sorted(names))
        return f"without a working agent ({troubles})"
