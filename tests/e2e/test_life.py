"""An Instance's life as its user sees it: kubectl, the guest's own words, and what is on the host."""

from __future__ import annotations

import re
import shlex

from support.builders import an_instance
from support.user import LINUX, SECTOR, User
from support.waiting import eventually


def test_an_applied_instance_boots_a_guest_that_has_its_name_address_keys_and_user_data(user: User) -> None:
    user_data = "#!/bin/sh\necho USER-DATA-RAN on $(hostname) >/dev/console\n"
    user.create("web-1", **LINUX, userData={"inline": user_data})
    instance = user.wait("web-1", "Running")
    ready = user.wait_console("web-1", r"HYPERNOVA-GUEST READY hostname=(\S+) ip=(\S+)")
    assert ready[1] == "web-1"
    assert ready[2] == instance["status"]["addresses"][0]["ip"]
    user.wait_console("web-1", "USER-DATA-RAN on web-1")


def test_user_data_in_a_secret_reaches_the_guest_once_its_namespace_is_open(user: User) -> None:
    user_data = "#!/bin/sh\necho SECRET-RAN on $(hostname) >/dev/console\n"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "web-init"},
        "stringData": {"user-data": user_data},
    }
    with user.having(secret):
        user.create("web-1", **LINUX, userData={"secretKeyRef": {"name": "web-init", "key": "user-data"}})
        command = eventually(
            lambda: re.search(r"kubectl (create rolebinding \S+ .*?);", _ready(user)), "what to type", 90
        )
        user.kubectl(*shlex.split(command[1]))
        try:
            user.wait_console("web-1", "SECRET-RAN on web-1")
        finally:
            user.kubectl("delete", "rolebinding", "hypernova-user-data")


def _ready(user: User) -> str:
    """The message of the condition Ready; empty if there is none."""
    conditions = user.get("web-1").get("status", {}).get("conditions", [])
    return next((str(each["message"]) for each in conditions if each["type"] == "Ready"), "")


def test_an_address_that_a_deleted_guest_had_serves_the_next_one(user: User) -> None:
    with user.only("node-a"):
        user.create("web-1", **LINUX)
        ip = user.wait("web-1", "Running")["status"]["addresses"][0]["ip"]
        user.wait_console("web-1", f"READY .* ip={ip} ")
        user.delete("web-1")
        user.create("web-2", **LINUX)
        assert user.wait("web-2", "Running")["status"]["addresses"][0]["ip"] == ip
        user.wait_console("web-2", f"READY .* ip={ip} ")


def test_the_table_says_what_where_and_how_it_is(user: User) -> None:
    user.create("web-1", **SECTOR)
    status = user.wait("web-1", "Running")["status"]
    header, row = user.kubectl("get", "inst").splitlines()
    assert header.split() == ["NAME", "PHASE", "FLAVOR", "NODE", "ADDRESS", "AGE"]
    assert row.split()[:5] == ["web-1", "Running", "sector", status["nodeName"], status["addresses"][0]["ip"]]


def test_a_deleted_instance_leaves_nothing_and_can_be_applied_again(user: User) -> None:
    user.create("web-1", **SECTOR)
    first = user.wait("web-1", "Running")
    assert user.leftovers(first)
    user.delete("web-1")
    assert user.leftovers(first) == []
    user.create("web-1", **SECTOR)
    second = user.wait("web-1", "Running")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_a_stopped_guest_is_shut_down_in_order_and_keeps_its_disk(user: User) -> None:
    user.create("web-1", **LINUX)
    user.wait_console("web-1", "READY .* boots=1")
    user.patch("web-1", powerState="Stopped")
    stopped = user.wait("web-1", "Stopped")
    assert "HYPERNOVA-GUEST POWEROFF" in user.console("web-1")
    assert user.qemu_pids(stopped) == []
    user.patch("web-1", powerState="Running")
    user.wait("web-1", "Running")
    user.wait_console("web-1", "READY .* boots=2")


def test_a_guest_that_ignores_the_power_button_is_stopped_when_its_time_is_over(user: User) -> None:
    user.create("web-1", **SECTOR | {"terminationGracePeriodSeconds": 1})
    user.wait("web-1", "Running")
    user.patch("web-1", powerState="Stopped")
    assert user.qemu_pids(user.wait("web-1", "Stopped")) == []


def test_an_instance_created_stopped_never_runs_until_it_is_asked_to(user: User) -> None:
    user.create("web-1", **SECTOR, powerState="Stopped")
    user.wait("web-1", "Stopped")
    assert user.console("web-1") == ""
    user.patch("web-1", powerState="Running")
    user.wait("web-1", "Running")


def test_twenty_instances_at_once_run_on_both_hosts_with_addresses_of_their_own(
    user: User,
) -> None:
    names = [f"web-{i}" for i in range(20)]
    user.create(*names, **SECTOR)
    instances = [user.wait(name, "Running") for name in names]
    assert len({instance["status"]["addresses"][0]["ip"] for instance in instances}) == len(names)
    assert {instance["status"]["nodeName"] for instance in instances} == {"node-a", "node-b"}
    user.delete(*names)
    assert [user.leftovers(instance) for instance in instances] == [[]] * len(names)


def test_an_instance_applied_before_its_flavor_and_image_waits_and_says_for_what(user: User) -> None:
    user.apply(an_instance("web-1", flavor="nobody-has-it", image={"name": "linux"}))
    waiting = user.wait("web-1", "Pending")
    (scheduled,) = [c for c in waiting["status"]["conditions"] if c["type"] == "Scheduled"]
    assert scheduled["status"] == "False"
    assert scheduled["reason"] == "FlavorNotFound"
    assert "nobody-has-it" in scheduled["message"]
    assert "FlavorNotFound" in user.kubectl("describe", "instance", "web-1")
