"""Disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypernova_agent.xml.element import E, Element, element

Format = Literal["qcow2", "raw"]


@dataclass(frozen=True, slots=True)
class IoLimits:
    """What a guest may do to a disk in a second; None: as much as it can."""

    total_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    total_iops: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None

    def xml(self) -> Element:
        """<iotune>: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms"""
        return E.iotune(
            _number("total_bytes_sec", self.total_bytes),
            _number("read_bytes_sec", self.read_bytes),
            _number("write_bytes_sec", self.write_bytes),
            _number("total_iops_sec", self.total_iops),
            _number("read_iops_sec", self.read_iops),
            _number("write_iops_sec", self.write_iops),
        )


@dataclass(frozen=True, slots=True)
class Disk:
    """<disk>: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms"""

    pool: str
    volume: str
    format: Format
    """Always said: a guest that writes a qcow2 header into a probed raw disk would read the host's files."""

    target: str
    """vda, vdb, ...: the order on the bus; the guest may name it otherwise."""

    queues: int
    """That its virtual CPUs put their requests into without waiting for each other."""

    iothread: int
    """Which of the domain's threads does the work: not QEMU's main one, which has consoles and libvirt to answer."""

    boot_order: int | None = None
    read_only: bool = False
    limits: IoLimits | None = None

    def xml(self) -> Element:
        # The host's page cache honours the guest's flushes, works on every file system (tmpfs knows no O_DIRECT) and is
        # shared by all overlays of an image; without it the BIOS, which reads in small pieces, takes twice as long.
        return E.disk(
            E.driver(
                name="qemu",
                type=self.format,
                cache="writeback",
                discard="unmap",
                queues=self.queues,
                iothread=self.iothread,
            ),
            E.source(pool=self.pool, volume=self.volume),
            E.target(dev=self.target, bus="virtio"),
            self.limits.xml() if self.limits else None,
            E.readonly() if self.read_only else None,
            None if self.boot_order is None else E.boot(order=self.boot_order),
            type="volume",
            device="disk",
        )


def _number(tag: str, number: int | None) -> Element | None:
    return None if number is None else element(tag, str(number))
