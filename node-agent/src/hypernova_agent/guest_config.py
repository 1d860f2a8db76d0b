"""What one guest's domain is made of on this host: its flavor and image, turned into what XML is written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypernova_agent import names
from hypernova_agent.allocation import Allocation
from hypernova_agent.capacity import Room
from hypernova_agent.definition import disks
from hypernova_agent.desired import Guest
from hypernova_agent.host import Abilities, HostFacts, Owner
from hypernova_agent.limits import bandwidth, cpu_limit, cpu_shares, io_limits
from hypernova_agent.xml.cpu import Topology
from hypernova_agent.xml.devices.memory import BLOCK
from hypernova_agent.xml.devices.watchdog import Action
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig
from hypernova_api.architecture import DomainType, WatchdogAction
from hypernova_api.flavor import FlavorSpec
from hypernova_api.image import ImageProperties

_GROWTH = 4
_MOST_VCPUS = 255
"""More take an interrupt controller that guests of ours do not have."""

_SMALL = 2 << 30
"""Bytes of memory: of a guest that has them, 64 MiB are 3 %."""

_WATCHDOG: Mapping[WatchdogAction, Action | None] = {
    "Disabled": None,
    "Reset": "reset",
    "PowerOff": "poweroff",
    "Pause": "pause",
    "None": "none",
}


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What all guests of one host have in common."""

    domain_type: DomainType
    architecture: str
    disk: int
    """Bytes of the pool: the largest disk any guest can have."""

    cpus: int = 0
    memory: int = 0
    """Bytes. Like `cpus`: beyond what the host has no guest can grow while it runs."""

    abilities: Abilities = field(default_factory=Abilities)
    """What guests of its type can have."""


def profile_of(facts: HostFacts, domain_type: DomainType) -> HostProfile:
    """What all guests of a host have in common that are of one type."""
    return HostProfile(
        domain_type,
        facts.architecture,
        facts.disk,
        cpus=facts.cpus,
        memory=facts.memory,
        abilities=facts.abilities.get(domain_type, Abilities()),
    )


def guest_config(owner: Owner, guest: Guest, profile: HostProfile, room: Room, pool_path: str) -> GuestConfig:
    """All that tells this guest from another. Pure.

    Args:
        owner: whose it is.
        guest: what it is made of.
        profile: what the host is.
        room: what the host has to give: the guest keeps off what is not its own.
        pool_path: where the volumes are, as the host's QEMU sees them.
    """
    flavor, properties = guest.flavor, guest.image.properties or ImageProperties()
    windows = properties.os_type == "Windows"
    return GuestConfig(
        owner=owner,
        domain_type=profile.domain_type,
        architecture=profile.architecture,
        vcpus=guest.vcpus,
        memory=guest.memory,
        max_vcpus=max_vcpus(flavor, guest.allocation, profile),
        max_memory=max_memory(flavor, guest.allocation, profile),
        pool=names.POOL,
        disks=tuple(_disk(volume, flavor) for volume in disks(owner.uid, guest)),
        interfaces=tuple(
            InterfaceConfig(nic.reservation.mac, names.NETWORK, nic.up, bandwidth(flavor)) for nic in guest.nics
        ),
        console_log=f"{pool_path}/{names.console_log(owner.uid)}",
        cpu_model=guest.cpu_model,
        topology=_topology(flavor),
        cpu_shares=cpu_shares(flavor),
        cpu_limit=cpu_limit(flavor),
        cells=room.numa_cells(guest.allocation),
        cpus=room.shared_cpus,
        locked_memory=flavor.locked_memory,
        firmware=guest.firmware,
        secure_boot=_secure_boot(properties, profile.abilities),
        windows=windows,
        hyperv=profile.abilities.hyperv if windows else frozenset(),
        watchdog=_WATCHDOG[properties.watchdog or flavor.watchdog or "Disabled"],
        tpm=properties.tpm_version or flavor.tpm_version,
        host_devices=guest.allocation.devices,
    )


def max_vcpus(flavor: FlavorSpec, allocation: Allocation, profile: HostProfile) -> int:
    """How many virtual CPUs a guest can have without being started anew.

    Four times its flavor's, as far as the host has them. No more than its flavor's where each has a place of its own:
    in a cell or on a CPU of the host, or in a topology that the flavor asks for; and none under emulation: a QEMU whose
    memory for translated code is all in use dies when a CPU is plugged in (seen with 7.2, tcg_region_initial_alloc).
    Otherwise, to have room costs next to nothing.
    """
    placed = bool(allocation.cells) or _topology(flavor) is not None
    fixed = placed or profile.domain_type == "qemu" or profile.architecture != "x86_64"
    return flavor.vcpus if fixed else max(flavor.vcpus, min(flavor.vcpus * _GROWTH, profile.cpus, _MOST_VCPUS))


def max_memory(flavor: FlavorSpec, allocation: Allocation, profile: HostProfile) -> int:
    """Bytes of memory a guest can have without being started anew.

    Four times its flavor's, as far as the host has it. No more than its flavor's where that is kept in RAM: in cells of
    the host, on huge pages, locked, or for the host's devices to reach. And none for small guests: Linux sets 64 MiB
    apart for devices that reach 4 GiB only, as soon as there could be memory beyond.
    """
    memory = flavor.memory.value
    fixed = bool(allocation.cells or allocation.devices) or flavor.locked_memory or profile.architecture != "x86_64"
    if fixed or memory < _SMALL:
        return memory
    return memory + max(min(memory * _GROWTH, profile.memory) - memory, 0) // BLOCK * BLOCK


def _topology(flavor: FlavorSpec) -> Topology | None:
    said = flavor.cpu.topology if flavor.cpu else None
    return Topology(said.sockets, said.cores, said.threads) if said else None


def _secure_boot(properties: ImageProperties, abilities: Abilities) -> bool:
    optional = properties.secure_boot == "Optional" and "COMPUTE_SECURITY_UEFI_SECURE_BOOT" in abilities.traits
    return properties.secure_boot == "Required" or optional


def _disk(volume: str, flavor: FlavorSpec) -> DiskConfig:
    if names.is_config_drive(volume):
        return DiskConfig(volume, "raw", read_only=True)
    return DiskConfig(volume, "qcow2", limits=io_limits(flavor))
