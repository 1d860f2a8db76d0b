"""What a status says of an outcome, and that it is written only when that is news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hypernova_agent.desired import Desired
from hypernova_agent.host import DomainState
from hypernova_agent.images.store import Progress
from hypernova_agent.status import (
    Ended,
    Failed,
    Fetching,
    Outcome,
    Settled,
    Stopping,
    Verdict,
    status_patch,
    verdict,
)
from hypernova_api.conditions import Truth
from hypernova_api.instance import Phase
from support.builders import a_condition
from support.guests import MIB, OWNER, a_bound_instance, a_guest, parsed

NOW = datetime(2026, 11, 21, 10, 15, 0, tzinfo=UTC)
SOON = NOW + timedelta(seconds=30)


def wanted(power_state: Any = "Running", *, deleting: bool = False) -> Desired:
    return Desired(owner=OWNER, power_state=power_state, grace=60.0, guest=a_guest(), deleting=deleting)


@pytest.mark.parametrize(
    ("desired", "outcome", "phase", "ready", "reason", "message"),
    [
        pytest.param(wanted(), Settled(DomainState.RUNNING), Phase.RUNNING, "True", "Running", "", id="running"),
        pytest.param(
            wanted("Stopped"), Settled(DomainState.SHUT_OFF), Phase.STOPPED, "True", "Stopped", "", id="stopped"
        ),
        pytest.param(
            wanted(),
            Settled(DomainState.PAUSED),
            Phase.RUNNING,
            "False",
            "GuestPaused",
            "the guest is paused on its host, by hand or because the pool is full: resume it there",
            id="paused",
        ),
        pytest.param(
            wanted(),
            Fetching("debian-12", Progress(120 * MIB, 280 * MIB)),
            Phase.BUILDING,
            "False",
            "Building",
            "downloading image debian-12: 43 %, 120 of 280 MiB",
            id="downloading",
        ),
        pytest.param(
            wanted(),
            Fetching("debian-12", Progress(120 * MIB, None)),
            Phase.BUILDING,
            "False",
            "Building",
            "downloading image debian-12: 120 MiB so far",
            id="downloading-without-length",
        ),
        pytest.param(
            wanted(),
            Fetching("debian-12", None),
            Phase.BUILDING,
            "False",
            "Building",
            "downloading image debian-12",
            id="download-not-answered-yet",
        ),
        pytest.param(
            wanted("Stopped"),
            Stopping(SOON),
            Phase.RUNNING,
            "False",
            "Stopping",
            "the power button has been pressed; the plug is pulled at 10:15:30Z if the guest still runs",
            id="stopping",
        ),
        pytest.param(
            wanted(deleting=True),
            Stopping(SOON),
            Phase.DELETING,
            "False",
            "Stopping",
            "the power button has been pressed; the plug is pulled at 10:15:30Z if the guest still runs",
            id="stopping-to-be-deleted",
        ),
        pytest.param(
            wanted(),
            Ended(SOON, times=1),
            Phase.STOPPED,
            "False",
            "GuestStopped",
            "the guest ended by itself; it is started again at 10:15:30Z",
            id="ended-by-itself",
        ),
        pytest.param(
            wanted(),
            Ended(SOON, times=3),
            Phase.STOPPED,
            "False",
            "GuestStopped",
            "the guest ended by itself for the 3rd time in a row; it is started again at 10:15:30Z",
            id="ended-by-itself-again",
        ),
        pytest.param(
            wanted(),
            Failed("HostError", "no emulator", SOON),
            Phase.FAILED,
            "False",
            "HostError",
            "no emulator; next try at 10:15:30Z",
            id="refused-by-libvirt",
        ),
        pytest.param(
            wanted(),
            Failed("OutOfResources", "this node lacks memory", None),
            Phase.FAILED,
            "False",
            "OutOfResources",
            "this node lacks memory",
            id="no-room",
        ),
        pytest.param(
            wanted(deleting=True),
            Failed("HostError", "volume in use", SOON),
            Phase.DELETING,
            "False",
            "HostError",
            "volume in use; next try at 10:15:30Z",
            id="deletion-stuck",
        ),
    ],
)
def test_every_outcome_has_its_words(
    desired: Desired, outcome: Outcome, phase: Phase, ready: Truth, reason: str, message: str
) -> None:
    assert verdict(desired, outcome) == Verdict(phase, ready, reason, message)


def test_what_a_host_says_at_length_is_cut() -> None:
    told = verdict(wanted(), Failed("HostError", "x" * 1000, SOON))
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
