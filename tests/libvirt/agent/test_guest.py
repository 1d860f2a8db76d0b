"""A Linux guest sees what its Instance says: name, address, keys, user data; and minds its power button."""

import pytest

from hack.guest import Guest
from support.agents import BootImage, Node
from support.image_server import ImageServer
from support.waiting import eventually

USER_DATA = "#!/bin/sh\necho HYPERNOVA-GUEST USERDATA >/dev/console\n"


@pytest.fixture
def linux(image_server: ImageServer, guest: Guest) -> BootImage:
    """Linux, from a qcow2."""
    return BootImage(image_server.add("linux.qcow2", guest.qcow2), guest.sha256, format="qcow2", name="linux")


async def test_a_linux_guest_is_who_its_instance_says_and_stops_when_asked(node: Node, linux: BootImage) -> None:
    created = await node.create("web-1", linux, memory="96Mi", disk="1Gi", userData={"inline": USER_DATA})
    uid, address = created["metadata"]["uid"], created["status"]["addresses"][0]["ip"]
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: "HYPERNOVA-GUEST READY" in node.console(uid), "the guest's READY", seconds=150)
    (ready,) = [line for line in node.console(uid).splitlines() if "HYPERNOVA-GUEST READY" in line]
    assert f"hostname=web-1 ip={address} keys=1 boots=1 " in ready
    eventually(lambda: "HYPERNOVA-GUEST USERDATA" in node.console(uid), "the user data to be run")

    await node.edit("web-1", powerState="Stopped")
    await node.shows("web-1", "Stopped", "Stopped")
    assert "POWEROFF" in node.console(uid), "it was not asked, but its plug pulled"
    await node.edit("web-1", powerState="Running")
    await node.shows("web-1", "Running", "Running")
    eventually(lambda: "boots=2 " in node.console(uid), "the same disk to boot again", seconds=150)
