"""The kernel refuses memory that the Hypervisor counts as free: who needs it is told, and comes in when it is there."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.agents import BootImage, Node

_MARGIN = 256 << 20


@contextmanager
def a_limit_on_memory(node: Node) -> Iterator[None]:
    """For the time of the block, QEMUs that are started can have little more address space than libvirtd itself has."""
    daemon = node.host.service("libvirtd")
    assert daemon is not None
    peak = re.search(r"VmPeak:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
    assert peak is not None
    limit(daemon.pid, str((int(peak[1]) << 10) + _MARGIN))
    try:
        yield
    finally:
        limit(daemon.pid, "unlimited")


def limit(pid: int, size: str) -> None:
    """Of a process and those that it starts, which may raise it again."""
    subprocess.run(["prlimit", f"--pid={pid}", f"--as={size}:unlimited"], check=True, timeout=10)


async def test_a_guest_without_memory_is_told_harms_nobody_else_and_comes_in_when_there_is_some(
    own_node: Node, boot_image: BootImage
) -> None:
    node = own_node
    with a_limit_on_memory(node):
        small = (await node.create("small", boot_image))["metadata"]["uid"]
        large = (await node.create("large", boot_image, memory="4Gi"))["metadata"]["uid"]
        await node.shows("small", "Running", "Running")
        await node.shows("large", "Failed", "OutOfMemory", message="free memory on the node")
        (pid,) = node.qemus(small)
        assert node.qemus(large) == []
    await node.shows("large", "Running", "Running", seconds=90)
    assert node.qemus(small) == [pid]
    for name in ("small", "large"):
        await node.edit(name, terminationGracePeriodSeconds=0)
        await node.delete(name)
        await node.gone(name)
