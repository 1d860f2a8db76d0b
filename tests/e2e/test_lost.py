"""Hosts lose their power, objects are lost under running guests: nothing is started twice, or ended on a guess."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.agents import ready_of
from support.user import SECTOR, User
from support.waiting import eventually


@pytest.fixture
def restored(user: User) -> Iterator[None]:
    """All hosts and their agents are up again after the test."""
    yield
    for node in ("node-a", "node-b"):
        user.stack.lab.up(node)
        user.stack.agent(node).start()


def strip(user: User, name: str) -> None:
    """Delete an Instance by force while its agent is away: its node is not asked."""
    agent = user.stack.agent(user.get(name)["status"]["nodeName"])
    agent.stop(kill=True)
    user.kubectl("delete", "instance", name, "--wait=false")
    user.kubectl("patch", "instance", name, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    agent.start()


@pytest.mark.usefixtures("restored")
def test_after_a_power_cut_instances_are_unknown_stay_on_their_host_and_come_back_with_it(user: User) -> None:
    user.create("stays", "goes", **SECTOR)
    node = user.wait("stays", "Running")["status"]["nodeName"]
    goes = user.wait("goes", "Running")
    lost = [name for name in ("stays", "goes") if user.get(name)["status"]["nodeName"] == node]

    user.stack.lab.host(node).power_cut()
    user.stack.agent(node).stop(kill=True)  # it lives on the host
    for name in lost:
        user.wait(name, "Unknown", seconds=75)
    assert ready_of(user.get("stays"))["status"] == "Unknown"
    assert user.get("stays")["status"]["nodeName"] == node
    assert user.qemu_pids(user.get("stays")) == []
    user.kubectl("delete", "instance", "goes", "--wait=false")

    user.stack.lab.up(node)
    user.stack.agent(node).start()
    user.wait("stays", "Running")
    assert len(user.qemu_pids(user.get("stays"))) == 1
    user.kubectl("wait", "instance/goes", "--for=delete", "--timeout=60s")
    assert user.leftovers(goes) == []


def test_a_domain_whose_instance_was_removed_by_force_runs_on_is_told_and_can_be_adopted(user: User) -> None:
    user.create("web-1", **SECTOR)
    before = user.wait("web-1", "Running")
    (pid,) = user.qemu_pids(before)
    uid, node = before["metadata"]["uid"], before["status"]["nodeName"]
    strip(user, "web-1")

    eventually(lambda: user.orphans(node) == [uid], "the orphan to be told")
    assert user.qemu_pids(before) == [pid]
    user.kubectl("annotate", "hypervisor", node, f"orphan.compute.hypernova.dev/{uid}=adopt")
    eventually(lambda: "web-1" in user.kubectl("get", "instances", "--output=name"), "the Instance to be there again")

    after = user.wait("web-1", "Running")
    assert user.qemu_pids(before) == [pid]
    assert after["status"]["domainUID"] == uid
    assert after["status"]["addresses"] == before["status"]["addresses"]
    assert after["spec"]["image"] == before["spec"]["image"]
    eventually(lambda: user.orphans(node) == [], "the orphan to be none any more")
    # It is an Instance like any other.
    user.patch("web-1", powerState="Stopped")
    user.wait("web-1", "Stopped")
    user.delete("web-1")
    assert user.leftovers(before) == []


def test_an_orphan_goes_when_an_administrator_says_so(user: User) -> None:
    user.create("web-1", **SECTOR)
    before = user.wait("web-1", "Running")
    uid, node = before["metadata"]["uid"], before["status"]["nodeName"]
    strip(user, "web-1")
    eventually(lambda: user.orphans(node) == [uid], "the orphan to be told")
    user.kubectl("annotate", "hypervisor", node, f"orphan.compute.hypernova.dev/{uid}=remove")
    eventually(lambda: user.orphans(node) == [], "the orphan to be gone")
    assert user.leftovers(before) == []


def test_a_namespace_with_twenty_instances_is_deleted_in_one_go(user: User) -> None:
    names = [f"web-{number}" for number in range(20)]
    user.kubectl("create", "namespace", "crowd")
    sector = {**SECTOR, "image": {"name": "sector", "namespace": "default"}}
    user.create(*names, namespace="crowd", **sector)
    listing = ("get", "instances", "--namespace=crowd", "--output=json")

    def all_run() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(user.kubectl(*listing))["items"]
        return items if {each.get("status", {}).get("phase") for each in items} == {"Running"} else []

    instances = eventually(all_run, "all to run", 180)
    user.kubectl("delete", "namespace", "crowd", "--timeout=180s")
    assert [left for instance in instances for left in user.leftovers(instance)] == []
