"""What the status of an action says, write by write."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypernova_agent.actions import report
from hypernova_agent.actions.report import Done, Failed
from hypernova_api.action import ActionStep, InstanceAction
from support.builders import Object, a_condition, an_action, stored
from support.patches import merged

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
LATER = START + timedelta(seconds=90)
STEP = ActionStep(name="CopyDisk", start_time="2026-11-21T10:00:00Z")


def pending(type_: str = "Snapshot", **status: Any) -> Object:
    admitted = {"phase": "Pending", "conditions": [a_condition("Complete", False, reason="Admitted")]}
    return stored(an_action(type_, status=admitted | status))


def told(obj: Object, patch: Object | None) -> Any:
    """The object with a patch that is conditional on it."""
    assert patch is not None
    assert patch["metadata"] == {"resourceVersion": obj["metadata"]["resourceVersion"]}
    return merged(obj, patch)


def complete(obj: Object) -> tuple[str, str, str]:
    (condition,) = InstanceAction.parse(obj).status.conditions
    return condition.status, condition.reason, condition.message


def parse(obj: Object) -> InstanceAction:
    return InstanceAction.parse(obj)


def test_a_life_from_admitted_to_done() -> None:
    obj = pending()
    steps = report.stepped((), "CopyDisk", START)
    obj = told(obj, report.begun(parse(obj), steps, START))
    status = parse(obj).status
    assert (status.phase, status.start_time, status.steps) == ("Running", "2026-11-21T10:00:00Z", [STEP])
    assert complete(obj) == ("False", "Running", "")

    obj = told(obj, report.progressed(parse(obj), steps, 40, LATER))
    assert parse(obj).status.progress == 40

    steps = report.stepped(steps, "ComputeChecksum", LATER)
    obj = told(obj, report.ended(parse(obj), steps, Done({"consoleLog": "x"}), LATER))
    status = parse(obj).status
    assert (status.phase, status.progress, status.completion_time) == ("Succeeded", 100, "2026-11-21T10:01:30Z")
    assert [(step.name, step.completion_time) for step in status.steps] == [
        ("CopyDisk", "2026-11-21T10:01:30Z"),
        ("ComputeChecksum", "2026-11-21T10:01:30Z"),
    ]
    assert status.console_log == "x"
    assert complete(obj) == ("True", "SnapshotTaken", "")


def test_a_step_that_goes_on_is_not_begun_twice() -> None:
    assert report.stepped([STEP], "CopyDisk", LATER) == [STEP]


def test_what_failed_says_why_and_leaves_its_last_step_without_an_end() -> None:
    obj = pending(phase="Running", startTime="2026-11-21T10:00:00Z", steps=[STEP.to_wire()])
    obj = told(obj, report.ended(parse(obj), [STEP], Failed("PoolFull", "no room"), LATER))
    status = parse(obj).status
    assert (status.phase, status.steps) == ("Failed", [STEP])
    assert status.progress is None
    assert complete(obj) == ("False", "PoolFull", "no room")


def test_what_was_refused_has_begun_and_ended_at_once() -> None:
    obj = told(pending(), report.ended(parse(pending()), (), Failed("Rescued", "Unrescue it first"), START))
    status = parse(obj).status
    assert status.start_time == status.completion_time == "2026-11-21T10:00:00Z"


def test_waiting_is_said_once_and_names_who_is_before() -> None:
    before = parse(stored(an_action("Snapshot", "snap-1")))
    obj = told(pending(), report.waiting(parse(pending()), before, START))
    assert complete(obj) == (
        "False",
        "Waiting",
        "waits until snap-1 is done: one action of an Instance after another",
    )
    assert report.waiting(parse(obj), parse(stored(an_action("Reboot", "other"))), LATER) is None


def test_the_same_hindrance_or_progress_is_not_told_twice() -> None:
    obj = pending(phase="Running")
    obj = told(obj, report.hindered(parse(obj), "HostError", "no such device", START))
    assert complete(obj) == ("False", "HostError", "no such device")
    assert report.hindered(parse(obj), "HostError", "no such device", LATER) is None
    obj = told(obj, report.progressed(parse(obj), [STEP], 3, START))
    assert report.progressed(parse(obj), [STEP], 3, LATER) is None


def test_what_hosts_say_is_cut_to_a_length_for_people() -> None:
    obj = told(pending(), report.ended(parse(pending()), (), Failed("HostError", "x" * 9999), START))
    assert len(complete(obj)[2]) == 400
