"""What a flavor limits a guest to, as its domain says it. Pure."""

from __future__ import annotations

from hypernova_agent.xml.devices.disk import IoLimits
from hypernova_agent.xml.devices.interface import Bandwidth, Rate
from hypernova_api import qos as api
from hypernova_api.flavor import FlavorSpec
from hypernova_api.quantity import Quantity

_SHARES = 100
"""Of a virtual CPU. Guests of ours are only weighed against each other, as libvirt keeps all of them in one cgroup
beside those of the host's own services and of Kubernetes' pods."""

_MOST_SHARES = 10_000
"""More than that is none in version 2 of cgroups."""


def cpu_shares(flavor: FlavorSpec) -> int:
    """Its weight beside other guests when CPUs are short: by its virtual CPUs where the flavor does not say."""
    said = flavor.qos.cpu.shares if flavor.qos and flavor.qos.cpu else None
    return said or min(_SHARES * flavor.vcpus, _MOST_SHARES)


def cpu_limit(flavor: FlavorSpec) -> int:
    """CPU time that each virtual CPU gets at most, in thousandths of a CPU; 0: no limit."""
    limit = flavor.qos.cpu.limit if flavor.qos and flavor.qos.cpu else None
    return limit.milli if limit is not None else 0


def io_limits(flavor: FlavorSpec) -> IoLimits | None:
    """What it may do to each of its disks; None: what it likes."""
    disk = flavor.qos.disk if flavor.qos else None
    if disk is None:
        return None
    return IoLimits(
        total_bytes=_bytes(disk.total_bytes_per_second),
        read_bytes=_bytes(disk.read_bytes_per_second),
        write_bytes=_bytes(disk.write_bytes_per_second),
        total_iops=disk.total_iops,
        read_iops=disk.read_iops,
        write_iops=disk.write_iops,
    )


def bandwidth(flavor: FlavorSpec) -> Bandwidth | None:
    """How fast each of its network interfaces is; None: as fast as the host can."""
    interface = flavor.qos.interface if flavor.qos else None
    if interface is None or (interface.inbound is None and interface.outbound is None):
        return None
    return Bandwidth(_rate(interface.inbound), _rate(interface.outbound))


def _rate(said: api.Bandwidth | None) -> Rate | None:
    return None if said is None else Rate(said.average.value, peak=_bytes(said.peak), burst=_bytes(said.burst))


def _bytes(amount: Quantity | None) -> int | None:
    return None if amount is None else amount.value
