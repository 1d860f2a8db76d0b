"""Our pool and what lies in it: https://libvirt.org/formatstorage.html"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from hypernova_agent.host import Volume
from hypernova_agent.xml.element import E, Element, parse, serialize


@dataclass(frozen=True, slots=True)
class DirectoryPool:
    """<pool type='dir'>: a folder of the host."""

    name: str
    path: str

    def xml(self) -> Element:
        return E.pool(E.name(self.name), E.target(E.path(self.path)), type="dir")


@dataclass(frozen=True, slots=True)
class RawVolume:
    """<volume>: bytes as they are, to be uploaded; no space is set aside for them."""

    name: str
    capacity: int
    """Bytes; an upload may grow it."""

    def xml(self) -> Element:
        return _thin(self.name, self.capacity, "raw")


@dataclass(frozen=True, slots=True)
class OverlayVolume:
    """<volume>: a qcow2 that holds what differs from another volume."""

    name: str
    capacity: int
    """Bytes the guest sees; at least those of the backing volume."""

    backing_path: str
    """Path on the host; libvirt names backing volumes by path only."""

    backing_format: str
    """Always said: a probed one would let an image's content decide."""

    def xml(self) -> Element:
        backing = E.backingStore(E.path(self.backing_path), E.format(type=self.backing_format))
        return _thin(self.name, self.capacity, "qcow2", backing)


@dataclass(frozen=True, slots=True)
class Qcow2Volume:
    """<volume>: a qcow2 that lies on nothing."""

    name: str
    capacity: int
    """Bytes the guest sees."""

    def xml(self) -> Element:
        return _thin(self.name, self.capacity, "qcow2")


def pool_xml(pool: DirectoryPool) -> str:
    """The XML to define the pool with."""
    return serialize(pool.xml())


def volume_xml(volume: RawVolume | OverlayVolume | Qcow2Volume) -> str:
    """The XML to make the volume with."""
    return serialize(volume.xml())


def backup_xml(disk: str, path: str) -> str:
    """The XML to have QEMU copy a disk, e.g. `vda`, to a qcow2 file of the host, and no other disk of the guest.

    https://libvirt.org/formatbackup.html
    """
    target = E.disk(E.driver(type="qcow2"), E.target(file=path), name=disk, backup="yes", type="file")
    return serialize(E.domainbackup(E.disks(target), mode="push"))


def parse_pool_path(xml: str) -> str | None:
    """Where the pool's volumes are on the host; None for a pool that has no folder, as of a network block device."""
    return parse(xml).findtext("./target/path")


def parse_volume(xml: str) -> Volume:
    """The volume as libvirt describes it."""
    root = parse(xml)
    backing = root.findtext("./backingStore/path")
    return Volume(
        name=root.findtext("./name", ""),
        capacity=int(root.findtext("./capacity[@unit='bytes']", "0")),
        allocation=int(root.findtext("./allocation[@unit='bytes']", "0")),
        backing=None if backing is None else PurePosixPath(backing).name,
    )


def parse_volume_format(xml: str) -> str | None:
    """The format libvirt found a volume to have."""
    found = parse(xml).find("./target/format")
    return None if found is None else found.get("type")


def _thin(name: str, capacity: int, format_: str, *more: Element) -> Element:
    """A volume for which no space is set aside."""
    return E.volume(
        E.name(name),
        E.capacity(str(capacity), unit="bytes"),
        E.allocation("0", unit="bytes"),
        E.target(E.format(type=format_)),
        *more,
    )
