"""Availability zones."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, everywhere, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class OneZone(Filter):
    """In one zone, or in none. One that aggregates put into two takes nothing until one of them lets it go."""

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.settled

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        confused = [hosts.at(int(row)) for row in np.flatnonzero(lost)]
        number = "two" if all(len(host.zones) == 2 for host in confused) else "several"
        where = some((f"{host.name}: {', '.join(host.zones)}" for host in confused), between="; ")
        return f"in {number} zones at once ({where})"


class Zone(Filter):
    """In the zone that the Instance asks for."""

    nova = "AvailabilityZoneFilter, map_az_to_placement_aggregate"
    lasting = True

    def applies(self, want: Request) -> bool:
        return bool(want.zone)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        mask: Mask = hosts.zone == hosts.zones.get(want.zone, -1) if want.zone else everywhere(hosts)
        return mask

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"not in zone {want.zone}"
