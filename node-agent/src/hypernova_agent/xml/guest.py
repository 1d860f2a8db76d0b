"""The one way a guest of ours is put together."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import Literal

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
class DiskConfig:
    """A disk of a guest."""

    volume: str
    format: Literal["qcow2", "raw"]
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """A network interface of a guest."""

    mac: str
    network: str
    """Name of a libvirt network."""

    link_up: bool = True
    """Whether its cable is plugged in."""


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
    """The pool of all its volumes."""

    disks: tuple[DiskConfig, ...]
    """In the order in which the guest finds them; it boots from the first."""

    interfaces: tuple[InterfaceConfig, ...]
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
    return [
        NoUsb(),
        *(_disk(guest.pool, disk, place) for place, disk in enumerate(guest.disks)),
        *(Interface(each.network, each.mac, each.link_up) for each in guest.interfaces),
        Serial(guest.console_log),
        Graphics(),
        Audio(),
        Video(),
        MemoryBalloon(),
        Rng(),
        *(PciHostDevice(address) for address in guest.host_devices),
    ]


def _disk(pool: str, disk: DiskConfig, place: int) -> Disk:
    # All on virtio, the config drive, too: the cloud kernels of distributions bring no driver for a SATA drive.
    return Disk(
        pool,
        disk.volume,
        disk.format,
        target=f"vd{ascii_lowercase[place]}",
        boot_order=1 if place == 0 else None,
        read_only=disk.read_only,
    )
