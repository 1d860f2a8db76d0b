"""What is kept of an InstanceAction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from hypernova_api.action import ADMINISTER
from hypernova_api.meta import CREATED_BY
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import records
from hypernova_operator.cache.records import InstanceAction
from support.builders import EPOCH, a_condition, an_action, stored

FILE = {"sha256": "cd" * 32, "format": "qcow2", "size": "4Gi"}
DONE = {
    "phase": "Succeeded",
    "nodeName": "node-a",
    "completionTime": "2026-01-02T00:00:00Z",
    "consoleLog": "x" * 100_000,
    "conditions": [a_condition("Complete", True, "ConsoleLogRead", "all of it")],
}


def read(action: Object) -> InstanceAction:
    return records.instance_action(stored(action))


def test_a_new_action_is_nobodys_yet() -> None:
    action = read(an_action(annotations={CREATED_BY: "ann", ADMINISTER: "true"}))

    assert (action.user, action.administers, action.instance) == ("ann", True, Key("default", "web-1"))
    assert (action.phase, action.node, action.reason, action.finished) == (None, "", "", False)
    assert (action.created, action.over) == (datetime.fromisoformat(EPOCH), None)


def test_of_a_finished_action_is_kept_what_it_came_to_and_no_more() -> None:
    action = read(an_action("GetConsoleLog", status=DONE))

    assert (action.finished, action.reason, action.message) == (True, "ConsoleLogRead", "all of it")
    assert action.over == datetime.fromisoformat("2026-01-02T00:00:00Z")
    assert action.conditions == ()
    assert "x" * 100 not in repr(action)


def test_an_action_whose_end_has_no_time_is_over_since_it_began() -> None:
    assert read(an_action(status={"phase": "Failed"})).over == datetime.fromisoformat(EPOCH)


@pytest.mark.parametrize(
    ("status", "owes"),
    [
        (DONE | {"snapshot": FILE}, True),
        (DONE, False),
        ({"phase": "Running", "snapshot": FILE}, False),
        ({"phase": "Failed", "snapshot": FILE}, False),
        (DONE | {"snapshot": FILE, "conditions": [a_condition("ImageCreated", False)]}, True),
        (DONE | {"snapshot": FILE, "conditions": [a_condition("ImageCreated")]}, False),
    ],
    ids=["has worked", "has left nothing", "runs", "has failed", "the name was taken", "has been made"],
)
def test_an_image_is_owed_once_for_what_a_snapshot_has_left(status: dict[str, Any], owes: bool) -> None:
    action = read(an_action("Snapshot", snapshot={"imageName": "sunday"}, status=status))

    assert (action.owed is not None) == owes
