"""The kernel has no inotify instances left, as where many containers watch files: nothing of ours needs any."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from support.agents import BootImage, Node


@contextmanager
def none_left() -> Iterator[None]:
    """For the time of the block, this user has all the instances that the kernel allows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as held:
        while (descriptor := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
            held.callback(os.close, descriptor)
        assert ctypes.get_errno() == errno.EMFILE
        yield


async def test_network_agent_and_guests_start_without_one(own_node: Node, boot_image: BootImage) -> None:
    node = own_node
    before = (await node.create("before", boot_image))["metadata"]["uid"]
    await node.shows("before", "Running", "Running")
    (pid,) = node.qemus(before)
    with none_left():
        node.host.kill_libvirtd()
        node.agent.stop(kill=True)
        node.host.start_libvirtd()
        node.host.run("virsh", "net-destroy", "hypernova-default")
        await node.start()
        late = (await node.create("late", boot_image))["metadata"]["uid"]
        await node.shows("late", "Running", "Running")
        assert node.host.run("virsh", "net-list", "--name").stdout.split() == ["hypernova-default"]
    assert node.qemus(before) == [pid]
    assert len(node.qemus(late)) == 1
