"""What a guest should do, asked for in any order, and what becomes of one that ends by itself."""

import re

import pytest

from support.agents import BootImage, Node, ready_of
from support.waiting import eventually

LINE = re.compile(r"HYPERNOVA-GUEST SECTOR ([A-Z])")


def letters(node: Node, uid: str) -> str:
    """What the guest has counted so far, a letter a second: a guest that is booted anew begins with A."""
    return "".join(LINE.findall(node.console(uid)))


def counts_on(node: Node, uid: str) -> None:
    """Wait until the guest has written another letter."""
    before = len(letters(node, uid))
    eventually(lambda: len(letters(node, uid)) > before, "the guest to go on")


async def test_a_paused_guest_stands_still_in_memory_and_goes_on_where_it_stood(
    node: Node, boot_image: BootImage
) -> None:
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: letters(node, uid), "the guest's first line")
    (pid,) = node.qemus(uid)
    await node.edit("web-1", powerState="Paused")
    paused = await node.shows("web-1", "Paused", "Paused")
    assert ready_of(paused)["status"] == "True"
    assert "paused" in node.host.run("virsh", "domstate", uid).stdout
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    counts_on(node, uid)
    assert node.qemus(uid) == [pid]
    assert letters(node, uid).count("A") == 1


async def test_a_suspended_guest_takes_no_memory_and_goes_on_where_it_stood(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: "C" in letters(node, uid), "the guest to count")
    await node.edit("web-1", powerState="Suspended")
    await node.shows("web-1", "Suspended", "Suspended")
    assert node.qemus(uid) == []
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    counts_on(node, uid)
    assert letters(node, uid).count("A") == 1


@pytest.mark.parametrize("last", ["Running", "Paused", "Suspended", "Stopped"])
async def test_of_many_quick_edits_the_last_one_wins(node: Node, boot_image: BootImage, last: str) -> None:
    uid = (await node.create("web-1", boot_image, terminationGracePeriodSeconds=0))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    for state in ("Paused", "Suspended", "Running", "Suspended", "Paused", "Running", last):
        await node.edit("web-1", powerState=state)
    await node.shows("web-1", last, last)
    assert len(node.qemus(uid)) == (last in ("Running", "Paused"))


async def test_a_suspended_guest_that_is_to_stop_is_shut_down_and_boots_anew(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image, terminationGracePeriodSeconds=1))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    await node.edit("web-1", powerState="Suspended")
    await node.shows("web-1", "Suspended", "Suspended")
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: letters(node, uid).count("A") == 2, "a second boot")


async def test_a_suspended_guest_survives_an_agent_and_a_libvirtd_that_die(
    own_node: Node, boot_image: BootImage
) -> None:
    node = own_node
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    await node.edit("web-1", powerState="Suspended")
    await node.shows("web-1", "Suspended", "Suspended")
    node.agent.stop(kill=True)
    node.host.kill_libvirtd()
    node.host.start_libvirtd()
    node.agent.start()
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    counts_on(node, uid)
    assert letters(node, uid).count("A") == 1


@pytest.mark.parametrize(
    ("policy", "restarted"),
    [("Always", True), ("OnFailure", True), ("Never", False)],
)
async def test_a_guest_whose_qemu_is_killed_is_started_again_as_its_policy_says(
    node: Node, boot_image: BootImage, policy: str, restarted: bool
) -> None:
    uid = (await node.create("web-1", boot_image, restartPolicy=policy))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    (pid,) = node.qemus(uid)
    node.kill_guest(uid)
    if restarted:
        eventually(lambda: node.qemus(uid) not in ([], [pid]), "the guest to be started again")
        assert (await node.shows("web-1", "Running", "Running"))["status"]["restartCount"] == 1
        return
    await node.shows("web-1", "Stopped", "Failed")
    # Not by an agent that has just started either, and again once it is asked for.
    node.agent.stop(kill=True)
    node.agent.start()
    await node.edit("web-1", terminationGracePeriodSeconds=1)
    await node.shows("web-1", "Stopped", "Failed")
    assert node.qemus(uid) == []
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
