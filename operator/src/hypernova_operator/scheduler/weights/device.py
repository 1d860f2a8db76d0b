"""What is left of devices."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable
from hypernova_operator.scheduler.weights.base import Rows, Weight


class DeviceThrift(Weight):
    """The host with the fewest PCI devices wins; where devices are asked for, the one with the fewest free of them.

    So hosts with many are kept for who asks for some, and those with many free for who asks for many.
    """

    name = "deviceThrift"
    multiplier = 1.0
    nova = "PCIWeigher"

    def applies(self, hosts: HostTable, want: Request) -> bool:
        return bool(want.devices) or bool(np.count_nonzero(hosts.devices))

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        if not want.devices:
            return -hosts.devices[rows]
        kept: Amounts = -hosts.devices_free(want.devices[0].alias)[rows]
        for device in want.devices[1:]:
            kept -= hosts.devices_free(device.alias)[rows]
        return kept
