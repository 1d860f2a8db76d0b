"""What is shown of Instances and of ConsoleSessions."""

import re
from datetime import UTC, datetime

import pytest

from hypernova_api.console import ConsoleSession
from hypernova_api.instance import Instance
from hypernova_cli import rows
from support.builders import a_condition, an_instance, stored

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
"""Three hours after all that builders make."""

FLAVOR = {"name": "m1.small", "vcpus": 2, "memory": "2048Mi", "rootDisk": "10Gi"}


def an_instance_with(**status) -> Instance:
    return Instance.parse(stored(an_instance(status=status)))


def cells(*instances: Instance, namespaces: bool = False, wide: bool = False) -> list[dict[str, str]]:
    """The table's rows, by header."""
    header, *lines = rows.instances(instances, NOW, namespaces=namespaces, wide=wide).splitlines()
    names = header.split()
    starts = [found.start() for found in re.finditer(r"\S+", header)]
    ends = [*starts[1:], None]
    return [
        {name: line[start:end].strip() for name, start, end in zip(names, starts, ends, strict=True)} for line in lines
    ]


def test_a_guest_that_runs():
    (row,) = cells(
        an_instance_with(
            phase="Running",
            nodeName="node-a",
            flavor=FLAVOR,
            addresses=[
                {"network": "default", "ip": ip, "mac": "52:54:00:00:00:01"} for ip in ("10.60.0.7", "10.60.0.8")
            ],
            conditions=[a_condition("Ready", True, "Running") | {"lastTransitionTime": "2026-01-01T02:58:00Z"}],
        )
    )
    assert row == {
        "NAME": "web-1",
        "PHASE": "Running",
        "FLAVOR": "m1.small",
        "VCPU": "2",
        "MEMORY": "2Gi",
        "DISK": "10Gi",
        "ADDRESSES": "10.60.0.7,10.60.0.8",
        "NODE": "node-a",
        "AGE": "3h",
        "UP": "2m",
        "IMAGE": "debian-12",
        "WHY": "<none>",
    }


def test_one_that_waits_says_for_what_and_shows_nothing_it_does_not_have():
    why = "0/3 hosts fit: 3 lack memory"
    (row,) = cells(an_instance_with(conditions=[a_condition("Scheduled", False, "NoHostFits", why)]))
    assert (row["PHASE"], row["WHY"]) == ("Pending", why)
    assert {row[name] for name in ("VCPU", "MEMORY", "DISK", "ADDRESSES", "NODE", "UP")} == {"<none>"}


@pytest.mark.parametrize("phase", ["Stopped", "Unknown", "Paused"])
def test_what_does_not_run_is_not_up(phase):
    (row,) = cells(an_instance_with(phase=phase, conditions=[a_condition("Ready", True)]))
    assert row["UP"] == "<none>"


def test_a_disk_of_the_images_own_size_has_no_number():
    (row,) = cells(an_instance_with(flavor=FLAVOR | {"rootDisk": "0", "memory": "96Mi"}))
    assert (row["DISK"], row["MEMORY"]) == ("<none>", "96Mi")


def test_the_namespace_and_more_are_shown_when_asked_for():
    obj = stored(an_instance(locked={"reason": "audit"}, status={"availabilityZone": "az1", "restartCount": 2}))
    obj["metadata"]["annotations"] = {"compute.hypernova.dev/created-by": "ann"}
    (row,) = cells(Instance.parse(obj), namespaces=True, wide=True)
    assert [row[name] for name in ("NAMESPACE", "ZONE", "RESTARTS", "LOCKED", "CREATED-BY")] == [
        "default",
        "az1",
        "2",
        "audit",
        "ann",
    ]


def a_session(name: str, *, started: bool = True, **spec) -> ConsoleSession:
    ticket = {"ticket": {"digest": "0" * 64, "expiresAt": "2026-01-01T03:01:00Z"}} if not started else {}
    times = {"startedAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-01-01T08:00:00Z"} if started else {}
    return ConsoleSession.parse(
        {
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "instanceName": "web-1",
                "instanceUID": "1",
                "type": "VNC",
                "user": {"username": "ann"},
                "maxSeconds": 28800,
                **ticket,
                **spec,
            },
            "status": times,
        }
    )


def test_sessions_say_who_looks_at_what_and_for_how_long_yet():
    found = [a_session("s-1"), a_session("s-2", started=False, type="Serial", readOnly=True)]
    assert rows.sessions(found, NOW, namespaces=False).splitlines() == [
        "SESSION   INSTANCE   TYPE                 USER   STATE     AGE   ENDS-IN",
        "s-1       web-1      VNC                  ann    Open      3h    5h",
        "s-2       web-1      Serial (read-only)   ann    Offered   3h    60s",
    ]
