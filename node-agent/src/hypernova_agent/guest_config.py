"""What one guest's domain is made of on this host: its flavor and image, turned into what XML is written from."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent import names
from hypernova_agent.capacity import Room
from hypernova_agent.desired import Guest
from hypernova_agent.host import Owner
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig
from hypernova_api.architecture import DomainType


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What all guests of one host have in common."""

    domain_type: DomainType
    architecture: str
    disk: int
    """Bytes of the pool: the largest disk any guest can have."""


def guest_config(owner: Owner, guest: Guest, profile: HostProfile, room: Room, pool_path: str) -> GuestConfig:
    """All that tells this guest from another. Pure.

    Args:
        owner: whose it is.
        guest: what it is made of.
        profile: what the host is.
        room: what the host has to give: the guest keeps off what is not its own.
        pool_path: where the volumes are, as the host's QEMU sees them.
    """
    return GuestConfig(
        owner=owner,
        domain_type=profile.domain_type,
        architecture=profile.architecture,
        vcpus=guest.vcpus,
        memory=guest.memory,
        pool=names.POOL,
        disks=(
            DiskConfig(names.root_disk(owner.uid), "qcow2"),
            DiskConfig(names.config_drive(owner.uid), "raw", read_only=True),
        ),
        interfaces=(InterfaceConfig(guest.reservation.mac, names.NETWORK),),
        console_log=f"{pool_path}/{names.console_log(owner.uid)}",
        firmware=guest.firmware,
        cells=room.numa_cells(guest.allocation),
        cpus=room.shared_cpus,
        host_devices=guest.allocation.devices,
    )
