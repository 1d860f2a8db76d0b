"""A guest that ends by itself: the truth is told at once, and what follows is as its restartPolicy says."""

import hashlib
import struct
from contextlib import AsyncExitStack

import pytest

from hack.guest import Guest
from support.agents import BootImage, Node, ready_of
from support.image_server import ImageServer
from support.waiting import eventually
from support.witness import Witness, witness

POWERS_OFF = (0x604, 0x2000)
PANICS = (0x505, 1)
RESETS = (0x64, 0xFE)
"""A port of the machine, and what is written to it."""

PROMPT_SECONDS = 15.0
"""From an end to the status that tells it: 2 s are promised and far less is seen, but on an idle machine."""


def ending(image_server: ImageServer, guest: Guest, end: tuple[int, int]) -> BootImage:
    """A guest that ends so, a second after it has begun."""
    sector = bytearray(guest.end_sector.read_bytes())
    struct.pack_into("<HH", sector, 506, *end)
    content = bytes(sector)
    return BootImage(image_server.add("end.raw", content), hashlib.sha256(content).hexdigest())


def told_after(seen: Witness, reason: str) -> float:
    """Seconds from the guest's first end to the status that first tells it."""
    sighting = seen.says("Stopped", reason)
    assert sighting is not None
    return sighting.at - seen.ends[0]


@pytest.mark.parametrize(
    ("end", "reasons"),
    [
        (POWERS_OFF, {"Always": "CrashLoopBackOff", "OnFailure": "Completed", "Never": "Completed"}),
        (PANICS, {"Always": "CrashLoopBackOff", "OnFailure": "CrashLoopBackOff", "Never": "Failed"}),
    ],
    ids=["powers itself off", "panics"],
)
async def test_a_guest_that_ends_is_told_of_at_once_and_started_again_as_its_policy_says(
    node: Node, image_server: ImageServer, guest: Guest, end: tuple[int, int], reasons: dict[str, str]
) -> None:
    image = ending(image_server, guest, end)
    uids: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        seen: dict[str, Witness] = {}
        for policy in reasons:
            name = policy.lower()
            uid = uids[policy] = (await node.create(name, image, restartPolicy=policy))["metadata"]["uid"]
            watching = witness(node.client, node.namespace, name, lambda uid=uid: node.qemus(uid))
            seen[policy] = await stack.enter_async_context(watching)
        for policy, reason in reasons.items():
            told = await seen[policy].waits_for("Stopped", reason)
            first = "GuestStopped" if reason == "CrashLoopBackOff" else reason
            delay = told_after(seen[policy], first)
            print(f"restartPolicy {policy}: {first} told {delay * 1000:.0f} ms after the guest's end")
            assert delay < PROMPT_SECONDS
            ready = ready_of(told.obj)
            assert ready["status"] == "False"
            if reason == "CrashLoopBackOff":
                assert "for the 2nd time in a row; it is started again at " in ready["message"]
            else:
                assert f"restartPolicy {policy} leaves it so" in ready["message"]
    for policy, reason in reasons.items():
        if reason != "CrashLoopBackOff":
            assert node.qemus(uids[policy]) == []
            assert node.console(uids[policy]).count("HYPERNOVA-GUEST ENDS") == 1, "it was started again"


async def test_a_guest_that_reboots_itself_is_the_same_process_and_nothing_to_tell(
    node: Node, image_server: ImageServer, guest: Guest
) -> None:
    created = await node.create("web-1", ending(image_server, guest, RESETS), restartPolicy="Never")
    uid = created["metadata"]["uid"]
    before = await node.shows("web-1", "Running", "Running")
    (pid,) = node.qemus(uid)
    eventually(lambda: node.console(uid).count("HYPERNOVA-GUEST ENDS") > 2, "the third boot")
    assert node.qemus(uid) == [pid]
    assert await node.get("web-1") == before
