from datetime import UTC, datetime
from typing import Any

from hack.nodes.node import is_ready

HEARTBEAT = "2026-11-21T12:00:05Z"
SAID_AT = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC).timestamp()


def node(*, ready: str = "True", taints: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]},
        "status": {"conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": HEARTBEAT}]},
    }


def test_a_node_is_ready_when_its_kubelet_has_said_so_in_the_second_it_was_started() -> None:
    assert is_ready(node(), since=SAID_AT + 0.9)


def test_what_was_said_before_a_kubelet_was_started_does_not_count() -> None:
    assert not is_ready(node(), since=SAID_AT + 1)


def test_a_node_that_still_keeps_pods_away_is_not_ready() -> None:
    assert not is_ready(node(taints=("node.kubernetes.io/not-ready",)), since=SAID_AT)
    assert is_ready(node(taints=("somebody.else/owns-it",)), since=SAID_AT)


def test_a_node_that_says_no_or_nothing_is_not_ready() -> None:
    assert not is_ready(node(ready="False"), since=SAID_AT)
    assert not is_ready({"spec": {}, "status": {}}, since=SAID_AT)
