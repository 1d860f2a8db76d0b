"""An Instance's life on a real host, with a real agent and API server. The operator's part is done by hand."""

import asyncio
import re

from hack.devcluster.install import NAMESPACE
from hypernova_agent.registration import HYPERVISORS
from hypernova_kube.resources import LEASES
from support.agents import BootImage, Node, ready_of, writes
from support.waiting import eventually, eventually_async


async def test_an_instance_runs_after_one_write_of_the_agent_s(node: Node, boot_image: BootImage) -> None:
    before = writes(node)
    bound = await node.create("web-1", boot_image)
    obj = await node.shows("web-1", "Running", "Running")
    assert ready_of(obj)["status"] == "True"
    assert obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
    uid = bound["metadata"]["uid"]
    assert len(node.qemus(uid)) == 1
    eventually(lambda: "HYPERNOVA-GUEST" in node.console(uid), "the guest's first line")
    assert writes(node) - before == 1


async def test_a_guest_is_stopped_and_started_as_its_instance_says(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image, terminationGracePeriodSeconds=2))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Running", "Stopping", message="the plug is pulled at")
    await node.shows("web-1", "Stopped", "Stopped")
    assert node.qemus(uid) == []
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    assert len(node.qemus(uid)) == 1


async def test_a_deleted_instance_leaves_nothing_and_its_name_can_be_used_again(
    node: Node, boot_image: BootImage
) -> None:
    for _ in range(2):
        created = await node.create("web-1", boot_image, terminationGracePeriodSeconds=0)
        uid = created["metadata"]["uid"]
        await node.shows("web-1", "Running", "Running")
        assert len(node.volumes(uid)) == 3
        assert created["status"]["addresses"][0]["mac"] in node.reservations()
        await node.delete("web-1")
        await node.gone("web-1")
        assert node.qemus(uid) == []
        assert uid not in node.domains()
        assert node.volumes(uid) == []
        assert created["status"]["addresses"][0]["mac"] not in node.reservations()


async def test_deletion_gives_the_guest_its_grace(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image, terminationGracePeriodSeconds=3))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    await node.delete("web-1")
    await node.shows("web-1", "Deleting", "Stopping")
    assert len(node.qemus(uid)) == 1
    await node.gone("web-1")
    assert node.volumes(uid) == []


async def test_an_agent_killed_while_it_builds_is_no_loss(node: Node, boot_image: BootImage) -> None:
    names = [f"web-{number}" for number in range(6)]
    uids = [(await node.create(name, boot_image))["metadata"]["uid"] for name in names]
    eventually(lambda: node.domains().strip(), "the first domain")
    node.agent.stop(kill=True)
    running = {uid: node.qemus(uid) for uid in uids}
    node.agent.start()
    for name, uid in zip(names, uids, strict=True):
        await node.shows(name, "Running", "Running")
        (pid,) = node.qemus(uid)
        assert running[uid] in ([], [pid]), "a guest was started again"
        assert len(node.volumes(uid)) == 3
    assert len(node.domains().split()) == len(uids)


async def test_an_agent_killed_while_it_tears_down_is_no_loss(node: Node, boot_image: BootImage) -> None:
    names = [f"web-{number}" for number in range(6)]
    for name in names:
        await node.create(name, boot_image, terminationGracePeriodSeconds=0)
    for name in names:
        await node.shows(name, "Running", "Running")
    await asyncio.gather(*(node.delete(name) for name in names))
    eventually(lambda: len(node.domains().split()) < len(names), "the first to be gone")
    node.agent.stop(kill=True)
    node.agent.start()
    for name in names:
        await node.gone(name)
    assert node.domains().split() == []
    assert [name for name in node.volumes() if not name.startswith("image-")] == []


async def test_a_restarted_agent_adopts_what_runs_without_a_write(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    before = await node.shows("web-1", "Running", "Running")
    (pid,) = node.qemus(uid)
    node.agent.stop()
    assert node.qemus(uid) == [pid]
    node.agent.start()
    await node.create("web-2", boot_image)
    await node.shows("web-2", "Running", "Running")
    assert node.qemus(uid) == [pid]
    assert await node.get("web-1") == before


async def test_a_guest_that_is_killed_is_started_again_with_back_off(node: Node, boot_image: BootImage) -> None:
    uid = (await node.create("web-1", boot_image))["metadata"]["uid"]
    await node.shows("web-1", "Running", "Running")
    for reason, often in (
        ("GuestStopped", "by itself;"),
        ("CrashLoopBackOff", "for the 2nd time in a row;"),
        ("CrashLoopBackOff", "for the 3rd time in a row;"),
    ):
        (pid,) = node.qemus(uid)
        node.kill_guest(uid)
        obj = await node.shows("web-1", "Stopped", reason, message=often)
        assert re.search(r"started again at \d\d:\d\d:\d\dZ$", ready_of(obj)["message"])
        await node.shows("web-1", "Running", "Running")
        assert node.qemus(uid) not in ([], [pid])
    assert node.agent.metric("hypernova_agent_guest_ends_total") == 3


async def test_what_libvirt_refuses_is_shown_and_tried_again_and_others_go_on(
    node: Node, boot_image: BootImage
) -> None:
    created = await node.create("web-1", boot_image, terminationGracePeriodSeconds=0, multicast=True)
    obj = await node.shows("web-1", "Failed", "HostError", message="multicast")
    message = ready_of(obj)["message"]
    assert re.search(r"; next try at \d\d:\d\d:\d\dZ$", message)
    assert len(message) < 300
    await node.create("web-2", boot_image)
    await node.shows("web-2", "Running", "Running")

    async def tried_again() -> bool:
        return ready_of(await node.get("web-1"))["message"] != message

    await eventually_async(tried_again, "the next try")
    await node.delete("web-1")
    await node.gone("web-1")
    assert node.volumes(created["metadata"]["uid"]) == []


async def test_the_node_has_a_hypervisor_and_a_lease(node: Node) -> None:
    hypervisor = await node.hypervisor()
    assert hypervisor is not None
    assert ready_of(hypervisor)["status"] == "True"
    assert hypervisor["status"]["domainType"] == "qemu"
    assert hypervisor["status"]["capacity"]["vcpus"] >= 1
    assert hypervisor["spec"] == {"maintenance": False, "dedicatedCpus": "", "overcommit": {"cpu": 64}}
    lease = await node.client.get(LEASES, f"hypervisor-{node.name}", NAMESPACE)
    assert lease["spec"]["holderIdentity"] == node.name
    assert lease["spec"]["leaseDurationSeconds"] == 40
    assert lease["metadata"]["labels"] == {"compute.hypernova.dev/hypervisor": "true"}


async def test_more_than_the_host_has_is_refused_until_there_is_room(node: Node, boot_image: BootImage) -> None:
    await node.client.patch(HYPERVISORS, node.name, {"spec": {"overcommit": {"cpu": 1.0}}})
    hypervisor = await node.hypervisor()
    assert hypervisor is not None
    names = [f"web-{number}" for number in range(hypervisor["status"]["allocatable"]["vcpus"])]
    for name in names:
        await node.create(name, boot_image, terminationGracePeriodSeconds=0)
    for name in names:
        await node.shows(name, "Running", "Running")
    await node.create("late", boot_image)
    await node.shows("late", "Failed", "OutOfResources", message="this node lacks vCPUs (need 1, free 0)")
    await node.delete(names[0])
    await node.shows("late", "Running", "Running")
