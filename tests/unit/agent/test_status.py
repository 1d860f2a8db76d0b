"""What a status says of an outcome, and that it is written only when that is news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent import names
from hypernova_agent.ask import Ask
from hypernova_agent.desired import Desired
from hypernova_agent.host import Definition, Domain, DomainState, HostError, Run
from hypernova_agent.host_reasons import reason_of
from hypernova_agent.outcome import Ended, Failed, Fetching, Lack, Outcome, Progress, Saving, Settled, Stopping
from hypernova_agent.status import Facts, Verdict, merge_patch, status_patch, verdict
from hypernova_api.instance import BoundRescue, Phase
from support.builders import a_condition
from support.guests import MIB, OWNER, UID, a_bound_image, a_bound_instance, a_guest, parsed

NOW = datetime(2026, 11, 21, 10, 15, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)


RESCUE = BoundRescue(action="a1", image=a_bound_image("rescue"))
RUNS = Definition(volumes=(names.rescue_disk(UID, "a1"),))


def wanted(power_state: Any = "Running", **parts: Any) -> Desired:
    return Desired(**{"owner": OWNER, "power_state": power_state, "grace": 60.0, "guest": a_guest()} | parts)


def domain(state: DomainState, **parts: Any) -> Domain:
    return Domain(OWNER, state, **parts)


ON, OFF = domain(DomainState.RUNNING), domain(DomainState.SHUT_OFF)


PRESSED = "the power button has been pressed; the plug is pulled at 10:15:30Z if the guest still runs"
OVER = "the guest {}, and restartPolicy {} leaves it so: set powerState to Stopped and back to start it again"
DISK_ERROR = (
    "the guest stands still, as its disk gives errors: the node's pool is full, read-only or broken; cure that, and "
    "the guest goes on by itself within a minute"
)

WORDS: dict[str, tuple[Desired, Outcome, Domain | None, Verdict]] = {
    "running": (wanted(), Settled(), ON, Verdict(Phase.RUNNING, "True", "Running")),
    "stopped": (wanted("Stopped"), Settled(), OFF, Verdict(Phase.STOPPED, "True", "Stopped")),
    "paused": (
        wanted("Paused"),
        Settled(),
        domain(DomainState.PAUSED),
        Verdict(Phase.PAUSED, "True", "Paused"),
    ),
    "suspended": (
        wanted("Suspended"),
        Settled(),
        replace(OFF, saved=True),
        Verdict(Phase.SUSPENDED, "True", "Suspended"),
    ),
    "nothing-to-suspend": (
        wanted("Suspended"),
        Settled(),
        OFF,
        Verdict(
            Phase.STOPPED,
            "True",
            "NothingToSuspend",
            "the guest was off already, so there was no memory to put on disk",
        ),
    ),
    "rescued": (
        wanted(guest=replace(a_guest(), rescue=RESCUE)),
        Settled(),
        replace(ON, running=RUNS),
        Verdict(Phase.RESCUED, "True", "Rescued"),
    ),
    "about-to-be-rescued": (
        wanted(guest=replace(a_guest(), rescue=RESCUE), ask=Ask("a1")),
        Stopping(SOON),
        replace(ON, running=Definition()),
        Verdict(Phase.RUNNING, "False", "Rebooting", PRESSED),
    ),
    "disk-error": (
        wanted(),
        Settled(),
        domain(DomainState.STALLED),
        Verdict(Phase.RUNNING, "False", "DiskError", DISK_ERROR),
    ),
    "paused-and-its-disk-fails": (
        wanted(power_state="Paused"),
        Settled(),
        domain(DomainState.STALLED),
        Verdict(Phase.PAUSED, "True", "Paused"),
    ),
    "powered-off-and-over": (
        wanted(restart_policy="Never"),
        Settled(),
        replace(OFF, run=Run.COMPLETED),
        Verdict(Phase.STOPPED, "False", "Completed", OVER.format("powered itself off", "Never")),
    ),
    "crashed-and-over": (
        wanted(restart_policy="Never"),
        Settled(),
        replace(OFF, run=Run.FAILED),
        Verdict(Phase.STOPPED, "False", "Failed", OVER.format("failed", "Never")),
    ),
    "downloading": (
        wanted(),
        Fetching("debian-12", Progress(120 * MIB, 280 * MIB)),
        None,
        Verdict(Phase.BUILDING, "False", "Building", "downloading image debian-12: 43 %, 120 of 280 MiB"),
    ),
    "downloading-without-length": (
        wanted(),
        Fetching("debian-12", Progress(120 * MIB, None)),
        None,
        Verdict(Phase.BUILDING, "False", "Building", "downloading image debian-12: 120 MiB so far"),
    ),
    "download-not-answered-yet": (
        wanted(),
        Fetching("debian-12", None),
        None,
        Verdict(Phase.BUILDING, "False", "Building", "downloading image debian-12"),
    ),
    "downloading-while-the-guest-goes-on": (
        wanted(),
        Fetching("debian-13", None),
        ON,
        Verdict(Phase.RUNNING, "True", "Running", "downloading image debian-13"),
    ),
    "saving": (
        wanted("Suspended"),
        Saving(),
        ON,
        Verdict(Phase.RUNNING, "False", "Saving", "the guest's memory is being put on its node's disk"),
    ),
    "stopping": (wanted("Stopped"), Stopping(SOON), ON, Verdict(Phase.RUNNING, "False", "Stopping", PRESSED)),
    "rebooting": (wanted(ask=Ask("a1")), Stopping(SOON), ON, Verdict(Phase.RUNNING, "False", "Rebooting", PRESSED)),
    "stopping-to-be-deleted": (
        wanted(deleting=True),
        Stopping(SOON),
        ON,
        Verdict(Phase.DELETING, "False", "Stopping", PRESSED),
    ),
    "ended-by-itself": (
        wanted(),
        Ended(SOON, times=1),
        OFF,
        Verdict(
            Phase.STOPPED,
            "False",
            "GuestStopped",
            "the guest ended by itself; it is started again at 10:15:30Z",
        ),
    ),
    "ended-by-itself-again": (
        wanted(),
        Ended(SOON, times=3),
        OFF,
        Verdict(
            Phase.STOPPED,
            "False",
            "CrashLoopBackOff",
            "the guest ended by itself for the 3rd time in a row; it is started again at 10:15:30Z",
        ),
    ),
    "refused-by-libvirt": (
        wanted(),
        Failed("HostError", "no emulator", SOON),
        None,
        Verdict(Phase.FAILED, "False", "HostError", "no emulator; next try at 10:15:30Z"),
    ),
    "refused-by-libvirt-while-the-guest-goes-on": (
        wanted("Suspended"),
        Failed("PoolFull", "no space", SOON),
        ON,
        Verdict(Phase.RUNNING, "False", "PoolFull", "no space; next try at 10:15:30Z"),
    ),
    "no-room": (
        wanted(),
        Failed("OutOfResources", "this node lacks memory", None),
        None,
        Verdict(Phase.FAILED, "False", "OutOfResources", "this node lacks memory"),
    ),
    "deletion-stuck": (
        wanted(deleting=True),
        Failed("HostError", "volume x: in use", SOON),
        None,
        Verdict(Phase.DELETING, "False", "HostError", "volume x: in use; next try at 10:15:30Z"),
    ),
}


@pytest.mark.parametrize(("desired", "outcome", "there", "told"), WORDS.values(), ids=WORDS.keys())
def test_every_outcome_has_its_words(desired: Desired, outcome: Outcome, there: Domain | None, told: Verdict) -> None:
    assert verdict(desired, outcome, there) == told


def test_what_a_host_says_at_length_is_cut() -> None:
    told = verdict(wanted(), Failed("HostError", "x" * 1000, SOON), None)
    assert told.message.endswith("x...; next try at 10:15:30Z")
    assert len(told.message) < 450


RUNNING = Verdict(Phase.RUNNING, "True", "Running")


def test_the_write_is_conditional_and_keeps_the_operator_s_conditions() -> None:
    instance = parsed(a_bound_instance(metadata={"resourceVersion": "41", "generation": 3}))
    patch = status_patch(instance, RUNNING, NOW)
    assert patch == {
        "metadata": {"resourceVersion": "41"},
        "status": {
            "phase": "Running",
            "observedGeneration": 3,
            "conditions": [
                a_condition("Scheduled"),
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Running",
                    "message": "",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T10:15:00Z",
                },
            ],
        },
    }


def after(patch: dict[str, Any] | None, **metadata: Any) -> Any:
    assert patch is not None
    return parsed(a_bound_instance(status=patch["status"], metadata={"generation": 3} | metadata))


def test_the_same_outcome_twice_is_one_write() -> None:
    instance = parsed(a_bound_instance(metadata={"generation": 3}))
    written = after(status_patch(instance, RUNNING, NOW))
    assert status_patch(written, RUNNING, SOON) is None


@pytest.mark.parametrize(
    "told",
    [
        Verdict(Phase.STOPPED, "True", "Running"),
        Verdict(Phase.RUNNING, "False", "Running"),
        Verdict(Phase.RUNNING, "True", "GuestPaused"),
        Verdict(Phase.RUNNING, "True", "Running", "a message"),
    ],
    ids=["phase", "truth", "reason", "message"],
)
def test_anything_new_is_written(told: Verdict) -> None:
    written = after(status_patch(parsed(a_bound_instance(metadata={"generation": 3})), RUNNING, NOW))
    assert status_patch(written, told, SOON) is not None


def test_an_edit_that_changes_nothing_is_written_as_observed() -> None:
    written = after(status_patch(parsed(a_bound_instance(metadata={"generation": 3})), RUNNING, NOW), generation=4)
    patch = status_patch(written, RUNNING, SOON)
    assert patch is not None
    assert patch["status"]["observedGeneration"] == 4


def test_the_condition_tells_since_when_it_holds_not_when_it_was_written() -> None:
    waiting = Verdict(Phase.BUILDING, "False", "Building")
    failed = Verdict(Phase.FAILED, "False", "HostError")
    written = after(status_patch(parsed(a_bound_instance(metadata={"generation": 3})), waiting, NOW))
    patch = status_patch(written, failed, SOON)
    assert patch is not None
    assert patch["status"]["conditions"][-1]["lastTransitionTime"] == "2026-11-21T10:15:00Z"


SMALL = {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "4Gi", "cpu": {"policy": "Dedicated"}}
LARGE = {"name": "m1.large", "vcpus": 4, "memory": "2Gi", "rootDisk": "8Gi"}
PACKED = {"cells": [{"cell": 0, "vcpus": [0], "cpus": [3], "memory": "512Mi"}]}
RESIZING = {"flavor": SMALL, "allocation": PACKED, "resize": {"flavor": LARGE}}


def running(**status: Any) -> Any:
    """An Instance whose status says that it runs."""
    ready = a_condition("Ready", reason="Running")
    return parsed(
        a_bound_instance(status={"phase": "Running", "observedGeneration": 1, "conditions": [ready]} | status)
    )


def said(patch: dict[str, Any] | None, type_: str) -> Any:
    assert patch is not None
    found = {each["type"]: each for each in patch["status"]["conditions"]}.get(type_)
    return found and (found["status"], found["reason"], found["message"])


def test_the_first_status_with_a_domain_tells_when_that_was_launched_and_no_later_one() -> None:
    patch = status_patch(running(), RUNNING, NOW, Facts(launched=True))
    assert patch is not None
    assert patch["status"]["launchedAt"] == "2026-11-21T10:15:00Z"
    launched = running(launchedAt="2026-11-01T00:00:00Z")
    assert status_patch(launched, RUNNING, NOW, Facts(launched=True)) is None


def test_restarts_add_up() -> None:
    patch = status_patch(running(restartCount=3), RUNNING, NOW, Facts(restarts=2))
    assert patch is not None
    assert patch["status"]["restartCount"] == 5


def test_what_waits_for_a_start_is_told_until_there_has_been_one() -> None:
    lack = Settled(Lack("FlavorChanged", ("2 vCPUs", "4 GiB of memory")), in_force=False)
    patch = status_patch(running(), RUNNING, NOW, Facts(settled=lack))
    assert said(patch, "RestartRequired") == (
        "True",
        "FlavorChanged",
        "with its next start the guest gets 2 vCPUs and 4 GiB of memory: reboot the Instance when it suits",
    )
    assert patch is not None
    waiting = running(conditions=patch["status"]["conditions"])
    assert status_patch(waiting, RUNNING, NOW, Facts(settled=lack)) is None
    assert said(status_patch(waiting, RUNNING, NOW, Facts(settled=Settled())), "RestartRequired") == (
        "False",
        "UpToDate",
        "",
    )
    assert status_patch(waiting, RUNNING, NOW) is None, "what is not known is left as it is"


def test_a_resize_in_force_is_what_the_instance_has_in_one_write() -> None:
    granted = [a_condition("Resized"), a_condition("Ready", reason="Running")]
    patch = status_patch(running(**RESIZING, conditions=granted), RUNNING, NOW, Facts(settled=Settled()))
    assert patch is not None
    status = patch["status"]
    assert status["resize"] is None
    assert status["allocation"] is None
    assert (status["flavor"]["name"], status["flavor"]["vcpus"], status["flavor"]["cpu"]) == ("m1.large", 4, None)
    assert said(patch, "Resized") is None


@pytest.mark.parametrize(
    "facts",
    [Facts(), Facts(settled=Settled(in_force=False)), Facts(settled=Settled(), refused="this node lacks memory")],
    ids=["not-looked-at", "not-taken", "refused"],
)
def test_a_resize_that_is_not_in_force_stays_pending(facts: Facts) -> None:
    patch = status_patch(running(**RESIZING), Verdict(Phase.RUNNING, "False", "HostError"), NOW, facts)
    assert patch is not None
    assert not patch["status"].keys() & {"resize", "flavor", "allocation"}


def test_a_resize_that_the_host_has_no_room_for_says_so() -> None:
    patch = status_patch(running(**RESIZING), RUNNING, NOW, Facts(settled=Settled(), refused="this node lacks memory"))
    assert said(patch, "Resized") == ("False", "OutOfResources", "this node lacks memory")


def test_the_address_of_a_network_card_that_is_gone_is_given_up() -> None:
    one, two = ({"network": "default", "ip": f"10.60.0.{n}", "mac": f"52:54:00:00:00:0{n}"} for n in (7, 8))
    instance = running(addresses=[one, two])
    assert status_patch(instance, RUNNING, NOW, Facts(settled=Settled(cards=False))) is None
    patch = status_patch(instance, RUNNING, NOW, Facts(settled=Settled()))
    assert patch is not None
    assert patch["status"]["addresses"] == [one]


objects = st.recursive(
    st.integers() | st.text(max_size=2) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), objects), st.dictionaries(st.sampled_from("abc"), objects))
def test_a_merge_patch_makes_one_object_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(before, merge_patch(before, after)) == after


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("cannot write data to file '/pool/x': No space left on device", "PoolFull"),
        ("unable to create '/pool/x': Read-only file system", "PoolReadOnly"),
        ("internal error: cannot set up guest memory 'pc.ram': Cannot allocate memory", "OutOfMemory"),
        ("internal error: no emulator", "HostError"),
    ],
)
def test_what_a_host_s_words_tell_has_a_reason_of_its_own(words: str, reason: str) -> None:
    told, message = reason_of(HostError(words))
    assert told == reason
    assert words in message
