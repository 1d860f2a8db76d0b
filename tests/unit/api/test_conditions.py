"""Conditions are merged by type, and keep the time of the last change."""

import pytest

from hypernova_api.conditions import Condition, Truth, find, is_true, merge

BEFORE, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def a(type_: str, status: Truth = "True", *, reason: str = "Because", since: str = BEFORE) -> Condition:
    return Condition(type=type_, status=status, reason=reason, last_transition_time=since)


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        pytest.param([], [a("Ready")], [a("Ready")], id="the first of a type is added"),
        pytest.param([a("Ready")], [], [a("Ready")], id="nothing new changes nothing"),
        pytest.param(
            [a("Scheduled"), a("Ready")],
            [a("Scheduled", "False", since=NOW)],
            [a("Scheduled", "False", since=NOW), a("Ready")],
            id="another status takes the place of the old one, with its own time",
        ),
        pytest.param(
            [a("Ready")],
            [a("Ready", reason="StillFine", since=NOW)],
            [a("Ready", reason="StillFine", since=BEFORE)],
            id="the same status for another reason keeps the time",
        ),
        pytest.param(
            [a("Ready", "False")],
            [a("Ready", "Unknown", since=NOW)],
            [a("Ready", "Unknown", since=NOW)],
            id="Unknown is a status of its own",
        ),
        pytest.param(
            [a("Ready")],
            [a("Ready", "False", since=NOW), a("Ready", "True", since=NOW)],
            [a("Ready", "True", since=NOW)],
            id="the last of a type wins",
        ),
    ],
)
def test_merge(old: list[Condition], new: list[Condition], merged: list[Condition]) -> None:
    assert merge(old, *new) == merged


def test_merging_again_changes_nothing() -> None:
    once = merge([a("Scheduled")], a("Ready", "False", since=NOW))

    assert merge(once, a("Ready", "False", since="2026-01-03T00:00:00Z")) == once


def test_merge_leaves_its_input_alone() -> None:
    old = [a("Ready")]

    merge(old, a("Ready", "False", since=NOW))

    assert old == [a("Ready")]


def test_a_condition_is_found_by_its_type() -> None:
    conditions = [a("Scheduled"), a("Ready", "Unknown")]

    assert find(conditions, "Ready") == a("Ready", "Unknown")
    assert find(conditions, "Other") is None
    assert is_true(conditions, "Scheduled")
    assert not is_true(conditions, "Ready")
    assert not is_true(conditions, "Other")
