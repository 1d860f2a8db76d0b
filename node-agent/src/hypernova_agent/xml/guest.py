"""The one way a guest of ours is put together."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase

from hypernova_agent.host import Owner
from hypernova_agent.xml.board import Clock, Features, Os
from hypernova_agent.xml.cpu import Cpu, CpuTune, IoThreads, Topology, Vcpus
from hypernova_agent.xml.devices.channel import GuestAgentChannel
from hypernova_agent.xml.devices.controller import NoUsb, PcieController
from hypernova_agent.xml.devices.disk import Disk, Format, IoLimits
from hypernova_agent.xml.devices.graphics import Audio, Graphics, Video
from hypernova_agent.xml.devices.hostdev import PciHostDevice
from hypernova_agent.xml.devices.interface import Bandwidth, Interface
from hypernova_agent.xml.devices.memballoon import MemoryBalloon
from hypernova_agent.xml.devices.memory import VirtioMemory
from hypernova_agent.xml.devices.panic import Panic
from hypernova_agent.xml.devices.rng import Rng
from hypernova_agent.xml.devices.serial import Serial
from hypernova_agent.xml.devices.tpm import Tpm
from hypernova_agent.xml.devices.watchdog import Action, Watchdog
from hypernova_agent.xml.domain import DomainElement, Part
from hypernova_agent.xml.element import serialize
from hypernova_agent.xml.memory import MaxMemory, Memory, MemoryBacking
from hypernova_agent.xml.metadata import Metadata
from hypernova_agent.xml.numa import Numa, NumaCell, NumaTune, cpus_of
from hypernova_api.architecture import DomainType, Firmware, TpmVersion
from hypernova_api.cpuset import format_cpuset

MOST_QUEUES = 8
"""Of a device. One thread serves all queues of a disk, and each queue of a card has a thread of the host's kernel: more
of them gain little, and each takes memory and interrupts of the guest."""

SPARE_PORTS = 4
"""For what is plugged in while the guest runs. Each takes the BIOS of an emulated guest some 5 ms."""

_IN_PORTS = (Disk, Interface, GuestAgentChannel, MemoryBalloon, VirtioMemory, Rng, Watchdog, PciHostDevice)
"""Devices that take a PCIe port each: those of the chipset and on ISA take none."""


@dataclass(frozen=True, slots=True)
class DiskConfig:
    """A disk of a guest."""

    volume: str
    format: Format
    read_only: bool = False
    limits: IoLimits | None = None


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """A network interface of a guest."""

    mac: str
    network: str
    """Name of a libvirt network."""

    link_up: bool = True
    """Whether its cable is plugged in."""

    bandwidth: Bandwidth | None = None


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """All that tells one guest from another."""

    owner: Owner
    domain_type: DomainType
    architecture: str
    """As libvirt spells it, e.g. x86_64."""

    vcpus: int
    memory: int
    """Bytes at power-on."""

    pool: str
    """The pool of all its volumes."""

    disks: tuple[DiskConfig, ...]
    """In the order in which the guest finds them; it boots from the first."""

    interfaces: tuple[InterfaceConfig, ...]
    console_log: str
    """Path on the host."""

    max_vcpus: int = 0
    """How many it can have without being started anew; 0: no more than at power-on."""

    max_memory: int = 0
    """Bytes it can have without being started anew, more than at power-on by a multiple of `devices.memory.BLOCK`; 0:
    no more. Only for a guest without cells."""

    cpu_model: str | None = None
    """As libvirt names it; None: all that the host has under KVM, the smallest model under emulation."""

    topology: Topology | None = None
    """How it sees its virtual CPUs; None: a socket each. Only for a guest that can have no more of them."""

    cpu_shares: int = 100
    """Weight beside other guests when CPUs are short, 2 to 10000: the range that both versions of cgroups know."""

    cpu_limit: int = 0
    """CPU time that each virtual CPU gets at most, in thousandths of a CPU; 0: no limit."""

    cells: tuple[NumaCell, ...] = ()
    """Where it is on the host; none: the host's kernel places it."""

    cpus: str = ""
    """The CPUs of the host that it may run on, if it has no cells, e.g. `0-3`; empty: all."""

    locked_memory: bool = False
    """Whether the host may not swap it out."""

    firmware: Firmware = "BIOS"
    secure_boot: bool = False
    """For UEFI: whether it boots only what is signed."""

    windows: bool = False
    hyperv: frozenset[str] = frozenset()
    """Interfaces of Hyper-V that it has, in libvirt's words."""

    watchdog: Action | None = None
    """What happens to a guest that hangs; None: it has no watchdog."""

    tpm: TpmVersion | None = None
    host_devices: tuple[str, ...] = ()
    """Addresses of PCI devices of the host that it gets for itself."""

    digest: str = ""
    """This and what follows: for its metadata."""

    boot: str = ""
    record: str = ""


def domain_name(owner: Owner) -> str:
    """What virsh calls it. The UID's start keeps an Instance apart from a deleted one of the same name."""
    return f"{owner.namespace}.{owner.name}.{owner.uid[:8]}"


def domain_xml(guest: GuestConfig) -> str:
    """The XML of the guest's domain."""
    domain = DomainElement(
        type=guest.domain_type,
        name=domain_name(guest.owner),
        metadata=Metadata(guest.owner, guest.digest, guest.boot, guest.record),
        parts=_machine(guest),
        devices=_with_ports(_devices(guest)),
    )
    return serialize(domain.xml())


def interface_xml(interface: InterfaceConfig, vcpus: int) -> str:
    """The XML of one interface of a guest, to plug it in."""
    return serialize(_interface(interface, vcpus).xml())


def _machine(guest: GuestConfig) -> list[Part]:
    maximum, cells = max(guest.vcpus, guest.max_vcpus), guest.cells
    numa = Numa([(cell.vcpus, cell.memory) for cell in cells]) if cells else None
    parts: list[Part] = [Memory(guest.memory)]
    if guest.max_memory > guest.memory:
        # What can be plugged in belongs to a cell: such a guest has one, which is nowhere in particular.
        numa = Numa([(range(maximum), guest.memory)])
        parts.append(MaxMemory(guest.max_memory))
    if guest.locked_memory or any(cell.page_size for cell in cells):
        parts.append(MemoryBacking(guest.locked_memory, cells))
    parts += [
        Vcpus(guest.vcpus, maximum, format_cpuset(cpus_of(cells)) or guest.cpus),
        IoThreads(1),
        CpuTune(guest.cpu_shares, guest.cpu_limit, cells),
        *([NumaTune(cells)] if cells else []),
        Os(guest.architecture, guest.firmware, guest.secure_boot),
        Features(guest.domain_type, guest.memory, guest.hyperv),
        Cpu(guest.domain_type, guest.architecture, guest.cpu_model, guest.topology, numa),
        # libvirt does not tell whether the host has Hyper-V's clock; its timers go by it.
        Clock(guest.domain_type, guest.windows, hyperv="stimer" in guest.hyperv),
    ]
    return parts


def _devices(guest: GuestConfig) -> list[Part]:
    return [
        NoUsb(),
        *(_disk(guest, disk, place) for place, disk in enumerate(guest.disks)),
        *(_interface(interface, guest.vcpus) for interface in guest.interfaces),
        Serial(guest.console_log),
        GuestAgentChannel(),
        Graphics(),
        Audio(),
        Video(),
        MemoryBalloon(),
        *([VirtioMemory(guest.max_memory - guest.memory)] if guest.max_memory > guest.memory else []),
        Rng(),
        Panic(),
        *([Watchdog(guest.watchdog)] if guest.watchdog else []),
        *([Tpm(guest.tpm)] if guest.tpm else []),
        *(PciHostDevice(address) for address in guest.host_devices),
    ]


def _with_ports(devices: list[Part]) -> list[Part]:
    ports = sum(isinstance(device, _IN_PORTS) for device in devices) + SPARE_PORTS
    return [*(PcieController(number) for number in range(ports + 1)), *devices]


def _disk(guest: GuestConfig, disk: DiskConfig, place: int) -> Disk:
    # All on virtio, the config drive, too: the cloud kernels of distributions bring no driver for a SATA drive.
    return Disk(
        guest.pool,
        disk.volume,
        disk.format,
        target=f"vd{ascii_lowercase[place]}",
        queues=_queues(guest.vcpus),
        iothread=1,
        boot_order=1 if place == 0 else None,
        read_only=disk.read_only,
        limits=disk.limits,
    )


def _interface(interface: InterfaceConfig, vcpus: int) -> Interface:
    return Interface(
        interface.network,
        interface.mac,
        queues=_queues(vcpus),
        link_up=interface.link_up,
        bandwidth=interface.bandwidth,
    )


def _queues(vcpus: int) -> int:
    """As many as it has virtual CPUs at power-on: each has its own to put requests into."""
    return min(vcpus, MOST_QUEUES)
