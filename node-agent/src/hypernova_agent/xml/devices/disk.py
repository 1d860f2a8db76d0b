"""Disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Disk:
    """<disk>: https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms"""

    pool: str
    volume: str
    format: Literal["qcow2", "raw"]
    """Always said: a guest that writes a qcow2 header into a probed raw disk would read the host's files."""

    target: str
    """vda, vdb, ...: the order on the bus; the guest may name it otherwise."""

    boot_order: int | None = None
    read_only: bool = False

    def xml(self) -> Element:
        # The host's page cache honours the guest's flushes, works on every file system (tmpfs knows no O_DIRECT) and is
        # shared by all overlays of an image; without it the BIOS, which reads in small pieces, takes twice as long.
        return E.disk(
            E.driver(name="qemu", type=self.format, cache="writeback", discard="unmap"),
            E.source(pool=self.pool, volume=self.volume),
            E.target(dev=self.target, bus="virtio"),
            E.readonly() if self.read_only else None,
            None if self.boot_order is None else E.boot(order=self.boot_order),
            type="volume",
            device="disk",
        )
