"""What is installed on a host, or fetched already."""

from __future__ import annotations

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable, Mask
from hypernova_operator.scheduler.weights.base import Rows, Weight


class HypervisorVersion(Weight):
    """The host with the newest QEMU wins, so that Instances need not move when the old ones are upgraded."""

    name = "hypervisorVersion"
    multiplier = 1.0
    nova = "HypervisorVersionWeigher"

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.qemu_version[rows]


class ImageCached(Weight):
    """Hosts that have had an Instance of the Image win over those that would have to fetch it.

    To fetch it is done once for each host, where it is placed counts as long as the Instance lives: so this counts
    for a tenth of what free room does. It decides among hosts that are much alike, and a new Image does not fill
    the first host that has it.
    """

    name = "imageCached"
    multiplier = 0.1

    def applies(self, hosts: HostTable, want: Request) -> bool:
        return bool(want.image)

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Mask:
        return hosts.cached(want.image)[rows]
