"""A pool that is full or cannot be written: who needs it is told, others go on, and all is well when it is cured."""

from collections.abc import Iterator
from contextlib import contextmanager

from hack.stack import POOL
from support.agents import BootImage, Node

MIB = 1 << 20


@contextmanager
def a_small_pool(node: Node, size: int) -> Iterator[None]:
    """For the time of the block the host's pool is a file system of its own with so many bytes."""
    node.host.run("mkdir", "-p", POOL)
    node.host.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", POOL)
    try:
        yield
    finally:
        node.host.run("umount", "--lazy", POOL)


async def test_a_full_pool_is_said_harms_nobody_else_and_is_got_over(own_node: Node, boot_image: BootImage) -> None:
    node = own_node
    with a_small_pool(node, 8 * MIB):
        lives = (await node.create("lives", boot_image))["metadata"]["uid"]
        await node.shows("lives", "Running", "Running")
        (pid,) = node.qemus(lives)
        node.host.run("dd", "if=/dev/zero", f"of={POOL}/ballast", "bs=64k", check=False)
        await node.create("late", boot_image)
        await node.shows("late", "Failed", "PoolFull", message="free")
        assert node.qemus(lives) == [pid]
        node.host.run("rm", f"{POOL}/ballast")
        await node.shows("late", "Running", "Running", seconds=90)
        assert node.qemus(lives) == [pid]
        for name in ("lives", "late"):
            await node.edit(name, terminationGracePeriodSeconds=0)
            await node.delete(name)
            await node.gone(name)


async def test_a_pool_that_cannot_be_written_is_said_and_got_over(own_node: Node, boot_image: BootImage) -> None:
    node = own_node
    with a_small_pool(node, 8 * MIB):
        lives = (await node.create("lives", boot_image))["metadata"]["uid"]
        await node.shows("lives", "Running", "Running")
        (pid,) = node.qemus(lives)
        # QEMU holds files open for writing, which keeps a file system from being remounted read-only as a whole: a
        # bind mount over it is what the rest of the host then sees.
        node.host.run("mount", "--bind", POOL, POOL)
        node.host.run("mount", "-o", "remount,bind,ro", POOL)
        try:
            await node.create("late", boot_image)
            await node.shows("late", "Failed", "PoolReadOnly", message="writ")
        finally:
            node.host.run("umount", POOL)
        await node.shows("late", "Running", "Running", seconds=90)
        assert node.qemus(lives) == [pid]
        for name in ("lives", "late"):
            await node.edit(name, terminationGracePeriodSeconds=0)
            await node.delete(name)
            await node.gone(name)
