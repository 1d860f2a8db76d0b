"""The one way a guest of ours is put together."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.host import Owner
from hypernova_agent.xml.devices.controller import NoUsb
from hypernova_agent.xml.devices.disk import Disk
from hypernova_agent.xml.devices.graphics import Audio, Graphics, Video
from hypernova_agent.xml.devices.hostdev import PciHostDevice
from hypernova_agent.xml.devices.interface import Interface
from hypernova_agent.xml.devices.memballoon import MemoryBalloon
from hypernova_agent.xml.devices.rng import Rng
from hypernova_agent.xml.devices.serial import Serial
from hypernova_agent.xml.domain import Device, DomainElement
from hypernova_agent.xml.element import serialize
from hypernova_agent.xml.numa import NumaCell
from hypernova_api.architecture import DomainType, Firmware


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """All that tells one guest from another."""

    owner: Owner
    domain_type: DomainType
    architecture: str
    """As libvirt spells it, e.g. x86_64."""

    vcpus: int
    memory: int
    """Bytes."""

    pool: str
    """The pool of both volumes."""

    root_volume: str
    """A qcow2 volume."""

    config_drive: str | None
    """A raw volume, which the guest gets read-only."""

    network: str
    """Name of a libvirt network."""

    mac: str
    console_log: str
    """Path on the host."""

    firmware: Firmware = "BIOS"
    cells: tuple[NumaCell, ...] = ()
    """Where it is on the host; none: the host's kernel places it."""

    cpus: str = ""
    """The CPUs of the host that it may run on, if it has no cells, e.g. `0-3`; empty: all."""

    host_devices: tuple[str, ...] = ()
    """Addresses of PCI devices of the host that it gets for itself."""


def domain_name(owner: Owner) -> str:
    """What virsh calls it. The UID's start keeps an Instance apart from a deleted one of the same name."""
    return f"{owner.namespace}.{owner.name}.{owner.uid[:8]}"


def domain_xml(guest: GuestConfig) -> str:
    """The XML of the guest's domain."""
    return serialize(
        DomainElement(
            type=guest.domain_type,
            name=domain_name(guest.owner),
            owner=guest.owner,
            architecture=guest.architecture,
            vcpus=guest.vcpus,
            memory=guest.memory,
            devices=_devices(guest),
            firmware=guest.firmware,
            cells=guest.cells,
            cpus=guest.cpus,
        ).xml()
    )


def _devices(guest: GuestConfig) -> list[Device]:
    disks = [Disk(guest.pool, guest.root_volume, "qcow2", "vda", boot_order=1)]
    if guest.config_drive is not None:
        # On virtio like the root disk: the cloud kernels of distributions bring no driver for a SATA drive.
        disks.append(Disk(guest.pool, guest.config_drive, "raw", "vdb", read_only=True))
    return [
        NoUsb(),
        *disks,
        Interface(guest.network, guest.mac),
        Serial(guest.console_log),
        Graphics(),
        Audio(),
        Video(),
        MemoryBalloon(),
        Rng(),
        *(PciHostDevice(address) for address in guest.host_devices),
    ]
