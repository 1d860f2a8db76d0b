"""What one Instance asks of this node, read from the object the API server keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypernova_agent import names
from hypernova_agent.allocation import NO_ALLOCATION, Allocation, allocation_of
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.errors import BindingIncomplete, InstanceFault
from hypernova_agent.host import Owner, Reservation
from hypernova_agent.record import record_of
from hypernova_agent.user_data import InSecret, user_data_of
from hypernova_api import instance as api
from hypernova_api.architecture import Firmware
from hypernova_api.flavor import FlavorSpec
from hypernova_api.instance import BoundImage, BoundKeyPair, BoundRescue, Instance, PowerState, RestartPolicy
from hypernova_api.meta import FINALIZER
from hypernova_api.overcommit import Overcommit

ON = frozenset[PowerState]({"Running", "Paused"})
"""Power states of a guest that is powered on."""


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card of a guest."""

    reservation: Reservation
    up: bool = True
    """Whether its cable is plugged in."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What a guest is made of, as it was resolved for it."""

    flavor: FlavorSpec
    image: BoundImage
    nics: tuple[Nic, ...]
    """One at least."""

    key_pairs: tuple[BoundKeyPair, ...] = ()
    user_data: str | InSecret = ""
    allocation: Allocation = NO_ALLOCATION
    """What it got of its host beside amounts."""

    bound_at: str = ""
    """When, RFC 3339; empty where nobody says."""

    overcommit: Overcommit = field(default_factory=Overcommit)
    """The host's ratios that were counted with then."""

    build: str = ""
    """UID of the rebuild that its disk is of; empty: it is the first."""

    rescue: BoundRescue | None = None
    """What it is booted from instead of its disk, while it is rescued."""

    cpu_model: str | None = None
    """The CPU that its aggregates have it see; None: the host's own."""

    launched: bool = False
    """Whether it has had a domain: then it has a disk, and none is made anew."""

    @property
    def reservation(self) -> Reservation:
        """Of its first network card."""
        return self.nics[0].reservation

    @property
    def vcpus(self) -> int:
        """Virtual CPUs."""
        return self.flavor.vcpus

    @property
    def memory(self) -> int:
        """Bytes of memory."""
        return self.flavor.memory.value

    @property
    def disk(self) -> int:
        """Bytes of its root disk; 0 takes the image's own size."""
        return self.flavor.root_disk.value

    @property
    def firmware(self) -> Firmware:
        """What it boots by; BIOS where its image does not say."""
        return (self.image.properties.firmware if self.image.properties is not None else None) or "BIOS"


@dataclass(frozen=True, slots=True)
class Desired:
    """What should be."""

    owner: Owner
    """As its domain says: the UID is the domain's."""

    power_state: PowerState
    grace: float
    """Seconds between pressing the power button and pulling the plug; 0 pulls it at once."""

    guest: Guest | InstanceFault
    """What to build; or why that cannot be said, which matters only while there is no domain."""

    resize: Guest | InstanceFault | None = None
    """The same with the flavor of a resize that has been granted, and that is not in force in full."""

    resizing: bool = False
    """Whether `guest` is that of such a resize."""

    restart_policy: RestartPolicy = "Always"
    ask: Ask = NOTHING
    record: str = ""
    """What its domain is to remember of the Instance."""

    object_uid: str = ""
    """The Instance's own UID, where it is not its domain's: it was adopted."""

    deleting: bool = False
    finalizer: bool = True
    """Whether the Instance still carries our finalizer: without it there is nothing left to tear down."""

    @property
    def uid(self) -> str:
        """The Instance's own UID."""
        return self.object_uid or self.owner.uid

    @property
    def on(self) -> bool:
        """Whether its guest should be powered on."""
        return self.power_state in ON and not self.deleting

    def granted(self) -> Desired:
        """With the resize, which the host has room for."""
        return self if self.resize is None else replace(self, guest=self.resize, resize=None, resizing=True)


def domain_uid(instance: Instance) -> str:
    """UUID of an Instance's domain: its UID, unless it was adopted after its first object had been lost."""
    return instance.status.domain_uid or instance.metadata.uid


def desired_of(instance: Instance, ask: Ask = NOTHING) -> Desired:
    """What an Instance that is bound to this node asks for, and its action. Pure."""
    metadata, spec, status = instance.metadata, instance.spec, instance.status
    owner = Owner(uid=domain_uid(instance), namespace=metadata.namespace, name=metadata.name)
    resize = status.resize
    return Desired(
        owner=owner,
        power_state=spec.power_state,
        grace=float(spec.termination_grace_period_seconds),
        guest=_guest_of(instance, status.flavor, status.allocation),
        resize=_guest_of(instance, resize.flavor, resize.allocation) if resize is not None else None,
        restart_policy=spec.restart_policy,
        ask=ask,
        record=record_of(instance),
        object_uid=metadata.uid if metadata.uid != owner.uid else "",
        deleting=metadata.deletion_timestamp is not None,
        finalizer=FINALIZER in metadata.finalizers,
    )


def _guest_of(
    instance: Instance, flavor: FlavorSpec | None, allocation: api.Allocation | None
) -> Guest | InstanceFault:
    status = instance.status
    if flavor is None or status.image is None or not status.addresses:
        return BindingIncomplete(
            "the Instance is bound to this node, but its status lacks the flavor, image or address that binding "
            "writes: delete it and create it anew"
        )
    try:
        packed = allocation_of(flavor, allocation)
    except BindingIncomplete as fault:
        return fault
    placement = status.placement
    return Guest(
        flavor=flavor,
        image=status.image,
        nics=_nics(instance),
        key_pairs=tuple(status.key_pairs),
        user_data=user_data_of(instance),
        allocation=packed,
        bound_at=placement.time if placement is not None else "",
        overcommit=(placement.overcommit if placement is not None else None) or Overcommit(),
        build=status.build or "",
        rescue=status.rescue,
        cpu_model=placement.cpu_model if placement is not None else None,
        launched=status.launched_at is not None,
    )


def _nics(instance: Instance) -> tuple[Nic, ...]:
    """Those that are asked for and have an address. The first stays, whatever is asked."""
    asked = instance.spec.networks
    up = [attachment.link_state == "Up" for attachment in asked] if asked is not None else [True]
    addresses = instance.status.addresses[: len(up)]
    hostnames = names.hostnames(instance.metadata.namespace, instance.metadata.name, len(addresses))
    return tuple(
        Nic(Reservation(mac=address.mac, ip=address.ip, hostname=hostname), plugged)
        for address, hostname, plugged in zip(addresses, hostnames, up, strict=False)
    )
