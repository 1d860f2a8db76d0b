"""InstanceActions on a real host, with a real agent and API server. The operator's part is done by hand."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest

from hack.guest import Guest
from hack.stack import POOL
from hypernova_agent import names
from hypernova_agent.actions.board import ACTIONS
from hypernova_kube.resources import Object
from support.agents import BootImage, Node
from support.builders import a_condition, an_action
from support.image_server import ImageServer
from support.waiting import eventually, eventually_async

HASH = "$6$hypernova$G0Fh8vGp3bq7L9yOJd1yqk3v5m1o0c2Qe9zv0H6G0m4d0s8f7n3X1c5V9b2N6m4L8k1J3h5G7f9D2s4A6p8O0"
"""Of no password that anybody knows."""


@dataclass(frozen=True, slots=True)
class SnapshotImage(BootImage):
    """An image that a snapshot has left on a node."""

    node: str = ""

    def bound(self) -> Object:
        image = {"name": self.name, "namespace": "images", "sha256": self.sha256, "format": self.format}
        return image | {"nodeName": self.node}


def left_by(action: Object, node: Node) -> SnapshotImage:
    """The image that a snapshot has left, as the operator would put it into a status."""
    taken = action["status"]["snapshot"]
    return SnapshotImage("", taken["sha256"], taken["format"], "copy", node.name)


@pytest.fixture
def rescue_image(image_server: ImageServer, guest: Guest) -> BootImage:
    """The boot sector, saying RESCUE where it says SECTOR."""
    sector = guest.boot_sector.read_bytes()
    content = sector.replace(b"SECTOR", b"RESCUE")
    assert content != sector
    return BootImage(image_server.add("rescue.raw", content), hashlib.sha256(content).hexdigest(), name="rescue")


@pytest.fixture
def linux(image_server: ImageServer, guest: Guest) -> BootImage:
    """Linux, from a qcow2."""
    return BootImage(image_server.add("linux.qcow2", guest.qcow2), guest.sha256, format="qcow2", name="linux")


async def ask(node: Node, type_: str, name: str, status: Object | None = None, **spec: Any) -> None:
    """Have something done to web-1: a user asks, the operator admits it."""
    instance = await node.get("web-1")
    assert instance is not None
    await node.client.create(ACTIONS, an_action(type_, name, node.namespace, **spec))
    admitted = {
        "phase": "Pending",
        "nodeName": node.name,
        "instanceUID": instance["metadata"]["uid"],
        "conditions": [a_condition("Complete", False, reason="Admitted")],
    } | (status or {})
    await node.client.patch(ACTIONS, name, {"status": admitted}, node.namespace, subresource="status")


async def done(node: Node, name: str, reason: str, seconds: float = 90) -> Object:
    """Wait until an action is done for a reason; the object then."""

    async def look() -> Object | None:
        obj = await node.client.get(ACTIONS, name, node.namespace)
        return obj if obj["status"]["phase"] in {"Succeeded", "Failed"} else None

    try:
        obj = await eventually_async(look, f"{name} to be done", seconds)
    except AssertionError as error:
        status = (await node.client.get(ACTIONS, name, node.namespace))["status"]
        raise AssertionError(f"{error}\nstatus: {status}\n{node.agent.last_words()}") from None
    (complete,) = obj["status"]["conditions"]
    assert complete["reason"] == reason, f"{obj['status']}\n{node.agent.last_words()}"
    return obj


async def do(node: Node, type_: str, name: str, reason: str, status: Object | None = None, **spec: Any) -> Object:
    await ask(node, type_, name, status, **spec)
    return await done(node, name, reason)


def boots(node: Node, uid: str) -> int:
    """Times that the boot sector has begun, if each went on for less than its alphabet of seconds."""
    return node.console(uid).count("HYPERNOVA-GUEST SECTOR A")


async def running(node: Node, image: BootImage, **parts: Any) -> str:
    """web-1, with something on its console; its UID."""
    uid = (await node.create("web-1", image, terminationGracePeriodSeconds=2, **parts))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: "HYPERNOVA-GUEST" in node.console(uid), "the guest's first line")
    return str(uid)


async def test_a_hard_reboot_is_one_power_on_and_a_soft_one_waits_for_the_guest(
    node: Node, boot_image: BootImage
) -> None:
    uid = await running(node, boot_image)
    (first,) = node.qemus(uid)
    await do(node, "Reboot", "hard", "Rebooted", reboot={"type": "Hard"})
    (second,) = node.qemus(uid)
    assert second != first
    eventually(lambda: boots(node, uid) == 2, "the second boot")

    # This guest is deaf to its power button: it loses its plug when its grace is over.
    obj = await do(node, "Reboot", "soft", "Rebooted")
    (third,) = node.qemus(uid)
    assert third != second
    assert obj["status"]["startTime"] < obj["status"]["completionTime"]
    await node.shows("web-1", "Running", "Running")


async def test_a_guest_is_rescued_and_gets_its_own_disk_back(
    node: Node, boot_image: BootImage, rescue_image: BootImage
) -> None:
    uid = await running(node, boot_image)
    await do(node, "Rescue", "rescue", "Rescued", {"rescueImage": rescue_image.bound()})
    await node.shows("web-1", "Rescued")
    eventually(lambda: "HYPERNOVA-GUEST RESCUE" in node.console(uid), "the rescue system")
    domain = node.host.run("virsh", "dumpxml", uid).stdout
    assert names.root_disk(uid) in domain
    await do(node, "Snapshot", "refused", "Rescued", snapshot={"imageName": "copy"})

    await do(node, "Unrescue", "unrescue", "Unrescued")
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: boots(node, uid) == 2, "the guest's own disk")
    assert not [name for name in node.volumes(uid) if ".rescue" in name]


async def test_a_rebuild_replaces_the_disk_and_keeps_who_the_guest_is(
    node: Node, boot_image: BootImage, rescue_image: BootImage
) -> None:
    uid = await running(node, boot_image)
    before = await node.get("web-1")
    assert before is not None
    await do(node, "Rebuild", "rebuild", "Rebuilt", {"rebuild": {"image": rescue_image.bound(), "keyPairs": []}})
    after = await node.shows("web-1", "Running", "Running")
    eventually(lambda: "HYPERNOVA-GUEST RESCUE" in node.console(uid), "the new disk")
    assert after["status"]["image"]["name"] == "rescue"
    assert after["status"]["addresses"] == before["status"]["addresses"]
    assert node.reservations() == [before["status"]["addresses"][0]["mac"]]
    assert len([name for name in node.volumes(uid) if ".root" in name]) == 1
    assert len([name for name in node.volumes(uid) if ".config" in name]) == 1


async def test_an_image_that_cannot_be_had_fails_the_rebuild_and_leaves_the_guest_alone(
    node: Node, boot_image: BootImage
) -> None:
    uid = await running(node, boot_image)
    qemus, before = node.qemus(uid), await node.get("web-1")
    missing = boot_image.bound() | {"sha256": "f" * 64}
    obj = await do(node, "Rebuild", "rebuild", "ImageChecksumMismatch", {"rebuild": {"image": missing}})
    assert "correct the Image or its file" in obj["status"]["conditions"][0]["message"]
    assert node.qemus(uid) == qemus
    assert await node.get("web-1") == before


@pytest.mark.parametrize("powered", [True, False], ids=["live", "off"])
async def test_an_instance_boots_from_the_snapshot_of_another(node: Node, boot_image: BootImage, powered: bool) -> None:
    uid = await running(node, boot_image)
    if not powered:
        await node.edit("web-1", powerState="Stopped")
        await node.shows("web-1", "Stopped", "Stopped")
    qemus = node.qemus(uid)
    obj = await do(node, "Snapshot", "snap", "SnapshotTaken", snapshot={"imageName": "copy"})
    assert node.qemus(uid) == qemus, "the guest was disturbed"
    (copy,) = [name for name in node.volumes() if name.startswith("snapshot-")]
    content = node.host.path(f"{POOL}/{copy}").read_bytes()
    assert hashlib.sha256(content).hexdigest() == obj["status"]["snapshot"]["sha256"]

    created = await node.create("web-2", left_by(obj, node), terminationGracePeriodSeconds=0)
    await node.shows("web-2", "Running", "Running")
    other = created["metadata"]["uid"]
    eventually(lambda: "HYPERNOVA-GUEST SECTOR" in node.console(other), "the copy's first line")
    await node.delete("web-1")
    await node.gone("web-1")
    assert node.qemus(other)


async def test_the_console_log_is_told_and_an_nmi_is_sent_at_most_once(node: Node, boot_image: BootImage) -> None:
    await running(node, boot_image)
    obj = await do(node, "GetConsoleLog", "log", "ConsoleLogRead")
    assert "HYPERNOVA-GUEST SECTOR A" in obj["status"]["consoleLog"]
    obj = await do(node, "GetConsoleLog", "end", "ConsoleLogRead", getConsoleLog={"bytes": 5})
    assert len(obj["status"]["consoleLog"]) == 5
    await do(node, "InjectNMI", "nmi", "NMIInjected")
    await do(node, "GetGuestInfo", "info", "GuestAgentUnavailable")
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    await do(node, "InjectNMI", "late", "NotRunning")
    obj = await do(node, "GetConsoleLog", "off", "ConsoleLogRead")
    assert "HYPERNOVA-GUEST SECTOR A" in obj["status"]["consoleLog"]


async def test_actions_run_in_their_order_over_kills_of_the_agent(node: Node, boot_image: BootImage) -> None:
    uid = await running(node, boot_image)
    kinds = ["Reboot", "Snapshot", "GetConsoleLog", "Reboot"]
    for number, type_ in enumerate(kinds):
        spec = {"snapshot": {"imageName": "copy"}} if type_ == "Snapshot" else {}
        await ask(node, type_, f"act-{number}", **spec)
    for number in range(len(kinds)):

        async def begun(number: int = number) -> bool:
            obj = await node.client.get(ACTIONS, f"act-{number}", node.namespace)
            return bool(obj["status"]["phase"] != "Pending")

        await eventually_async(begun, f"act-{number} to begin", 60)
        node.agent.stop(kill=True)
        node.agent.start()
    objs = [
        await done(node, f"act-{number}", reason)
        for number, reason in enumerate(["Rebooted", "SnapshotTaken", "ConsoleLogRead", "Rebooted"])
    ]
    ends = [obj["status"]["completionTime"] for obj in objs]
    assert ends == sorted(ends)
    assert len(node.qemus(uid)) == 1
    assert len([name for name in node.volumes() if name.startswith("snapshot-")]) == 1


async def test_a_deleted_instance_takes_its_actions_with_it(node: Node, boot_image: BootImage) -> None:
    await running(node, boot_image, disk="0")
    await node.edit("web-1", terminationGracePeriodSeconds=30)
    await ask(node, "Reboot", "soft")
    await ask(node, "Snapshot", "snap", snapshot={"imageName": "copy"})
    await node.delete("web-1")
    await done(node, "soft", "InstanceDeleted")
    await done(node, "snap", "InstanceDeleted")
    await node.edit("web-1", terminationGracePeriodSeconds=0)
    await node.gone("web-1")


async def test_a_linux_guest_tells_of_itself_is_copied_while_it_runs_and_is_anew_after_a_rebuild(
    node: Node, linux: BootImage
) -> None:
    created = await node.create("web-1", linux, memory="96Mi", disk="1Gi", terminationGracePeriodSeconds=120)
    uid, address = created["metadata"]["uid"], created["status"]["addresses"][0]["ip"]

    def ready(number: int, boots: int, owner: str = uid, name: str = "web-1") -> bool:
        """Whether its last READY is so many-th on its console, and it says of its disk that it was booted so often."""
        lines = [line for line in node.console(owner).splitlines() if "HYPERNOVA-GUEST READY" in line]
        return len(lines) == number and f"hostname={name} " in lines[-1] and f" boots={boots} " in lines[-1]

    eventually(lambda: ready(1, 1), "the guest's READY", 150)
    await ask(node, "Reboot", "soft")
    await done(node, "soft", "Rebooted", seconds=120)
    assert "POWEROFF" in node.console(uid), "it was not asked, but its plug pulled"
    eventually(lambda: ready(2, 2), "the same disk to boot again", 150)

    info = (await do(node, "GetGuestInfo", "info", "GuestInfoRead"))["status"]["guestInfo"]
    assert info["hostname"] == "web-1"
    assert address in str(info["interfaces"])
    await do(node, "SetPassword", "password", "PasswordSet", setPassword={"hash": HASH})

    obj = await do(node, "Snapshot", "snap", "SnapshotTaken", snapshot={"imageName": "copy"})
    copy = await node.create("web-2", left_by(obj, node), memory="96Mi", disk="1Gi", terminationGracePeriodSeconds=0)
    new = {"userData": {"inline": "#!/bin/sh\necho HYPERNOVA-GUEST ANEW >/dev/console\n"}}
    resolved = {"rebuild": {"image": linux.bound(), "keyPairs": []}}
    await do(node, "Rebuild", "rebuild", "Rebuilt", resolved, rebuild=new)
    eventually(lambda: ready(1, 3, copy["metadata"]["uid"], "web-2"), "the copy to go on where it was", 200)
    eventually(lambda: ready(3, 1), "a new disk to boot", 200)
    eventually(lambda: "HYPERNOVA-GUEST ANEW" in node.console(uid), "the new user data to be run")
    last = [line for line in node.console(uid).splitlines() if "HYPERNOVA-GUEST READY" in line][-1]
    assert f" ip={address} " in last
    assert " keys=0 " in last

    await do(node, "InjectNMI", "nmi", "NMIInjected")

    async def panicked() -> bool:
        """As it does on an NMI."""
        obj = await node.get("web-1")
        return obj is not None and obj["status"].get("restartCount", 0) == 1

    await eventually_async(panicked, "the guest to end by itself and be started again")
