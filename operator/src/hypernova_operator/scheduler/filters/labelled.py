"""Whether the Node says that it takes Instances."""

from __future__ import annotations

from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_operator.scheduler.filters.base import Filter
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class NodeLabelled(Filter):
    """The Node carries the label that makes it a host."""

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.labelled

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"without the node label {HYPERVISOR_LABEL}=true"
