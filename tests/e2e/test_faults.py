"""What must not disturb a guest: restarts of everything of ours, and one operator taking over from another."""

from __future__ import annotations

import time

from support.user import SECTOR, User
from support.waiting import eventually


def test_no_restart_of_agent_libvirtd_operator_or_api_server_restarts_a_guest(user: User) -> None:
    user.create("web-1", **SECTOR)
    instance = user.wait("web-1", "Running")
    pids = user.qemu_pids(instance)
    node, stack = instance["status"]["nodeName"], user.stack
    host = stack.lab.host(node)

    stack.agent(node).stop(kill=True)
    stack.agent(node).start()
    host.kill_libvirtd()
    host.start_libvirtd()
    stack.operator().stop(kill=True)
    stack.operator().start()
    stack.restart_apiserver()

    # All parts work again, which another Instance on the same host shows ...
    user.kubectl(
        "label",
        "node",
        *(other for other in ("node-a", "node-b") if other != node),
        "compute.hypernova.dev/hypervisor-",
    )
    try:
        user.create("web-2", **SECTOR)
        assert user.wait("web-2", "Running")["status"]["nodeName"] == node
    finally:
        user.kubectl("label", "--overwrite", "node", "node-a", "node-b", "compute.hypernova.dev/hypervisor=true")
    # ... and the first guest never noticed.
    assert user.qemu_pids(instance) == pids
    assert user.get("web-1")["status"]["phase"] == "Running"


def test_what_was_asked_for_while_the_agent_was_down_is_done_when_it_is_back(user: User) -> None:
    user.create("stays", "stops", "goes", **SECTOR)
    instances = {name: user.wait(name, "Running") for name in ("stays", "stops", "goes")}
    agents = [user.stack.agent(node) for node in ("node-a", "node-b")]
    for agent in agents:
        agent.stop(kill=True)
    user.patch("stops", powerState="Stopped")
    user.kubectl("delete", "instance", "goes", "--wait=false")
    for agent in agents:
        agent.start()
    user.wait("stops", "Stopped")
    user.kubectl("wait", "instance/goes", "--for=delete", "--timeout=60s")
    assert user.leftovers(instances["goes"]) == []
    assert user.qemu_pids(instances["stays"])


def test_a_guest_whose_qemu_was_killed_runs_again(user: User) -> None:
    user.create("web-1", **SECTOR)
    instance = user.wait("web-1", "Running")
    node = instance["status"]["nodeName"]
    (pid,) = user.qemu_pids(instance)
    user.stack.lab.host(node).run("pkill", "-KILL", "-f", instance["metadata"]["uid"])
    eventually(lambda: [new for new in user.qemu_pids(instance) if new != pid], "the guest to be started again", 60)
    user.wait("web-1", "Running")


def test_a_standby_operator_takes_over_and_nothing_is_bound_twice(user: User) -> None:
    stack = user.stack
    standby = stack.operator("operator-standby")
    standby.start()
    try:
        user.create(*(f"before-{i}" for i in range(5)), **SECTOR)
        stack.operator().stop(kill=True)
        started = time.monotonic()
        user.create(*(f"after-{i}" for i in range(5)), **SECTOR)
        bound = [user.wait(f"{when}-{i}", "Running") for when in ("before", "after") for i in range(5)]
        print(f"taken over and all running {time.monotonic() - started:.1f} s after the leader was killed")
        assert [len(user.qemu_pids(instance)) for instance in bound] == [1] * 10
        assert len({instance["status"]["addresses"][0]["ip"] for instance in bound}) == 10
    finally:
        standby.stop()
