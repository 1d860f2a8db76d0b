"""What a host in memory is of: it outlives connections, as a real machine does."""

from collections import Counter
from dataclasses import dataclass, field

from hypernova_agent.host import Abilities, Definition, DomainState, HostCell, HostFacts, Owner, Reservation, Run
from hypernova_api.action import GuestInfo
from support.memory_console import MemoryScreen, MemorySerialLine

GIB = 1 << 30
BLOCK = 4096
FACTS = HostFacts(
    architecture="x86_64",
    cpu_model="EPYC",
    cpu_vendor="AMD",
    cpus=4,
    memory=8 * GIB,
    disk=100 * GIB,
    abilities={"qemu": Abilities(frozenset({"BIOS"}), frozenset({"COMPUTE_STORAGE_BUS_VIRTIO"}))},
    libvirt_version="9.0.0",
    qemu_version="7.2.0",
    cells=(HostCell(0, tuple(frozenset({cpu}) for cpu in range(4)), 8 * GIB),),
)
ALIVE = frozenset({DomainState.RUNNING, DomainState.PAUSED, DomainState.STALLED, DomainState.SHUTTING_DOWN})
"""States in which a domain has a guest."""


@dataclass(slots=True)
class MemoryVolume:
    content: bytes = b""
    capacity: int | None = None
    """Of a qcow2; others are as large as their content."""
    backing: str | None = None
    counted: tuple[int, int] = (0, 0)
    """Bytes of content, and how many of these its blocks took, when that was last counted."""

    def allocation(self) -> int:
        """Bytes of the blocks that are not all zeros."""
        if self.counted[0] != len(self.content):
            blocks = (self.content[start : start + BLOCK] for start in range(0, len(self.content), BLOCK))
            self.counted = len(self.content), sum(len(block) for block in blocks if block.strip(b"\0"))
        return self.counted[1]


@dataclass(slots=True)
class MemoryDomain:
    owner: Owner
    xml: str
    defined: Definition
    console: str
    """The volume its guest writes to."""

    record: str = ""
    run: Run = Run.NONE
    state: DomainState = DomainState.SHUT_OFF
    forgotten: bool = False
    """Off, and libvirt has been started anew since: it knows no more why."""

    running: Definition | None = None
    saved: Definition | None = None
    """What the guest had whose memory is on disk."""

    transient: bool = False
    """Undefined while it ran: it goes when its guest ends."""

    own_memory: int = 0
    """Bytes of what runs that are not plugged in."""

    starts: int = 0
    """Times that it was powered on, from saved memory too."""

    boots: int = 0
    """Times that its guest began from nothing, by a reboot of its own too."""

    screens: list[MemoryScreen] = field(default_factory=list)
    """Opened since the guest was powered on."""

    serial: MemorySerialLine | None = None
    """Its serial port, while it is open."""

    nmis: int = 0
    passwords: dict[str, str] = field(default_factory=dict)
    """Hashes that the guest's agent has set, by user."""

    def seen(self) -> DomainState:
        """Its state as libvirt tells it: what ended while nobody looked has crashed, unless its run had ended."""
        if self.saved is not None:
            return DomainState.SHUT_OFF
        if self.forgotten:
            return DomainState.CRASHED if self.run is Run.BEGUN else DomainState.SHUT_OFF
        return self.state


@dataclass(slots=True)
class Machine:
    """A host's hardware, disks and libvirt, and the manners of its guests."""

    domains: dict[str, MemoryDomain] = field(default_factory=dict)
    volumes: dict[str, MemoryVolume] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    answers: bool = True
    """Whether there is a libvirt to talk to."""

    seconds: float = 0.0
    """How long each call takes."""

    save_seconds: float = 0.0
    """How long it takes to put a guest's memory on disk, beyond that."""

    copy_steps: int = 4
    """How many parts a volume is copied in; each takes as long as a call."""

    fails: set[str] = field(default_factory=set)
    """Calls by name, e.g. `start`, that the host refuses."""

    full: bool = False
    """Whether its pool has no room left. (`MemoryHost.fill` has the guests notice.)"""

    obedient: bool = False
    """Whether guests mind their power button."""

    takes_memory: bool = True
    """Whether guests take the memory that they are offered while they run, and give back what they are asked for."""

    lets_go: bool = True
    """Whether guests let network cards go when they are asked to."""

    has_agent: bool = False
    """Whether guests have an agent that answers."""

    guest_info: GuestInfo = field(default_factory=lambda: GuestInfo(hostname="guest", os="Linux"))
    """What their agents tell."""

    frozen: Counter[str] = field(default_factory=Counter)
    """How often each guest's file systems have been frozen, and thawed after, for a copy."""

    facts: HostFacts = FACTS
