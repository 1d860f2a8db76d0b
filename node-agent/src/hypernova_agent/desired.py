"""What one Instance asks of this node, read from the object the API server keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypernova_agent.allocation import NO_ALLOCATION, Allocation, allocation_of
from hypernova_agent.errors import BindingIncomplete, InstanceFault, UserDataUnavailable
from hypernova_agent.host import Owner, Reservation
from hypernova_api.architecture import Firmware
from hypernova_api.flavor import FlavorSpec
from hypernova_api.instance import BoundImage, BoundKeyPair, Instance, PowerState
from hypernova_api.meta import FINALIZER
from hypernova_api.overcommit import Overcommit


@dataclass(frozen=True, slots=True)
class Guest:
    """What a guest is made of, as it was resolved for it."""

    flavor: FlavorSpec
    image: BoundImage
    reservation: Reservation
    key_pairs: tuple[BoundKeyPair, ...] = ()
    user_data: str = ""
    allocation: Allocation = NO_ALLOCATION
    """What it got of its host beside amounts."""

    bound_at: str = ""
    """When, RFC 3339; empty where nobody says."""

    overcommit: Overcommit = field(default_factory=Overcommit)
    """The host's ratios that were counted with then."""

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
    power_state: PowerState
    grace: float
    """Seconds between pressing the power button and pulling the plug; 0 pulls it at once."""

    guest: Guest | InstanceFault
    """What to build; or why that cannot be said, which matters only while there is no domain."""

    deleting: bool = False
    finalizer: bool = True
    """Whether the Instance still carries our finalizer: without it there is nothing left to tear down."""


def desired_of(instance: Instance) -> Desired:
    """What an Instance that is bound to this node asks for. Pure."""
    metadata = instance.metadata
    return Desired(
        owner=Owner(uid=metadata.uid, namespace=metadata.namespace, name=metadata.name),
        power_state=instance.spec.power_state,
        grace=float(instance.spec.termination_grace_period_seconds),
        guest=_guest_of(instance),
        deleting=metadata.deletion_timestamp is not None,
        finalizer=FINALIZER in metadata.finalizers,
    )


def _guest_of(instance: Instance) -> Guest | InstanceFault:
    spec, status = instance.spec, instance.status
    if status.flavor is None or status.image is None or not status.addresses:
        return BindingIncomplete(
            "the Instance is bound to this node, but its status lacks the flavor, image or address that binding "
            "writes: delete it and create it anew"
        )
    if spec.user_data is not None and spec.user_data.secret_key_ref is not None:
        return UserDataUnavailable(
            "user data from a Secret is not supported by this node's agent: delete the Instance and create it anew "
            "with userData.inline"
        )
    try:
        allocation = allocation_of(status.flavor, status.allocation)
    except BindingIncomplete as fault:
        return fault
    address, placement = status.addresses[0], status.placement
    hostname = f"{instance.metadata.name}.{instance.metadata.namespace}"
    return Guest(
        flavor=status.flavor,
        image=status.image,
        reservation=Reservation(mac=address.mac, ip=address.ip, hostname=hostname),
        key_pairs=tuple(status.key_pairs),
        user_data=(spec.user_data.inline or "") if spec.user_data is not None else "",
        allocation=allocation,
        bound_at=placement.time if placement is not None else "",
        overcommit=(placement.overcommit if placement is not None else None) or Overcommit(),
    )
