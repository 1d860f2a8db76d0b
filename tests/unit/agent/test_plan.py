"""The plan: `(desired, observed) -> steps`. The table is the specification; the walk proves it survives crashes."""

from dataclasses import replace
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.desired import Desired
from hypernova_agent.errors import BindingIncomplete
from hypernova_agent.host import DomainState, Reservation
from hypernova_agent.observed import Observed, Stopping
from hypernova_agent.plan import (
    PRESS_AGAIN,
    CreateConfigDrive,
    CreateRootDisk,
    DefineDomain,
    DeleteVolume,
    DestroyDomain,
    EnsureImage,
    EnsureReservation,
    ReleaseReservation,
    RemoveFinalizer,
    ShutdownDomain,
    StartDomain,
    Step,
    UndefineDomain,
    Wait,
    plan,
)
from support.guests import GIB, OWNER, RESERVATION, UID, a_guest

RUNNING, PAUSED = DomainState.RUNNING, DomainState.PAUSED
OFF, CRASHED, SHUTTING_DOWN = DomainState.SHUT_OFF, DomainState.CRASHED, DomainState.SHUTTING_DOWN
GUEST = a_guest()
ROOT, CONFIG, *LOGS = names.volumes_of(UID)
NOW = 1000.0


def wanted(power_state: Any = "Running", **parts: Any) -> Desired:
    """The Instance of the tables: on, with 60 s to shut down."""
    defaults: dict[str, Any] = {"owner": OWNER, "power_state": power_state, "grace": 60.0, "guest": GUEST}
    return Desired(**defaults | parts)


def seen(domain: DomainState | None = None, **parts: Any) -> Observed:
    """With a domain: all that belongs to it. Without: nothing."""
    built = {"volumes": frozenset({ROOT, CONFIG}), "reservation": RESERVATION} if domain is not None else {}
    return Observed(**{"now": NOW, "domain": domain, **built, **parts})


IMAGE = EnsureImage(GUEST.image, 4 * GIB)
DISK = CreateRootDisk(ROOT, GUEST.image, 4 * GIB)
DRIVE = CreateConfigDrive(OWNER, GUEST)
ADDRESS = EnsureReservation(RESERVATION)
DEFINE = DefineDomain(OWNER, GUEST)
START, PRESS, PLUG, FORGET = StartDomain(UID), ShutdownDomain(UID), DestroyDomain(UID), UndefineDomain(UID)
VOLUMES = [DeleteVolume(volume) for volume in (ROOT, CONFIG, *LOGS)]
FREE = ReleaseReservation(RESERVATION.mac)
DONE = RemoveFinalizer(OWNER)

CASES: dict[str, tuple[Desired, Observed, list[Step]]] = {
    # Building
    "nothing there: everything, then on": (wanted(), seen(), [IMAGE, DISK, ADDRESS, DRIVE, DEFINE, START]),
    "nothing there, wanted off: everything but on": (wanted("Stopped"), seen(), [IMAGE, DISK, ADDRESS, DRIVE, DEFINE]),
    "root disk there: kept as it is, no image needed": (
        wanted(),
        seen(volumes=frozenset({ROOT})),
        [ADDRESS, DRIVE, DEFINE, START],
    ),
    "volumes and address there: define and on": (
        wanted(),
        seen(volumes=frozenset({ROOT, CONFIG}), reservation=RESERVATION),
        [DEFINE, START],
    ),
    "flavor without disk: as large as the image": (
        wanted(guest=a_guest(disk=0)),
        seen(),
        [
            EnsureImage(GUEST.image, 0),
            CreateRootDisk(ROOT, GUEST.image, 0),
            ADDRESS,
            CreateConfigDrive(OWNER, a_guest(disk=0)),
            DefineDomain(OWNER, a_guest(disk=0)),
            START,
        ],
    ),
    "nothing known to build from: nothing": (wanted(guest=BindingIncomplete("")), seen(), []),
    # Running
    "on and wanted on: nothing": (wanted(), seen(RUNNING), []),
    "on, address lost with its network: given again": (wanted(), seen(RUNNING, reservation=None), [ADDRESS]),
    "on, MAC with another address: corrected": (
        wanted(),
        seen(RUNNING, reservation=replace(RESERVATION, ip="10.60.9.9")),
        [ADDRESS],
    ),
    "on, volumes gone: a running guest is not touched": (wanted(), seen(RUNNING, volumes=frozenset()), []),
    "on, nothing known to build from: a running guest is not touched": (
        wanted(guest=BindingIncomplete("")),
        seen(RUNNING, reservation=None),
        [],
    ),
    "paused: not ours to resume": (wanted(), seen(PAUSED), []),
    "shutting down by itself: wait for its end": (wanted(), seen(SHUTTING_DOWN), []),
    "off: on, never defined anew": (wanted(), seen(OFF), [START]),
    "crashed: on": (wanted(), seen(CRASHED), [START]),
    "ended by itself a moment ago: back-off": (wanted(), seen(OFF, start_after=NOW + 4), [Wait(NOW + 4)]),
    "ended by itself, back-off over: on": (wanted(), seen(OFF, start_after=NOW), [START]),
    # Stopping
    "wanted off: power button": (wanted("Stopped"), seen(RUNNING), [PRESS, Wait(NOW + PRESS_AGAIN)]),
    "wanted off with little grace: not longer than that": (
        wanted("Stopped", grace=3.0),
        seen(RUNNING),
        [PRESS, Wait(NOW + 3)],
    ),
    "wanted off, pressed a moment ago: wait": (
        wanted("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 4, NOW - 4)),
        [Wait(NOW + 6)],
    ),
    "wanted off, pressed long ago: once more": (
        wanted("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 20, NOW - 10)),
        [PRESS, Wait(NOW + 10)],
    ),
    "wanted off, grace nearly over: not beyond it": (
        wanted("Stopped"),
        seen(RUNNING, stopping=Stopping(NOW - 55, NOW - 5)),
        [Wait(NOW + 5)],
    ),
    "wanted off, grace over: plug": (wanted("Stopped"), seen(RUNNING, stopping=Stopping(NOW - 60, NOW - 5)), [PLUG]),
    "wanted off without grace: plug at once": (wanted("Stopped", grace=0.0), seen(RUNNING), [PLUG]),
    "wanted off while paused: it has its grace, too": (
        wanted("Stopped"),
        seen(PAUSED),
        [PRESS, Wait(NOW + PRESS_AGAIN)],
    ),
    "off and wanted off: nothing": (wanted("Stopped"), seen(OFF), []),
    "crashed and wanted off: nothing": (wanted("Stopped"), seen(CRASHED), []),
    "wanted off in its back-off: stays off": (wanted("Stopped"), seen(OFF, start_after=NOW + 4), []),
    # Deletion
    "deleted while on: power button": (wanted(deleting=True), seen(RUNNING), [PRESS, Wait(NOW + PRESS_AGAIN)]),
    "deleted, grace over: all of it": (
        wanted(deleting=True),
        seen(RUNNING, stopping=Stopping(NOW - 60, NOW - 10)),
        [PLUG, FORGET, *VOLUMES, FREE, DONE],
    ),
    "deleted without grace: all of it at once": (
        wanted(deleting=True, grace=0.0),
        seen(RUNNING),
        [PLUG, FORGET, *VOLUMES, FREE, DONE],
    ),
    "deleted while off: no waiting": (wanted(deleting=True), seen(OFF), [FORGET, *VOLUMES, FREE, DONE]),
    "deleted in its back-off: no waiting": (
        wanted(deleting=True),
        seen(CRASHED, start_after=NOW + 9),
        [FORGET, *VOLUMES, FREE, DONE],
    ),
    "deleted half built: what there is": (
        wanted(deleting=True),
        seen(volumes=frozenset({ROOT}), reservation=RESERVATION),
        [*VOLUMES, FREE, DONE],
    ),
    "deleted before anything was built: only the finalizer, and volumes nobody saw": (
        wanted(deleting=True),
        seen(),
        [*VOLUMES, DONE],
    ),
    "deleted with a broken binding: goes all the same": (
        wanted(deleting=True, guest=BindingIncomplete("")),
        seen(OFF, reservation=None),
        [FORGET, *VOLUMES, DONE],
    ),
    "deleted and torn down, another's finalizer left: nothing": (wanted(deleting=True, finalizer=False), seen(), []),
}


@pytest.mark.parametrize(("desired", "observed", "steps"), CASES.values(), ids=CASES.keys())
def test_plan(desired: Desired, observed: Observed, steps: list[Step]) -> None:
    assert plan(desired, observed) == steps


def done(observed: Observed, step: Step) -> Observed:
    """The host after a step: what the steps mean, in the least words."""
    match step:
        case CreateRootDisk(volume=volume):
            return replace(observed, volumes=observed.volumes | {volume})
        case CreateConfigDrive():
            return replace(observed, volumes=observed.volumes | {CONFIG})
        case EnsureReservation(reservation=reservation):
            return replace(observed, reservation=reservation)
        case DefineDomain():
            return replace(observed, domain=observed.domain or OFF)
        case StartDomain():
            assert observed.domain in (OFF, CRASHED), "started twice"
            return replace(observed, domain=RUNNING, start_after=None)
        case ShutdownDomain():
            first = observed.stopping.since if observed.stopping else observed.now
            return replace(observed, stopping=Stopping(first, observed.now))
        case DestroyDomain():
            return replace(observed, domain=OFF, stopping=None)
        case UndefineDomain():
            assert observed.domain is OFF or observed.domain is CRASHED, "a running domain must not lose its definition"
            return replace(observed, domain=None)
        case DeleteVolume(volume=volume):
            assert observed.domain is None, "a volume must not go under its domain"
            return replace(observed, volumes=observed.volumes - {volume})
        case ReleaseReservation():
            return replace(observed, reservation=None)
        case RemoveFinalizer():
            assert (observed.domain, observed.volumes, observed.reservation) == (None, frozenset(), None)
            return observed
        case Wait(until=until):
            return replace(observed, now=until)
        case EnsureImage():
            return observed


def walk(desired: Desired, observed: Observed) -> Observed:
    """Plan and do until there is nothing left to do."""
    for _ in range(50):
        steps = plan(desired, observed)
        for step in steps:
            observed = done(observed, step)
            if isinstance(step, RemoveFinalizer):
                return observed
        if not steps:
            return observed
    raise AssertionError(f"no end: {plan(desired, observed)}")


def comparable(observed: Observed) -> Observed:
    """Without time, which a crash takes."""
    return replace(observed, now=0.0, stopping=None, start_after=None)


@pytest.mark.parametrize(("desired", "observed", "steps"), CASES.values(), ids=CASES.keys())
def test_a_crash_after_any_step_of_any_plan_ends_where_none_would_have(
    desired: Desired, observed: Observed, steps: list[Step]
) -> None:
    expected = comparable(walk(desired, observed))
    for count in range(len(steps) + 1):
        crashed = observed
        for step in steps[:count]:
            crashed = done(crashed, step)
        # What only the agent remembered is gone with it.
        crashed = replace(crashed, stopping=None, start_after=None)
        if not (steps[:count] and isinstance(steps[count - 1], RemoveFinalizer)):
            crashed = walk(desired, crashed)
        assert comparable(crashed) == expected, f"after {steps[:count]}"


EDITED = {
    name: (desired, observed)
    for name, (desired, observed, _) in CASES.items()
    if not desired.deleting and desired.guest is GUEST and observed.domain not in (PAUSED, SHUTTING_DOWN)
}


@pytest.mark.parametrize("first", ["Running", "Stopped"])
@pytest.mark.parametrize("then", ["Running", "Stopped"])
@pytest.mark.parametrize(("desired", "observed"), EDITED.values(), ids=EDITED.keys())
def test_the_last_of_several_edits_wins_wherever_the_first_was_left(
    desired: Desired, observed: Observed, first: Any, then: Any
) -> None:
    steps = plan(replace(desired, power_state=first), observed)
    for count in range(len(steps) + 1):
        left = observed
        for step in steps[:count]:
            left = done(left, step)
        assert walk(replace(desired, power_state=then), left).alive == (then == "Running")


def test_another_instances_reservation_is_never_released() -> None:
    other = Reservation(mac="52:54:00:ff:ff:ff", ip="10.60.0.99", hostname="other")
    steps = plan(wanted(deleting=True), seen(OFF, reservation=None))
    assert ReleaseReservation(other.mac) not in steps
    assert not any(isinstance(step, ReleaseReservation) for step in steps)
