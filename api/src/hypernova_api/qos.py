"""How much of its host a guest may use at most: limits a Flavor sets, each with Nova's name for it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.meta import Model, Rule
from hypernova_api.quantity import Quantity

Iops = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""Reads or writes in a second."""

_BYTES = ("1Ki", "1T")


def _within(field: str, least: str, most: str) -> Rule:
    """The rule that a quantity that may be absent is within bounds, both included."""
    amount = f"quantity(string(self.{field}))"
    return Rule(
        f"!has(self.{field}) || "
        f"({amount}.compareTo(quantity('{least}')) >= 0 && {amount}.compareTo(quantity('{most}')) <= 0)",
        f"{field} must be between {least} and {most}",
        field=f".{field}",
    )


def _total_or_each(total: str, *parts: str) -> Rule:
    """The rule that a limit on all together leaves none to set on its parts."""
    any_part = " || ".join(f"has(self.{part})" for part in parts)
    return Rule(
        f"!has(self.{total}) || !({any_part})",
        f"{total} limits reads and writes together: leave out {' and '.join(parts)}, or leave it out",
        field=f".{total}",
    )


class CpuQos(Model):
    """How much of the host's CPUs the guest gets."""

    limit: Quantity | None = None
    """CPU time that each virtual CPU gets at most, in CPUs: `500m` is half of one; as much as it can use when absent.
    Only hosts whose libvirt has the cgroup controller `cpu` can hold a guest to it: others do not start it.
    (Nova: quota:cpu_quota / quota:cpu_period.)"""

    shares: Annotated[int, Field(ge=2, le=10_000)] | None = None
    """Its weight beside other guests when CPUs are short; 100 for each virtual CPU when absent, 10000 at most. (Nova:
    quota:cpu_shares.)"""

    rules: ClassVar[list[Rule]] = [_within("limit", "10m", "1")]


class DiskQos(Model):
    """What the guest may read from and write to each of its disks at most."""

    total_bytes_per_second: Quantity | None = None
    """Bytes read and written in a second, e.g. `100Mi`. (Nova: quota:disk_total_bytes_sec.)"""

    read_bytes_per_second: Quantity | None = None
    """Bytes read in a second. (Nova: quota:disk_read_bytes_sec.)"""

    write_bytes_per_second: Quantity | None = None
    """Bytes written in a second. (Nova: quota:disk_write_bytes_sec.)"""

    total_iops: Iops | None = None
    """Reads and writes in a second. (Nova: quota:disk_total_iops_sec.)"""

    read_iops: Iops | None = None
    """Reads in a second. (Nova: quota:disk_read_iops_sec.)"""

    write_iops: Iops | None = None
    """Writes in a second. (Nova: quota:disk_write_iops_sec.)"""

    rules: ClassVar[list[Rule]] = [
        _within("totalBytesPerSecond", *_BYTES),
        _within("readBytesPerSecond", *_BYTES),
        _within("writeBytesPerSecond", *_BYTES),
        _total_or_each("totalBytesPerSecond", "readBytesPerSecond", "writeBytesPerSecond"),
        _total_or_each("totalIops", "readIops", "writeIops"),
    ]


class Bandwidth(Model):
    """How fast one direction of a network interface is."""

    average: Quantity
    """Bytes in a second in the long run, e.g. `10Mi`; counted in whole KiB. (Nova: quota:vif_*_average.)"""

    peak: Quantity | None = None
    """Bytes in a second while a burst lasts; as fast as the host can when absent. (Nova: quota:vif_*_peak.)"""

    burst: Quantity | None = None
    """Bytes that may come at the peak's speed. (Nova: quota:vif_*_burst.)"""

    rules: ClassVar[list[Rule]] = [
        _within("average", *_BYTES),
        _within("peak", *_BYTES),
        _within("burst", *_BYTES),
        Rule(
            "!has(self.peak) || quantity(string(self.peak)).compareTo(quantity(string(self.average))) >= 0",
            "peak must not be less than average",
            field=".peak",
        ),
    ]


class InterfaceQos(Model):
    """How fast each of the guest's network interfaces is."""

    inbound: Bandwidth | None = None
    """To the guest. (Nova: quota:vif_inbound_*.)"""

    outbound: Bandwidth | None = None
    """From the guest. (Nova: quota:vif_outbound_*.)"""


class Qos(Model):
    """How much of its host a guest may use at most; what is absent has no limit. (Nova: quota:*.)"""

    cpu: CpuQos | None = None
    """How much of the host's CPUs it gets."""

    disk: DiskQos | None = None
    """What it may read from and write to each of its disks."""

    interface: InterfaceQos | None = None
    """How fast each of its network interfaces is."""
