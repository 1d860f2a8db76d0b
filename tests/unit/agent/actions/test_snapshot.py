"""Making an image of a disk: the steps, what fails, and a crash or loss at every single call."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from hypernova_agent import names
from hypernova_agent.actions import snapshot
from hypernova_agent.actions.report import Done, Failed, Result
from hypernova_agent.errors import ImageDownloadFailed
from hypernova_agent.host import HostFault
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import CachedImage, ImageStore
from support.guests import GIB, UID, a_bound_image
from support.machine import FACTS, Machine, MemoryVolume
from support.memory_host import MemoryHost, lost_at
from support.qcow2 import header

ACTION = "5f0c1b9e-0000-4000-8000-000000000001"
DISK = names.root_disk(UID)
COPY = names.snapshot(ACTION)
CONTENT = b"what the guest wrote" * 100_000


class Taking:
    """A snapshot of one disk, taken as often as it takes."""

    def __init__(self, host: MemoryHost, store: ImageStore) -> None:
        self.host = host
        self.store = store
        self.told: list[tuple[str, float]] = []

    async def take(self) -> Result:
        def tell(step: str, part: float) -> None:
            self.told.append((step, part))

        return await snapshot.take(self.host, self.store, ACTION, disk=DISK, uid=UID, tell=tell)

    @property
    def pool(self) -> dict[str, MemoryVolume]:
        return self.host.machine.volumes


@asynccontextmanager
async def a_disk(machine: Machine | None = None) -> AsyncIterator[Taking]:
    host = MemoryHost(machine or Machine(seconds=0.0))
    host.machine.volumes.setdefault(DISK, MemoryVolume(CONTENT, capacity=GIB))
    await host.connect(lambda uid: None, lambda why: None)
    async with new_session() as session:
        store = ImageStore(host, session)
        await store.clean()
        yield Taking(host, store)
        await store.close()


def whole(taking: Taking, result: Result) -> str:
    """The digest of a snapshot that is complete, and nothing beside it is there."""
    assert isinstance(result, Done)
    sha256 = str(result.output["snapshot"]["sha256"])
    assert result.output["snapshot"] == {"sha256": sha256, "format": "qcow2", "size": "1Gi"}
    assert taking.pool.keys() == {DISK, COPY, names.image_marker(sha256)}
    assert hashlib.sha256(taking.pool[COPY].content).hexdigest() == sha256
    return sha256


async def test_a_snapshot_is_an_image_of_the_store_under_its_digest_where_it_lies() -> None:
    async with a_disk() as taking:
        sha256 = whole(taking, await taking.take())
        assert taking.pool[COPY].content == header(size=GIB) + CONTENT
        assert await taking.store.find(sha256) == CachedImage(COPY, "qcow2", GIB)
        made_here = a_bound_image("mine", sha256=sha256, url=None, node_name="node-a")
        assert await taking.store.ensure(made_here, GIB) == CachedImage(COPY, "qcow2", GIB)


async def test_its_steps_and_progress_are_told_and_never_go_back() -> None:
    async with a_disk() as taking:
        await taking.take()
        parts = [part for _, part in taking.told]
        assert parts == sorted(parts)
        assert (parts[0], parts[-1]) == (0.0, 1.0)
        assert list(dict.fromkeys(step for step, _ in taking.told)) == ["CopyDisk", "ComputeChecksum"]


async def test_a_snapshot_taken_again_is_the_same_one() -> None:
    async with a_disk() as taking:
        first = await taking.take()
        taking.pool[DISK].content = b"changed since"
        assert await taking.take() == first


async def test_two_snapshots_of_the_same_content_are_one_image() -> None:
    async with a_disk() as taking:
        sha256 = whole(taking, await taking.take())
        again = await snapshot.take(
            taking.host, taking.store, "another", disk=DISK, uid=UID, tell=lambda step, part: None
        )
        assert whole(taking, again) == sha256


async def test_what_would_fill_the_pool_is_not_begun() -> None:
    machine = Machine(facts=replace(FACTS, disk=3 * len(CONTENT)))
    machine.volumes[DISK] = MemoryVolume(capacity=GIB, backing="image-a")
    machine.volumes["image-a"] = MemoryVolume(b"x" * 2 * len(CONTENT))
    async with a_disk(machine) as taking:
        result = await taking.take()
        assert isinstance(result, Failed)
        assert result.reason == "PoolFull"
        assert "but only 1.9 MiB are free" in result.message
        assert COPY not in taking.pool


@pytest.mark.parametrize("call", ["copy_volume", "read", "upload"])
async def test_what_the_host_refuses_fails_the_snapshot_and_leaves_nothing(call: str) -> None:
    async with a_disk() as taking:
        taking.host.machine.fails.add(call)
        assert await taking.take() == Failed("HostError", f"internal error: {call} does not work today")
        assert taking.pool.keys() == {DISK}


async def test_a_copy_that_names_another_file_is_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_disk() as taking:
        original = taking.host.copy_volume

        async def forged(name: str, target: str, **rest: object) -> None:
            await original(name, target, uid=UID)
            taking.pool[target].content = header(backing_offset=512, backing_size=9)

        monkeypatch.setattr(taking.host, "copy_volume", forged)
        result = await taking.take()
        assert isinstance(result, Failed)
        assert result.reason == "ImageHasBackingFile"
        assert taking.pool.keys() == {DISK}


async def _calls_of_one() -> int:
    async with a_disk() as taking:
        calls = lost_at(taking.host, -1, after=False)
        await taking.take()
        return len(calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_the_host_lost_at_any_call_is_no_loss(after: bool) -> None:
    for number in range(await _calls_of_one()):
        async with a_disk() as taking:
            machine = taking.host.machine
            lost_at(taking.host, number, after=after)
            with suppress(HostFault):
                await taking.take()
            machine.answers = True
        async with a_disk(machine) as again:
            whole(again, await again.take())


async def test_a_snapshot_given_up_at_any_moment_leaves_nothing_or_a_whole_image() -> None:
    ended = False
    moment = 0
    while not ended:
        moment += 1
        async with a_disk() as taking:
            task = asyncio.create_task(taking.take())
            for _ in range(moment):
                await asyncio.sleep(0)
            ended = task.done()
            task.cancel()
            await asyncio.wait({task})
            left = taking.pool.keys() - {DISK}
            if left:
                assert COPY in left
                assert await taking.store.digest_of(COPY) is not None
    assert moment > 20


async def test_an_agent_that_starts_clears_away_what_nobody_finishes_and_keeps_what_is_whole() -> None:
    async with a_disk() as taking:
        sha256 = whole(taking, await taking.take())
        taking.pool["snapshot-cut-short.qcow2"] = MemoryVolume(b"half")
        taking.pool["snapshot-lain-on.qcow2"] = MemoryVolume(b"its marker was lost")
        taking.pool["other.root.qcow2"] = MemoryVolume(backing="snapshot-lain-on.qcow2")
        await taking.store.clean()
        assert taking.pool.keys() == {
            *(DISK, COPY, names.image_marker(sha256)),
            *("snapshot-lain-on.qcow2", "other.root.qcow2"),
        }


async def test_a_snapshot_that_has_gone_from_its_node_is_missed_in_words() -> None:
    async with a_disk() as taking:
        sha256 = whole(taking, await taking.take())
        del taking.pool[COPY]
        assert await taking.store.find(sha256) is None
        with pytest.raises(ImageDownloadFailed, match="only node node-a has this image, as a snapshot was made there"):
            await taking.store.ensure(a_bound_image(sha256=sha256, url=None, node_name="node-a"), GIB)
