"""How full the zones are."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Scores
from hypernova_operator.scheduler.weights.base import Rows, Weight


class ZoneSpread(Weight):
    """The host whose zone has the largest share of its memory free wins, where no zone is asked for.

    Shares are those of the hosts that passed together: what a zone has that is of no use for the Instance does not
    speak for it. Hosts in no zone count as a zone of their own.
    """

    name = "zoneSpread"
    multiplier = 1.0

    def applies(self, hosts: HostTable, want: Request) -> bool:
        return not want.zone and len(hosts.zones) > 1

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Scores:
        zone = hosts.zone[rows]
        free = np.bincount(zone, hosts.memory_free[rows])
        total = np.bincount(zone, hosts.memory_total[rows])
        share: Scores = free / np.maximum(total, 1.0)  # of a number that no host is in, or only hosts without memory
        return share.take(zone)
