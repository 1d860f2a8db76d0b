"""The plan: `(desired, observed) -> steps`. The table is the specification; test_crashes proves it survives crashes."""

from dataclasses import replace
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.ask import Ask
from hypernova_agent.definition import digest, wanted
from hypernova_agent.desired import Desired, Guest, Nic
from hypernova_agent.errors import BindingIncomplete, DiskLost
from hypernova_agent.host import Definition, Domain, DomainState, Link, Reservation, Run
from hypernova_agent.observed import REFUSED, Observed, Stopping
from hypernova_agent.plan import plan
from hypernova_agent.plan.changes import LOOK_AGAIN, PATIENCE
from hypernova_agent.plan.power import PRESS_AGAIN
from hypernova_agent.steps import (
    AttachInterface,
    AwaitChange,
    AwaitOff,
    AwaitStart,
    CreateConfigDrive,
    CreateDisk,
    DefineDomain,
    DeleteVolume,
    DestroyDomain,
    DetachInterface,
    DiscardSaved,
    EnsureImage,
    EnsureReservation,
    MarkRun,
    PauseDomain,
    ReleaseReservation,
    RemoveFinalizer,
    ResizeDisk,
    ResumeDomain,
    SaveDomain,
    SetLink,
    SetMemory,
    SetVcpus,
    ShutdownDomain,
    StartDomain,
    Step,
    UndefineDomain,
)
from hypernova_api.instance import BoundRescue
from support.guests import GIB, MIB, OWNER, RESERVATION, UID, a_bound_image, a_guest

RUNNING, PAUSED, STALLED = DomainState.RUNNING, DomainState.PAUSED, DomainState.STALLED
OFF, CRASHED, SHUTTING_DOWN = DomainState.SHUT_OFF, DomainState.CRASHED, DomainState.SHUTTING_DOWN
GUEST = a_guest()
ROOT, DRIVE = names.root_disk(UID), names.config_drive(UID)
LOG = names.console_log(UID)
NOW = 1000.0
ACTION = "7a0c0d1e-0000-4000-8000-00000000ac71"

SECOND = Reservation(mac="52:54:00:00:01:07", ip="10.60.1.7", hostname="web-1.shop.net1")
TWO_CARDS = a_guest(nics=(Nic(RESERVATION), Nic(SECOND)))
UNPLUGGED = a_guest(nics=(Nic(RESERVATION, up=False),))
LARGER = a_guest(vcpus=2, memory=1 * GIB, disk=8 * GIB)
REBUILT = replace(GUEST, image=a_bound_image("debian-13"), build=ACTION, launched=True)
LAUNCHED = replace(GUEST, launched=True)
RESCUED = replace(LAUNCHED, rescue=BoundRescue(action=ACTION, image=a_bound_image("rescue")))
RESCUE = names.rescue_disk(UID, ACTION)
NEW_ROOT, NEW_DRIVE = names.root_disk(UID, ACTION), names.config_drive(UID, ACTION)


def should(power_state: Any = "Running", **parts: Any) -> Desired:
    """The Instance of the tables: on, with 60 s to shut down."""
    defaults: dict[str, Any] = {"owner": OWNER, "power_state": power_state, "grace": 60.0, "guest": GUEST}
    return Desired(**defaults | parts)


def a_domain(state: DomainState, guest: Guest = GUEST, *, boot: str = "", **parts: Any) -> Domain:
    """Of a guest as it was defined, with room for four times its size; alive with what it was defined with."""
    ours = wanted(UID, guest, boot)
    defined = replace(ours, max_vcpus=4 * ours.vcpus, max_memory=4 * ours.memory)
    alive = state not in (OFF, CRASHED)
    return Domain(**{"owner": OWNER, "state": state, "defined": defined, "running": defined if alive else None} | parts)


def seen(domain: Domain | DomainState | None = None, **parts: Any) -> Observed:
    """With a domain: all that belongs to it. Without: nothing."""
    domain = a_domain(domain) if isinstance(domain, DomainState) else domain
    built: dict[str, Any] = {}
    if domain is not None:
        drives = {name: MIB if names.is_config_drive(name) else 4 * GIB for name in domain.defined.volumes}
        built = {"volumes": drives, "reservations": frozenset({RESERVATION})}
    return Observed(**{"now": NOW, "domain": domain, **built, **parts})


def redefined(guest: Guest, state: DomainState = RUNNING, **running: Any) -> Domain:
    """Defined for a guest already, and running with what it was started with: `GUEST`, or what is said of that."""
    domain = a_domain(state, guest)
    return replace(domain, running=replace(a_domain(RUNNING).defined, **running))


IMAGE = EnsureImage(GUEST.image, 4 * GIB)
DISK = CreateDisk(ROOT, GUEST.image, 4 * GIB)
CONFIG = CreateConfigDrive(OWNER, GUEST)
ADDRESS = EnsureReservation(RESERVATION)
DEFINE = DefineDomain(OWNER, GUEST)
START, PRESS, PLUG, FORGET = StartDomain(UID), ShutdownDomain(UID), DestroyDomain(UID), UndefineDomain(UID)
START_PAUSED, PAUSE, RESUME, SAVE = StartDomain(UID, paused=True), PauseDomain(UID), ResumeDomain(UID), SaveDomain(UID)
DISCARD = DiscardSaved(UID)
BEGUN, NONE, COMPLETED, FAILED = (MarkRun(UID, run) for run in (Run.BEGUN, Run.NONE, Run.COMPLETED, Run.FAILED))
FREE = ReleaseReservation(RESERVATION.mac)
DONE = RemoveFinalizer(UID, "shop", "web-1")
PRESSED = [PRESS, AwaitOff(NOW + PRESS_AGAIN, NOW + 60)]
SAVED = replace(a_domain(OFF), saved=True)
VCPUS, MEMORY, GROW = SetVcpus(UID, 2), SetMemory(UID, GIB), ResizeDisk(UID, ROOT, 8 * GIB)


def rebooted(guest: Guest = LAUNCHED, grace: float | None = 0.0, **parts: Any) -> Desired:
    return should(guest=guest, ask=Ask(ACTION, grace), **parts)


def ran(state: DomainState, run: Run = Run.BEGUN) -> Domain:
    return replace(a_domain(state), run=run)


CASES: dict[str, tuple[Desired, Observed, list[Step]]] = {
    # Building
    "nothing there: everything, then on": (should(), seen(), [IMAGE, DISK, ADDRESS, CONFIG, DEFINE, START]),
    "nothing there, wanted off: everything but on": (
        should("Stopped"),
        seen(),
        [IMAGE, DISK, ADDRESS, CONFIG, DEFINE],
    ),
    "nothing there, wanted paused: on, standing still": (
        should("Paused"),
        seen(),
        [IMAGE, DISK, ADDRESS, CONFIG, DEFINE, START_PAUSED],
    ),
    "nothing there, wanted suspended: there is nothing to keep": (
        should("Suspended"),
        seen(),
        [IMAGE, DISK, ADDRESS, CONFIG, DEFINE],
    ),
    "root disk there: kept as it is, no image needed": (
        should(),
        seen(volumes={ROOT: 4 * GIB}),
        [ADDRESS, CONFIG, DEFINE, START],
    ),
    "volumes and address there: define and on": (
        should(),
        seen(volumes={ROOT: 4 * GIB, DRIVE: MIB}, reservations=frozenset({RESERVATION})),
        [DEFINE, START],
    ),
    "flavor without disk: as large as the image": (
        should("Stopped", guest=a_guest(disk=0)),
        seen(reservations=frozenset({RESERVATION})),
        [
            EnsureImage(GUEST.image, 0),
            CreateDisk(ROOT, GUEST.image, 0),
            CreateConfigDrive(OWNER, a_guest(disk=0)),
            DefineDomain(OWNER, a_guest(disk=0)),
        ],
    ),
    "its domain lost, its disk there: another domain on the same disk": (
        should(guest=LAUNCHED),
        seen(volumes={ROOT: 4 * GIB, DRIVE: MIB}, reservations=frozenset({RESERVATION})),
        [DefineDomain(OWNER, LAUNCHED), START],
    ),
    "what the domain is to remember goes with it": (
        should("Stopped", record="{}"),
        seen(volumes={ROOT: 4 * GIB, DRIVE: MIB}, reservations=frozenset({RESERVATION})),
        [DefineDomain(OWNER, GUEST, record="{}")],
    ),
    # Running
    "on and wanted on: nothing": (should(), seen(RUNNING), []),
    "on, address lost with its network: given again": (should(), seen(RUNNING, reservations=frozenset()), [ADDRESS]),
    "on, MAC with another address: corrected": (
        should(),
        seen(RUNNING, reservations=frozenset({replace(RESERVATION, ip="10.60.9.9")})),
        [ADDRESS],
    ),
    "on, volumes gone: a running guest is not touched": (should(), seen(RUNNING, volumes={}), []),
    "on, nothing known to build from: a running guest is not touched": (
        should(guest=BindingIncomplete("")),
        seen(RUNNING, reservations=frozenset()),
        [],
    ),
    "off, nothing known to build from: on as it is defined": (should(guest=BindingIncomplete("")), seen(OFF), [START]),
    "shutting down by itself: wait for its end": (should(), seen(SHUTTING_DOWN), []),
    "off: on, defined anew as it should be": (should(), seen(OFF), [DEFINE, START]),
    "off, config drive gone: made again": (
        should(),
        seen(OFF, volumes={ROOT: 4 * GIB}),
        [CONFIG, DEFINE, START],
    ),
    "crashed: on": (should(), seen(CRASHED), [DEFINE, START]),
    "ended by itself a moment ago: back-off": (should(), seen(OFF, start_after=NOW + 4), [AwaitStart(NOW + 4)]),
    "ended by itself, back-off over: on": (should(), seen(OFF, start_after=NOW), [DEFINE, START]),
    # Stopping
    "wanted off: power button": (should("Stopped"), seen(RUNNING), PRESSED),
    "wanted off with little grace: not longer than that": (
        should("Stopped", grace=3.0),
        seen(RUNNING),
        [PRESS, AwaitOff(NOW + 3, NOW + 3)],
    ),
    "wanted off, pressed a moment ago: wait": (
        should("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 4, NOW - 4)),
        [AwaitOff(NOW + 6, NOW + 56)],
    ),
    "wanted off, pressed long ago: once more": (
        should("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 20, NOW - 10)),
        [PRESS, AwaitOff(NOW + 10, NOW + 40)],
    ),
    "wanted off, grace nearly over: not beyond it": (
        should("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 55, NOW - 5)),
        [AwaitOff(NOW + 5, NOW + 5)],
    ),
    "wanted off, grace over: plug": (should("Stopped"), seen(RUNNING, stopping=Stopping(NOW - 60, NOW - 5)), [PLUG]),
    "wanted off without grace: plug at once": (should("Stopped", grace=0.0), seen(RUNNING), [PLUG]),
    "off and wanted off: nothing": (should("Stopped"), seen(OFF), []),
    "crashed and wanted off: nothing": (should("Stopped"), seen(CRASHED), []),
    "wanted off in its back-off: stays off": (should("Stopped"), seen(OFF, start_after=NOW + 4), []),
    "off and wanted off, defined otherwise: defined as it should be": (
        should("Stopped", guest=UNPLUGGED),
        seen(OFF),
        [DefineDomain(OWNER, UNPLUGGED)],
    ),
    # Paused
    "on, wanted paused: stand still": (should("Paused"), seen(RUNNING), [PAUSE]),
    "paused and wanted so: nothing": (should("Paused"), seen(PAUSED), []),
    "paused, wanted on: go on": (should(), seen(PAUSED), [RESUME]),
    "off, wanted paused: on, standing still": (should("Paused"), seen(OFF), [DEFINE, START_PAUSED]),
    "ending by itself, wanted paused: wait for its end": (should("Paused"), seen(SHUTTING_DOWN), []),
    "paused, wanted off: it goes on, to hear its power button": (should("Stopped"), seen(PAUSED), [RESUME, *PRESSED]),
    "paused, wanted off without grace: plug": (should("Stopped", grace=0.0), seen(PAUSED), [PLUG]),
    # Suspended
    "on, wanted suspended: to disk": (should("Suspended"), seen(RUNNING), [SAVE]),
    "paused, wanted suspended: to disk": (should("Suspended"), seen(PAUSED), [SAVE]),
    "off, wanted suspended: there is nothing to keep": (should("Suspended"), seen(OFF), []),
    "ending by itself, wanted suspended: wait for its end": (should("Suspended"), seen(SHUTTING_DOWN), []),
    "suspended and wanted so: nothing": (should("Suspended"), seen(SAVED), []),
    "suspended, wanted on: goes on, never defined anew": (should(), seen(SAVED), [START]),
    "suspended, wanted paused: goes on standing still": (should("Paused"), seen(SAVED), [START_PAUSED]),
    "suspended, wanted off: goes on, to shut down": (should("Stopped"), seen(SAVED), [START]),
    "suspended, wanted off without grace: its memory is thrown away": (
        should("Stopped", grace=0.0),
        seen(SAVED),
        [DISCARD],
    ),
    # A disk that gives errors
    "stalled: not tried again before its time": (should(), seen(STALLED, start_after=NOW + 2), [AwaitStart(NOW + 2)]),
    "stalled for a while: tried again": (should(), seen(STALLED, start_after=NOW), [RESUME]),
    "stalled, wanted off: tried again, to hear its power button": (
        should("Stopped"),
        seen(STALLED, start_after=NOW + 2),
        [RESUME, *PRESSED],
    ),
    # Guests that end by themselves and stay so
    "Never, on: it is noted that it runs": (should(restart_policy="Never"), seen(RUNNING), [BEGUN]),
    "Never, on and noted: nothing": (should(restart_policy="Never"), seen(ran(RUNNING)), []),
    "Never, about to end of a stop that was taken back: noted later": (
        should(restart_policy="Never"),
        seen(RUNNING, excused_until=NOW + 20),
        [AwaitChange(NOW + 20)],
    ),
    "Never, off and never started: on": (should(restart_policy="Never"), seen(OFF), [DEFINE, START, BEGUN]),
    "Never, has powered off: noted, stays off": (should(restart_policy="Never"), seen(ran(OFF)), [COMPLETED]),
    "Never, has crashed: noted, stays off": (should(restart_policy="Never"), seen(ran(CRASHED)), [FAILED]),
    "Never, is over: nothing": (should(restart_policy="Never"), seen(ran(OFF, Run.COMPLETED)), []),
    "Never, is over, defined otherwise: not defined anew, which would forget it": (
        should(restart_policy="Never", guest=UNPLUGGED),
        seen(ran(OFF, Run.COMPLETED)),
        [],
    ),
    "OnFailure, has powered off: noted, stays off": (should(restart_policy="OnFailure"), seen(ran(OFF)), [COMPLETED]),
    "OnFailure, has crashed: noted, then on after its back-off": (
        should(restart_policy="OnFailure"),
        seen(ran(CRASHED), start_after=NOW + 4),
        [FAILED, AwaitStart(NOW + 4)],
    ),
    "OnFailure, had crashed: on": (
        should(restart_policy="OnFailure"),
        seen(ran(CRASHED, Run.FAILED)),
        [DEFINE, START, BEGUN],
    ),
    "Always, has powered off under another policy: on": (should(), seen(ran(OFF, Run.COMPLETED)), [DEFINE, START]),
    "is over, wanted off: starts anew when it is wanted on": (
        should("Stopped", restart_policy="Never"),
        seen(ran(OFF, Run.COMPLETED)),
        [NONE],
    ),
    "Never, wanted off: its end is not by itself": (
        should("Stopped", restart_policy="Never"),
        seen(ran(RUNNING)),
        [NONE, *PRESSED],
    ),
    "Never, suspended: has not ended": (should(restart_policy="Never"), seen(replace(SAVED, run=Run.BEGUN)), [START]),
    # Power-ons that actions ask for
    "reboot: power button, then on": (rebooted(grace=None), seen(RUNNING), PRESSED),
    "hard reboot: plug": (rebooted(), seen(RUNNING), [PLUG]),
    "hard reboot of a paused one: plug": (rebooted(power_state="Paused"), seen(PAUSED), [PLUG]),
    "reboot, off: defined for it, on": (rebooted(), seen(OFF), [DefineDomain(OWNER, LAUNCHED, ACTION), START]),
    "reboot, in its back-off: on at once": (
        rebooted(),
        seen(OFF, start_after=NOW + 100),
        [DefineDomain(OWNER, LAUNCHED, ACTION), START],
    ),
    "reboot, is over: on all the same": (
        rebooted(restart_policy="Never"),
        seen(ran(OFF, Run.COMPLETED)),
        [DefineDomain(OWNER, LAUNCHED, ACTION), START, BEGUN],
    ),
    "reboot, rebooted: nothing": (rebooted(), seen(a_domain(RUNNING, LAUNCHED, boot=ACTION)), []),
    "rebooted and over since: stays off": (
        rebooted(restart_policy="Never"),
        seen(replace(a_domain(OFF, LAUNCHED, boot=ACTION), run=Run.BEGUN)),
        [COMPLETED],
    ),
    "rebooted long ago, no more asked for: the token stays": (should(), seen(a_domain(RUNNING, boot=ACTION)), []),
    "reboot of a suspended one: its memory is thrown away": (rebooted(), seen(SAVED), [DISCARD]),
    "rebuild: the guest goes on until the image is there": (
        rebooted(REBUILT),
        seen(RUNNING),
        [EnsureImage(REBUILT.image, 4 * GIB), PLUG],
    ),
    "rebuild, off: what is new first, then what is old goes, then on": (
        rebooted(REBUILT),
        seen(OFF),
        [
            EnsureImage(REBUILT.image, 4 * GIB),
            CreateDisk(NEW_ROOT, REBUILT.image, 4 * GIB),
            CreateConfigDrive(OWNER, REBUILT),
            DeleteVolume(ROOT),
            DeleteVolume(DRIVE),
            DefineDomain(OWNER, REBUILT, ACTION),
            START,
        ],
    ),
    "rebuild, wanted off: all but on": (
        rebooted(REBUILT, power_state="Stopped"),
        seen(OFF, volumes={NEW_ROOT: 4 * GIB, NEW_DRIVE: MIB}),
        [DeleteVolume(ROOT), DeleteVolume(DRIVE), DefineDomain(OWNER, REBUILT, ACTION)],
    ),
    "rebuild of one whose domain and disk are lost: made anew": (
        rebooted(REBUILT),
        seen(reservations=frozenset({RESERVATION})),
        [
            EnsureImage(REBUILT.image, 4 * GIB),
            CreateDisk(NEW_ROOT, REBUILT.image, 4 * GIB),
            CreateConfigDrive(OWNER, REBUILT),
            DefineDomain(OWNER, REBUILT, ACTION),
            START,
        ],
    ),
    "rescue: the guest goes on until the image is there": (
        rebooted(RESCUED),
        seen(RUNNING),
        [EnsureImage(a_bound_image("rescue"), 0), PLUG],
    ),
    "rescue, off: a disk of the rescue image, then on": (
        rebooted(RESCUED),
        seen(OFF),
        [
            EnsureImage(a_bound_image("rescue"), 0),
            CreateDisk(RESCUE, a_bound_image("rescue"), 0),
            DefineDomain(OWNER, RESCUED, ACTION),
            START,
        ],
    ),
    "rescued: nothing": (should(guest=RESCUED), seen(a_domain(RUNNING, RESCUED, boot=ACTION)), []),
    "unrescue: the rescue disk goes": (
        should(guest=LAUNCHED, ask=Ask("other")),
        seen(a_domain(OFF, RESCUED, boot=ACTION)),
        [DeleteVolume(RESCUE), DefineDomain(OWNER, LAUNCHED, "other"), START],
    ),
    "others' disks, plugged in by hand, are not ours to delete": (
        should(),
        seen(replace(a_domain(OFF), defined=replace(a_domain(OFF).defined, volumes=(ROOT, DRIVE, "data.qcow2")))),
        [DEFINE, START],
    ),
    # Changes while it runs
    "another flavor: its domain has it next time": (
        should(guest=LARGER),
        seen(a_domain(RUNNING), volumes={ROOT: 8 * GIB}),
        [DefineDomain(OWNER, LARGER), VCPUS, MEMORY],
    ),
    "another flavor, domain has it: what the guest can take": (
        should(guest=LARGER),
        seen(redefined(LARGER), volumes={ROOT: 4 * GIB}),
        [GROW, VCPUS, MEMORY],
    ),
    "another flavor, given a moment ago: looks again soon": (
        should(guest=LARGER),
        seen(redefined(LARGER, vcpus=2), volumes={ROOT: 8 * GIB}, tried={MEMORY: NOW - 3}),
        [AwaitChange(NOW + LOOK_AGAIN)],
    ),
    "another flavor, about to lose patience: looks again then": (
        should(guest=LARGER),
        seen(redefined(LARGER, vcpus=2), volumes={ROOT: 8 * GIB}, tried={MEMORY: NOW - PATIENCE + 1}),
        [AwaitChange(NOW + 1)],
    ),
    "another flavor, not taken: left to the next start": (
        should(guest=LARGER),
        seen(redefined(LARGER, vcpus=2), volumes={ROOT: 8 * GIB}, tried={MEMORY: NOW - PATIENCE}),
        [],
    ),
    "another flavor, refused: left to the next start": (
        should(guest=LARGER),
        seen(redefined(LARGER), volumes={ROOT: 4 * GIB}, tried=dict.fromkeys((VCPUS, MEMORY, GROW), REFUSED)),
        [],
    ),
    "another flavor, more than it was started for: left to the next start": (
        should(guest=LARGER),
        seen(redefined(LARGER, max_vcpus=1, max_memory=512 * MIB), volumes={ROOT: 8 * GIB}),
        [],
    ),
    "another machine altogether: nothing of it is given to one that runs": (
        should(guest=LARGER),
        seen(redefined(LARGER, digest="another"), volumes={ROOT: 8 * GIB}),
        [],
    ),
    "defined by an agent that knew no digests: defined anew for next time": (
        should(),
        seen(replace(a_domain(RUNNING), defined=replace(a_domain(RUNNING).defined, digest=""))),
        [DEFINE],
    ),
    "another flavor, paused: waits until it goes on": (
        should("Paused", guest=LARGER),
        seen(redefined(LARGER, PAUSED), volumes={ROOT: 4 * GIB}),
        [],
    ),
    "another flavor, suspended: nothing can be given to it": (
        should("Suspended", guest=LARGER),
        seen(SAVED),
        [],
    ),
    "another flavor, about to be stopped: not any more": (
        should("Stopped", guest=LARGER),
        seen(RUNNING),
        PRESSED,
    ),
    "another flavor, off: its disk grows before it starts": (
        should(guest=LARGER),
        seen(OFF),
        [GROW, DefineDomain(OWNER, LARGER), START],
    ),
    "another flavor, off, its disk cannot grow: starts all the same": (
        should(guest=LARGER),
        seen(OFF, tried={GROW: REFUSED}),
        [DefineDomain(OWNER, LARGER), START],
    ),
    "one more network card: address, definition, plugged in": (
        should(guest=TWO_CARDS),
        seen(RUNNING),
        [
            EnsureReservation(SECOND),
            DefineDomain(OWNER, TWO_CARDS),
            AttachInterface(OWNER, Nic(SECOND), TWO_CARDS),
        ],
    ),
    "one network card fewer: asked to let it go, its address kept until then": (
        should(),
        seen(replace(a_domain(RUNNING, TWO_CARDS)), reservations=frozenset({RESERVATION, SECOND})),
        [DEFINE, DetachInterface(UID, SECOND.mac)],
    ),
    "one network card fewer, gone: its address is given back": (
        should(),
        seen(RUNNING, reservations=frozenset({RESERVATION, SECOND})),
        [ReleaseReservation(SECOND.mac)],
    ),
    "a cable pulled": (
        should(guest=UNPLUGGED),
        seen(RUNNING),
        [DefineDomain(OWNER, UNPLUGGED), SetLink(UID, Link(RESERVATION.mac, up=False))],
    ),
    "a cable pulled by hand: plugged in again": (
        should(),
        seen(redefined(GUEST, links=(Link(RESERVATION.mac, up=False),))),
        [SetLink(UID, Link(RESERVATION.mac, up=True))],
    ),
    "virtual CPUs taken by hand: given back": (
        should(guest=LARGER),
        seen(redefined(LARGER, memory=GIB), volumes={ROOT: 8 * GIB}),
        [VCPUS],
    ),
    # Deletion
    "deleted while on: power button": (should(deleting=True), seen(RUNNING), PRESSED),
    "deleted, grace over: plug, its address given back, its domain forgotten": (
        should(deleting=True),
        seen(RUNNING, stopping=Stopping(NOW - 60, NOW - 10)),
        [PLUG, FREE, FORGET],
    ),
    "deleted without grace: at once": (should(deleting=True, grace=0.0), seen(RUNNING), [PLUG, FREE, FORGET]),
    "deleted while off: no waiting": (should(deleting=True), seen(OFF), [FREE, FORGET]),
    "deleted while suspended: no waiting": (should(deleting=True), seen(SAVED), [DISCARD, FREE, FORGET]),
    "deleted in its back-off: no waiting": (should(deleting=True), seen(CRASHED, start_after=NOW + 9), [FREE, FORGET]),
    "deleted, domain gone: all that is there": (
        should(deleting=True),
        seen(volumes={ROOT: 0, DRIVE: 0, LOG: 0, RESCUE: 0}, reservations=frozenset({RESERVATION, SECOND})),
        [
            *(DeleteVolume(name) for name in sorted((ROOT, DRIVE, LOG, RESCUE))),
            FREE,
            ReleaseReservation(SECOND.mac),
            DONE,
        ],
    ),
    "deleted before anything was built: only the finalizer": (should(deleting=True), seen(), [DONE]),
    "deleted with a broken binding: goes all the same": (
        should(deleting=True, guest=BindingIncomplete("")),
        seen(volumes={ROOT: 0}),
        [DeleteVolume(ROOT), DONE],
    ),
    "deleted, adopted: its own object is let go": (
        should(deleting=True, object_uid="another"),
        seen(),
        [RemoveFinalizer("another", "shop", "web-1")],
    ),
    "deleted and torn down, another's finalizer left: nothing": (should(deleting=True, finalizer=False), seen(), []),
}


@pytest.mark.parametrize(("desired", "observed", "steps"), CASES.values(), ids=CASES.keys())
def test_plan(desired: Desired, observed: Observed, steps: list[Step]) -> None:
    assert plan(desired, observed) == steps


@pytest.mark.parametrize(
    ("desired", "observed"),
    [
        pytest.param(should(guest=LAUNCHED), seen(), id="with-its-domain"),
        pytest.param(should(guest=LAUNCHED), seen(OFF, volumes={}), id="under-its-domain"),
        pytest.param(should("Stopped", guest=LAUNCHED), seen(OFF, volumes={}), id="of-one-that-is-to-be-off"),
        pytest.param(should(), seen(OFF, volumes={}), id="before-anybody-took-note-of-it"),
        pytest.param(should(guest=REBUILT), seen(OFF), id="by-a-build-that-nobody-asked-for"),
        pytest.param(
            rebooted(REBUILT), seen(a_domain(OFF, REBUILT, boot=ACTION), volumes={}), id="of-a-build-just-made"
        ),
    ],
)
def test_a_disk_that_is_lost_is_told_and_never_made_anew(desired: Desired, observed: Observed) -> None:
    with pytest.raises(DiskLost, match="Rebuild"):
        plan(desired, observed)


def test_with_nothing_to_build_from_and_nothing_there_it_is_told_why() -> None:
    with pytest.raises(BindingIncomplete):
        plan(should(guest=BindingIncomplete("")), seen())


def test_what_makes_another_machine_makes_another_digest_and_nothing_else_does() -> None:
    same = [LARGER, TWO_CARDS, UNPLUGGED, LAUNCHED]
    others = [REBUILT, RESCUED, replace(GUEST, cpu_model="EPYC")]
    assert {digest(guest) for guest in same} == {digest(GUEST)}
    assert len({digest(guest) for guest in [GUEST, *others]}) == 1 + len(others)


def test_a_definition_says_nothing_of_how_much_more_there_could_be() -> None:
    assert wanted(UID, GUEST, "x") == Definition(
        vcpus=1,
        memory=512 * MIB,
        volumes=(ROOT, DRIVE),
        links=(Link(RESERVATION.mac),),
        digest=digest(GUEST),
        boot="x",
    )
