"""What is done to a Linux guest while it runs, as it sees it: suspended, resized, its cards and cables changed."""

import re
import time

import pytest

from hack.guest import Guest
from hack.stack import POOL
from hypernova_agent import names
from hypernova_agent.reconcile import INSTANCES
from hypernova_agent.xml.live import agent_connected
from hypernova_kube.resources import Object
from support.agents import BootImage, Node
from support.image_server import ImageServer
from support.inside import Inside
from support.waiting import eventually, eventually_async

MIB = 1 << 20
SMALL = {"vcpus": 1, "memory": "2Gi", "rootDisk": "1Gi"}
"""Smaller guests have no room for more memory."""


@pytest.fixture
async def inside(node: Node, image_server: ImageServer, guest: Guest) -> Inside:
    """web-1, a Linux guest that runs and whose agent answers."""
    image = BootImage(image_server.add("linux.qcow2", guest.qcow2), guest.sha256, format="qcow2", name="linux")
    uid = (await node.create("web-1", image, flavor=SMALL))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    await eventually_async(lambda: "HYPERNOVA-GUEST READY" in node.console(uid), "the guest's READY", 150)

    def answers() -> bool:
        return agent_connected(node.host.run("virsh", "dumpxml", uid).stdout)

    await eventually_async(answers, "the guest's agent", 60)
    return Inside(node.host, uid)


async def granted(node: Node, flavor: Object) -> None:
    """What the operator writes when the Instance's flavor has been changed."""
    status = {"resize": {"flavor": flavor}}
    await node.client.patch(INSTANCES, "web-1", {"status": status}, node.namespace, subresource="status")


async def says(node: Node, type_: str, reason: str) -> Object:
    """The condition, once it has the reason."""

    async def look() -> Object | None:
        conditions = (await node.get("web-1") or {})["status"]["conditions"]
        return next((each for each in conditions if (each["type"], each["reason"]) == (type_, reason)), None)

    return await eventually_async(look, f"{type_}: {reason}", 60)


async def in_force(node: Node, flavor: str) -> list[Object]:
    """Wait until the Instance has it; the conditions then."""

    async def look() -> Object | None:
        status = (await node.get("web-1") or {})["status"]
        return status if "resize" not in status and status["flavor"]["name"] == flavor else None

    return list((await eventually_async(look, f"{flavor} to be in force", 60))["conditions"])


async def sees(inside: Inside, script: str, answer: str) -> None:
    """Wait until a script in the guest prints it."""

    async def look() -> bool:
        return (await inside.sh(script)).split() == answer.split()

    await eventually_async(look, f"{script} to print {answer}", 60)


async def test_a_guest_grows_while_it_runs_and_waits_for_a_start_where_it_cannot(node: Node, inside: Inside) -> None:
    memory = "awk '/MemTotal/ {print int($2 / 1024 / 16)}' /proc/meminfo"
    before = int(await inside.sh(memory))
    await granted(node, SMALL | {"name": "m1.medium", "memory": "2304Mi", "rootDisk": "1100Mi"})
    await sees(inside, "cat /sys/block/vda/size", str(1100 * MIB // 512))
    await sees(inside, memory, str(before + 256 // 16))
    assert all(each["type"] != "RestartRequired" for each in await in_force(node, "m1.medium"))

    # QEMU's emulation dies of a CPU that is plugged in.
    (pid,) = node.qemus(inside.uid)
    await granted(node, SMALL | {"name": "m1.large", "vcpus": 2, "memory": "2304Mi", "rootDisk": "1200Mi"})
    await sees(inside, "cat /sys/block/vda/size", str(1200 * MIB // 512))
    required = await says(node, "RestartRequired", "FlavorChanged")
    assert required["message"] == "with its next start the guest gets 2 vCPUs: reboot the Instance when it suits"
    assert await inside.sh("nproc") == "1\n"
    assert node.qemus(inside.uid) == [pid]
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped", seconds=90)
    await in_force(node, "m1.large")


async def test_cards_and_cables_are_plugged_while_the_guest_runs(node: Node, inside: Inside) -> None:
    first = (await node.get("web-1") or {})["status"]["addresses"]
    second = {"network": "default", "ip": "10.60.0.249", "mac": "52:54:00:00:ff:01"}
    carriers = "cat /sys/class/net/eth*/carrier 2>/dev/null"
    await sees(inside, carriers, "1")
    await node.edit("web-1", networks=[{"name": "default", "linkState": "Down"}])
    await sees(inside, carriers, "0")

    # In this order, as the operator does: an address that no card asks for is taken away again.
    await node.edit("web-1", networks=[{"name": "default"}, {"name": "default"}])
    patch = {"status": {"addresses": [*first, second]}}
    await node.client.patch(INSTANCES, "web-1", patch, node.namespace, subresource="status")
    await sees(inside, carriers, "1 1")
    await sees(inside, "ip -o -4 address show eth1 | awk '{print $4}'", f"{second['ip']}/16")
    assert sorted(node.reservations()) == sorted([first[0]["mac"], second["mac"]])

    await node.edit("web-1", networks=[{"name": "default"}])
    await sees(inside, carriers, "1")
    eventually(lambda: node.reservations() == [first[0]["mac"]], "the second card's address to be given back")

    async def trimmed() -> bool:
        return (await node.get("web-1") or {})["status"]["addresses"] == first

    await eventually_async(trimmed, "the second card's address to be gone")


async def test_a_suspended_guest_writes_on_where_it_was_and_knows_what_time_it_is(node: Node, inside: Inside) -> None:
    boot = await inside.sh("cat /proc/sys/kernel/random/boot_id")
    await inside.sh("(exec 3>>/data/note; while sleep 0.2; do echo tick >&3; done) >/dev/null 2>&1 &")

    async def ticks() -> int:
        return int(await inside.sh("grep -c tick /data/note || true"))

    await eventually_async(ticks, "the guest to write")
    await node.edit("web-1", powerState="Suspended")
    await node.shows("web-1", "Suspended", "Suspended", seconds=90)
    assert node.qemus(inside.uid) == []
    assert (node.host.path(POOL) / names.root_disk(inside.uid)).exists()
    since = time.monotonic()
    await eventually_async(lambda: time.monotonic() - since > 4, "the world's time to pass")
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running", seconds=90)

    async def right() -> bool:
        return abs(await inside.clock() - time.time()) < 3

    await eventually_async(right, "the guest's clock to be right")
    assert await inside.sh("cat /proc/sys/kernel/random/boot_id") == boot
    assert not re.search(r"boots=2 ", node.console(inside.uid))
    before = await ticks()

    async def more() -> bool:
        return await ticks() > before

    await eventually_async(more, "the guest to write on")
