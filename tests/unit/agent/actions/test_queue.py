"""Whose turn it is among the actions of one Instance."""

from typing import Any

from hypernova_agent.actions.queue import turn_of
from hypernova_api.action import InstanceAction
from support.builders import an_action, stored


def an_open_action(name: str, type_: str = "Reboot", *, second: int = 0, phase: str = "Pending") -> InstanceAction:
    obj = an_action(type_, name, "shop", status={"phase": phase})
    return InstanceAction.parse(stored(obj, creationTimestamp=f"2026-11-21T10:00:{second:02}Z"))


def names(*actions: Any) -> list[str]:
    return [action.metadata.name for action in actions]


def test_nobody_has_a_turn_where_nothing_is_asked() -> None:
    turn = turn_of([])
    assert (turn.resets, turn.current, turn.waiting) == ((), None, ())


def test_first_come_first_served_and_by_name_within_a_second() -> None:
    actions = [an_open_action("c", second=1), an_open_action("b", second=2), an_open_action("a", second=2)]
    turn = turn_of(actions)
    assert turn.current == actions[0]
    assert [names(*pair) for pair in turn.waiting] == [["a", "c"], ["b", "a"]]


def test_one_that_runs_is_not_overtaken_by_an_older_one() -> None:
    running = an_open_action("late", second=9, phase="Running")
    turn = turn_of([an_open_action("early"), running])
    assert turn.current == running
    assert [names(*pair) for pair in turn.waiting] == [["early", "late"]]


def test_what_is_done_waits_for_nothing() -> None:
    done = [an_open_action("a", phase="Succeeded"), an_open_action("b", phase="Failed")]
    turn = turn_of([*done, an_open_action("c", second=5)])
    assert names(turn.current) == ["c"]
    assert turn.waiting == ()


def test_resets_wait_for_nobody_and_nobody_for_them() -> None:
    reset = an_open_action("reset", "ResetState", second=9)
    turn = turn_of([an_open_action("snap", "Snapshot", phase="Running"), reset, an_open_action("next", second=10)])
    assert turn.resets == (reset,)
    assert names(turn.current) == ["snap"]
    assert [names(*pair) for pair in turn.waiting] == [["next", "snap"]]
