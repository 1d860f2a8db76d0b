"""An Instance's life on a real host, with a real agent and API server."""

from support.agents import BootImage, Node, ready_of, writes
from support.waiting import eventually


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
