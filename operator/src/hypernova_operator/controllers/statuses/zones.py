"""The status of an AvailabilityZone. Pure: the table is only read. Users read it: it says nothing of hosts."""

from __future__ import annotations

from datetime import datetime

from hypernova_api.zone import AvailabilityZoneStatus
from hypernova_operator.cache.records import AvailabilityZone
from hypernova_operator.controllers.observed import Observed, only
from hypernova_operator.controllers.statuses.hosts import failover
from hypernova_operator.scheduler import HostTable
from hypernova_operator.scheduler.headroom import usable


def status(zone: AvailabilityZone, hosts: HostTable, now: datetime) -> AvailabilityZoneStatus:
    """How a zone is now."""
    name = zone.key.name
    inside = hosts.zone == hosts.zones.get(name, -1)
    available = bool((inside & usable(hosts)).any())
    if available:
        observed = [Observed("Available", "True", "Available", "")]
    elif inside.any():
        observed = [Observed("Available", "False", "NoUsableHost", "no host of the zone takes Instances now")]
    else:
        message = "no HostAggregate puts a host into the zone: set the spec.availabilityZone of one that has hosts"
        observed = [Observed("Available", "False", "NoHost", message)]
    reserve = hosts.reserves.get(f"AvailabilityZone {name}")
    if reserve is not None:
        observed.append(failover(hosts, reserve))
    return AvailabilityZoneStatus(
        observed_generation=zone.generation,
        available=available,
        conditions=only(zone.status.conditions, zone.generation, now, *observed),
    )
