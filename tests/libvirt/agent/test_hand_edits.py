"""Somebody writes a status, or meddles with a domain: the truth is told, and what is safe is put right."""

import re

from hack.stack import POOL
from hypernova_agent import names
from hypernova_agent.reconcile import INSTANCES
from support.agents import BootImage, Node
from support.waiting import eventually, eventually_async

COUNT = re.compile(r"HYPERNOVA-GUEST SECTOR ([A-Z])")


def boots(node: Node, uid: str) -> int:
    """How often the guest has begun to count."""
    return COUNT.findall(node.console(uid)).count("A")


async def a_running_guest(node: Node, image: BootImage, **spec: object) -> tuple[str, int]:
    """The UID of web-1, and its QEMU."""
    uid = str((await node.create("web-1", image, **spec))["metadata"]["uid"])
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: boots(node, uid), "the guest's first line")
    (pid,) = node.qemus(uid)
    return uid, pid


async def looked_at(node: Node, grace: int) -> None:
    """Have the agent look at web-1, as it would within five minutes: nobody tells it of some things."""
    await node.edit("web-1", terminationGracePeriodSeconds=grace)
    await node.shows("web-1", "Running", "Running")


async def test_a_status_written_by_hand_is_put_right_and_touches_no_guest(node: Node, boot_image: BootImage) -> None:
    uid, pid = await a_running_guest(node, boot_image)
    for lie in (
        {"phase": "Failed", "conditions": []},
        {"phase": "Stopped", "launchedAt": None, "observedGeneration": None},
        {"phase": None, "conditions": None},
    ):
        await node.client.patch(INSTANCES, "web-1", {"status": lie}, node.namespace, subresource="status")
        right = await node.shows("web-1", "Running", "Running")
        assert right["status"]["launchedAt"]
        assert right["status"].get("restartCount", 0) == 0
    assert node.qemus(uid) == [pid]


async def test_what_virsh_does_to_a_running_guest_is_undone(node: Node, boot_image: BootImage) -> None:
    uid, pid = await a_running_guest(node, boot_image)
    node.host.run("virsh", "suspend", uid)
    eventually(lambda: "running" in node.host.run("virsh", "domstate", uid).stdout, "the guest to go on")
    await node.shows("web-1", "Running", "Running")
    assert node.qemus(uid) == [pid]

    # Its memory put on disk: it goes on from there.
    node.host.run("virsh", "managedsave", uid)
    so_far = len(COUNT.findall(node.console(uid)))
    eventually(lambda: len(COUNT.findall(node.console(uid))) > so_far, "the guest to count on")
    await node.shows("web-1", "Running", "Running")
    assert boots(node, uid) == 1

    (pid,) = node.qemus(uid)
    node.host.run("virsh", "destroy", uid)
    eventually(lambda: node.qemus(uid) not in ([], [pid]), "the guest to be started again")

    async def restarts() -> int | None:
        return (await node.shows("web-1", "Running", "Running"))["status"].get("restartCount")

    assert await eventually_async(restarts, "the restart to be counted") == 1


async def test_a_domain_edited_or_undefined_is_put_right_under_a_guest_that_runs_on(
    node: Node, boot_image: BootImage
) -> None:
    uid, pid = await a_running_guest(node, boot_image)

    def definition() -> str:
        return node.host.run("virsh", "dumpxml", "--inactive", uid).stdout

    def parts() -> list[str]:
        return re.findall(r"<vcpu.*|<mac address.*", definition())

    before = parts()
    edited = definition().replace(" current='1'", " current='2'")
    edited = re.sub(r"<interface.*</interface>", "", edited, flags=re.DOTALL)
    node.host.path(f"{POOL}/edited.xml").write_text(edited)
    node.host.run("virsh", "define", f"{POOL}/edited.xml")
    node.host.path(f"{POOL}/edited.xml").unlink()
    eventually(lambda: parts() == before, "the definition to be as it was")

    node.host.run("virsh", "undefine", uid)

    def persistent() -> bool:
        return "Persistent:     yes" in node.host.run("virsh", "dominfo", uid).stdout

    eventually(persistent, "the domain to be defined again")
    await node.shows("web-1", "Running", "Running")
    assert node.qemus(uid) == [pid]


async def test_what_is_taken_from_the_network_is_given_back(node: Node, boot_image: BootImage) -> None:
    uid, pid = await a_running_guest(node, boot_image, terminationGracePeriodSeconds=1)
    (mac,) = node.reservations()
    node.host.run(
        *("virsh", "net-update", "hypernova-default", "delete", "ip-dhcp-host", f"<host mac='{mac}'/>"),
        *("--live", "--config"),
    )
    node.host.run("virsh", "domif-setlink", uid, mac, "down")
    assert node.reservations() == []
    await looked_at(node, grace=2)
    eventually(lambda: node.reservations() == [mac], "the address to be reserved again")
    eventually(lambda: "up" in node.host.run("virsh", "domif-getlink", uid, mac).stdout, "the cable to be plugged in")
    assert node.qemus(uid) == [pid]


async def test_a_disk_deleted_while_the_guest_is_off_is_lost_and_the_rest_is_made_anew(
    node: Node, boot_image: BootImage
) -> None:
    uid, _ = await a_running_guest(node, boot_image, terminationGracePeriodSeconds=0)
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    root, away = (node.host.path(f"{POOL}/{name}") for name in (names.root_disk(uid), "away"))
    # What only repeats the Instance is no loss, nor is what libvirt knows of it.
    node.host.path(f"{POOL}/{names.config_drive(uid)}").unlink()
    node.host.run("virsh", "undefine", uid)
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: boots(node, uid) == 2, "the second boot")

    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    root.rename(away)
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Failed", "DiskLost", message="put its volume back")
    node.host.run("virsh", "undefine", uid)
    await node.edit("web-1", terminationGracePeriodSeconds=1)
    await node.shows("web-1", "Failed", "DiskLost", message="put its volume back")
    assert not root.exists()
    assert node.qemus(uid) == []

    away.rename(root)
    await node.edit("web-1", terminationGracePeriodSeconds=0)
    await node.shows("web-1", "Running", "Running")

    async def gone() -> bool:
        return await node.get("web-1") is None

    root.unlink()
    await node.delete("web-1")
    await eventually_async(gone, "the Instance without a disk to be deleted")
