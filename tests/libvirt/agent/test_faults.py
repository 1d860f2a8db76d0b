"""libvirtd and API server go and come back: guests run on, the truth is told, and nothing is started twice."""

import os
import signal

from hypernova_kube.errors import ServerError, Unreachable
from hypernova_kube.resources import Object
from support.agents import BootImage, Node, ready_of
from support.waiting import eventually, eventually_async


async def hypervisor_says(node: Node, status: str, reason: str) -> None:
    async def look() -> bool:
        ready = ready_of(await node.hypervisor())
        return (ready.get("status"), ready.get("reason")) == (status, reason)

    await eventually_async(look, f"the Hypervisor to be Ready={status} {reason}")


async def test_a_killed_libvirtd_is_told_and_its_guests_are_adopted_as_they_run(
    own_node: Node, boot_image: BootImage
) -> None:
    node = own_node
    lives = (await node.create("lives", boot_image))["metadata"]["uid"]
    dies = (await node.create("dies", boot_image))["metadata"]["uid"]
    before = await node.shows("lives", "Running", "Running")
    await node.shows("dies", "Running", "Running")
    await hypervisor_says(node, "True", "LibvirtReady")
    (pid,), (dead,) = node.qemus(lives), node.qemus(dies)

    node.host.kill_libvirtd()
    await hypervisor_says(node, "False", "LibvirtUnreachable")
    os.kill(dead, signal.SIGKILL)
    late = (await node.create("late", boot_image))["metadata"]["uid"]
    node.host.start_libvirtd()

    await hypervisor_says(node, "True", "LibvirtReady")
    await node.shows("late", "Running", "Running")
    eventually(lambda: node.qemus(dies), "the guest that died meanwhile")
    await node.shows("dies", "Running", "Running")
    assert node.qemus(lives) == [pid]
    assert len(node.qemus(late)) == 1
    assert await node.get("lives") == before


async def test_a_hung_libvirtd_is_told_within_half_a_minute_and_got_over(own_node: Node, boot_image: BootImage) -> None:
    node = own_node
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    before = await node.shows("web-1", "Running", "Running")
    (pid,) = node.qemus(uid)
    node.host.pause_libvirtd()
    try:
        await hypervisor_says(node, "False", "LibvirtUnreachable")
    finally:
        node.host.resume_libvirtd()
    await hypervisor_says(node, "True", "LibvirtReady")
    assert node.qemus(uid) == [pid]
    assert await node.get("web-1") == before


async def test_an_api_server_that_is_away_costs_no_guest_its_life(broken_api_node: Node, boot_image: BootImage) -> None:
    node = broken_api_node
    stays = (await node.create("stays", boot_image))["metadata"]["uid"]
    dies = (await node.create("dies", boot_image))["metadata"]["uid"]
    before = await node.shows("stays", "Running", "Running")
    await node.shows("dies", "Running", "Running")
    (pid,), (dead,) = node.qemus(stays), node.qemus(dies)

    node.cluster.stop_apiserver(kill=True)
    os.kill(dead, signal.SIGKILL)
    eventually(lambda: node.qemus(dies) not in ([], [dead]), "the guest to be started again without an API server")
    node.cluster.start_apiserver()

    async def created() -> Object | None:
        try:
            return await node.create("late", boot_image)
        except (ServerError, Unreachable):
            return None  # its kinds are served some seconds after it is ready

    late = (await eventually_async(created, "the API server to take an Instance"))["metadata"]["uid"]
    await node.shows("late", "Running", "Running")
    await node.shows("dies", "Running", "Running")
    assert node.qemus(stays) == [pid]
    assert len(node.qemus(late)) == 1
    assert await node.get("stays") == before
