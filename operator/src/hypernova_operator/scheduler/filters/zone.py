"""Availability zones."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


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
