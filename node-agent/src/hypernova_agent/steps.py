"""What a plan is made of. Each step is safe to repeat; `execute` does them, `part_of` says what each is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from hypernova_agent.desired import Guest, Nic
from hypernova_agent.host import Link, Owner, Reservation, Run
from hypernova_api.instance import BoundImage


@dataclass(frozen=True, slots=True)
class EnsureImage:
    """Have the image in the pool, complete and verified. `limit`: bytes its guest-visible size may have; 0: any."""

    image: BoundImage
    limit: int


@dataclass(frozen=True, slots=True)
class CreateDisk:
    """Make a disk as an overlay on the image; `size` in bytes, 0 takes the image's own."""

    volume: str
    image: BoundImage
    size: int


@dataclass(frozen=True, slots=True)
class CreateConfigDrive:
    """Make the config drive."""

    owner: Owner
    guest: Guest


@dataclass(frozen=True, slots=True)
class ResizeDisk:
    """Have the guest, running or not, see so many bytes of a disk: more than now."""

    uid: str
    volume: str
    size: int


@dataclass(frozen=True, slots=True)
class EnsureReservation:
    """Make the default network give the guest its address."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class DefineDomain:
    """Make libvirt know the domain as it is wanted. From here on the host itself remembers the Instance.

    A guest that runs is not touched: it has it with its next power-on.
    """

    owner: Owner
    guest: Guest
    boot: str = ""
    """UID of the action that the power-on is for."""

    record: str = ""


@dataclass(frozen=True, slots=True)
class StartDomain:
    """Power on, or go on from memory that is on disk."""

    uid: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class PauseDomain:
    """Have the guest's CPUs stand still."""

    uid: str


@dataclass(frozen=True, slots=True)
class ResumeDomain:
    """Have them go on."""

    uid: str


@dataclass(frozen=True, slots=True)
class SaveDomain:
    """Put the guest's memory on disk and power off."""

    uid: str


@dataclass(frozen=True, slots=True)
class DiscardSaved:
    """Throw the guest's memory on disk away."""

    uid: str


@dataclass(frozen=True, slots=True)
class MarkRun:
    """Have the domain remember how its guest's run went."""

    uid: str
    run: Run


@dataclass(frozen=True, slots=True)
class SetVcpus:
    """Have the guest that runs have so many virtual CPUs."""

    uid: str
    count: int


@dataclass(frozen=True, slots=True)
class SetMemory:
    """Offer the guest that runs so many bytes of memory."""

    uid: str
    size: int


@dataclass(frozen=True, slots=True)
class AttachInterface:
    """Plug a network card into the guest that runs."""

    owner: Owner
    nic: Nic
    guest: Guest = field(compare=False)
    """What the card is plugged into: its queues and limits are of that."""


@dataclass(frozen=True, slots=True)
class DetachInterface:
    """Have the guest that runs let a network card go."""

    uid: str
    mac: str


@dataclass(frozen=True, slots=True)
class SetLink:
    """Plug a cable of the guest that runs in, or pull it."""

    uid: str
    link: Link


@dataclass(frozen=True, slots=True)
class ShutdownDomain:
    """Press the power button."""

    uid: str


@dataclass(frozen=True, slots=True)
class DestroyDomain:
    """Pull the plug."""

    uid: str


@dataclass(frozen=True, slots=True)
class UndefineDomain:
    """Make libvirt forget the domain."""

    uid: str


@dataclass(frozen=True, slots=True)
class DeleteVolume:
    """Delete a volume and what is in it."""

    volume: str


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """Give an address back."""

    mac: str


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the API server forget the Instance: nothing of it is left here. `uid` is the Instance's own."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class AwaitOff:
    """The guest may mind its power button; look again at `until`, or when the domain changes state."""

    until: float
    """This and all times are on the clock of `Observed.now`."""

    plug_at: float
    """When its grace is over."""


@dataclass(frozen=True, slots=True)
class AwaitStart:
    """A guest that has ended, or stalled, is not started or resumed before `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class AwaitChange:
    """The guest may take what it has been given; look again at `until`."""

    until: float


Wait = AwaitOff | AwaitStart | AwaitChange
"""The end of a plan: only the guest or time can bring it further."""

Change = SetVcpus | SetMemory | AttachInterface | DetachInterface | SetLink | ResizeDisk
"""What a guest that runs may refuse, or take its time for."""

Step: TypeAlias = (
    EnsureImage
    | CreateDisk
    | CreateConfigDrive
    | EnsureReservation
    | DefineDomain
    | StartDomain
    | PauseDomain
    | ResumeDomain
    | SaveDomain
    | DiscardSaved
    | MarkRun
    | Change
    | ShutdownDomain
    | DestroyDomain
    | UndefineDomain
    | DeleteVolume
    | ReleaseReservation
    | RemoveFinalizer
    | Wait
)


def part_of(step: Step) -> str:
    """What a step of a teardown is about, in words: what is named when it is stuck."""
    match step:
        case DeleteVolume(volume=volume):
            return f"volume {volume}"
        case ReleaseReservation(mac=mac):
            return f"address of {mac}"
        case RemoveFinalizer():
            return "finalizer"
        case _:
            return "domain"
