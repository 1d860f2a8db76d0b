"""The API server of soaks keeps the promises that clients rely on, and its lines lose what they are told to lose."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hypernova_api.meta import FINALIZER
from hypernova_kube.client import WatchEvent
from hypernova_kube.errors import AlreadyExists, Conflict, Expired, NotFound, Unreachable
from hypernova_kube.resources import Key, Object, Resource
from support.builders import an_instance
from support.operators import INSTANCES
from support.soak_api import ApiServer, selector_of
from support.soak_client import Fate, Line, SoakClient
from support.soak_process import Process, as_processes, loop_clock
from support.virtual_time import virtual_time

WEB = Key("default", "web-1")
ALL = selector_of()


def a_server() -> ApiServer:
    return ApiServer(random.Random(0))


class Rig:
    """A client of a server, and what it is told."""

    def __init__(self, *fates: Fate) -> None:
        self.api = a_server()
        self.process = Process("client", "0")
        self.process.alive = True
        self.line = Line()
        left = list(fates)

        def fate(verb: str, resource: Resource) -> Fate | None:
            return left.pop(0) if left else None

        self.client = SoakClient(self.api, self.process, random.Random(0), line=self.line, fate=fate)
        self.events: list[WatchEvent] = []

    async def watch(self, fields: str = "", since: int = 1) -> None:
        async for event in self.client.watch(INSTANCES, resource_version=str(since), field_selector=fields):
            self.events.append(event)

    def told(self) -> list[tuple[str, str]]:
        return [(e.type, e.object["metadata"].get("name", "")) for e in self.events if e.type != "BOOKMARK"]


@asynccontextmanager
async def watching(rig: Rig, fields: str = "") -> AsyncIterator[None]:
    task = asyncio.create_task(rig.watch(fields))
    await asyncio.sleep(1)
    yield
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])


def bound(node: str) -> Object:
    return {"status": {"nodeName": node}}


@virtual_time
async def test_a_write_on_a_condition_that_no_longer_holds_is_a_conflict() -> None:
    api = a_server()
    read = api.create(INSTANCES, an_instance())
    api.patch(INSTANCES, WEB, {"spec": {"powerState": "Stopped"}}, "")
    stale = {"metadata": {"resourceVersion": read["metadata"]["resourceVersion"]}, **bound("node-a")}
    with pytest.raises(Conflict):
        api.patch(INSTANCES, WEB, stale, "status")
    with pytest.raises(Conflict):
        api.delete(INSTANCES, WEB, uid="another")
    with pytest.raises(AlreadyExists):
        api.create(INSTANCES, an_instance())


@virtual_time
async def test_a_generation_counts_what_users_ask_and_a_status_is_written_by_its_own_door() -> None:
    api = a_server()
    api.create(INSTANCES, an_instance(status={"phase": "Running"}))
    assert "status" not in api.get(INSTANCES, WEB)
    api.patch(INSTANCES, WEB, bound("node-a"), "status")
    api.patch(INSTANCES, WEB, {"status": {"nodeName": "node-b"}, "metadata": {"labels": {"a": "b"}}}, "")
    obj = api.get(INSTANCES, WEB)
    assert (obj["metadata"]["generation"], obj["status"]["nodeName"]) == (1, "node-a")
    api.patch(INSTANCES, WEB, {"spec": {"powerState": "Stopped"}, **bound("node-b")}, "")
    obj = api.get(INSTANCES, WEB)
    assert (obj["metadata"]["generation"], obj["status"]["nodeName"]) == (2, "node-a")


@virtual_time
async def test_an_object_goes_with_its_last_finalizer() -> None:
    api = a_server()
    api.create(INSTANCES, an_instance(finalizers=[FINALIZER]))
    api.delete(INSTANCES, WEB)
    assert "deletionTimestamp" in api.get(INSTANCES, WEB)["metadata"]
    api.patch(INSTANCES, WEB, {"metadata": {"finalizers": []}}, "")
    with pytest.raises(NotFound):
        api.get(INSTANCES, WEB)


@virtual_time
async def test_what_is_owned_goes_a_while_after_its_owner() -> None:
    api = a_server()
    owner = api.create(INSTANCES, an_instance())["metadata"]["uid"]
    other = an_instance("web-2")
    other["metadata"]["ownerReferences"] = [{"uid": owner}]
    api.create(INSTANCES, other)
    api.delete(INSTANCES, WEB)
    await asyncio.sleep(10)
    assert api.list(INSTANCES, ALL) == []


@virtual_time
async def test_a_watch_by_a_field_tells_of_what_comes_to_match_changes_and_leaves() -> None:
    rig = Rig()
    async with watching(rig, "status.nodeName=node-a"):
        rig.api.create(INSTANCES, an_instance())
        rig.api.patch(INSTANCES, WEB, bound("node-b"), "status")
        rig.api.patch(INSTANCES, WEB, bound("node-a"), "status")
        rig.api.patch(INSTANCES, WEB, bound("node-a"), "status")  # changes nothing
        rig.api.patch(INSTANCES, WEB, {"spec": {"powerState": "Stopped"}}, "")
        rig.api.patch(INSTANCES, WEB, bound("node-b"), "status")
    assert rig.told() == [("ADDED", "web-1"), ("MODIFIED", "web-1"), ("DELETED", "web-1")]


@virtual_time
async def test_a_watch_begins_where_it_is_asked_to_unless_that_is_forgotten() -> None:
    rig = Rig()
    first = int(rig.api.create(INSTANCES, an_instance("web-1"))["metadata"]["resourceVersion"])
    rig.api.create(INSTANCES, an_instance("web-2"))
    feed = rig.api.feed(INSTANCES, ALL, first)
    assert [event.object["metadata"]["name"] for event in feed.pending] == ["web-2"]
    rig.api.compact()
    with pytest.raises(Expired):
        await rig.watch(since=first)


@virtual_time
async def test_a_restored_backup_takes_back_what_came_after_it() -> None:
    rig = Rig()
    rig.api.create(INSTANCES, an_instance("web-1"))
    backup = rig.api.backup()
    last = rig.api.create(INSTANCES, an_instance("web-2"))
    rig.api.delete(INSTANCES, WEB)
    rig.api.restore(backup, Unreachable("the server has been started anew"))
    assert [obj["metadata"]["name"] for obj in rig.api.list(INSTANCES, ALL)] == ["web-1"]
    assert rig.api.version > int(last["metadata"]["resourceVersion"])
    with pytest.raises(Expired):
        await rig.watch(since=int(last["metadata"]["resourceVersion"]))


@pytest.mark.parametrize(
    ("fate", "error", "written"),
    [
        (Fate.LOST_BEFORE, Unreachable, False),
        (Fate.LOST_AFTER, Unreachable, True),
        (Fate.LATE, Unreachable, True),
        (Fate.SLOW, None, True),
        (Fate.KILLED_BEFORE, asyncio.CancelledError, False),
        (Fate.KILLED_AFTER, asyncio.CancelledError, True),
    ],
)
def test_a_request_may_be_lost_before_and_after_it_is_done(
    fate: Fate, error: type[BaseException] | None, written: bool
) -> None:
    @virtual_time
    async def try_it() -> None:
        with as_processes():
            rig = Rig(fate)
            results: list[Any] = []

            async def main() -> None:
                results.append(
                    await asyncio.gather(rig.client.create(INSTANCES, an_instance()), return_exceptions=True)
                )

            rig.process.start(main)
            await asyncio.sleep(100)
            assert bool(rig.api.list(INSTANCES, ALL)) is written
            if error is asyncio.CancelledError:
                assert not rig.process.alive
            elif error is not None:
                assert isinstance(results[0][0], error)

    try_it()


@virtual_time
async def test_a_cut_line_tells_nothing_and_delivers_late_what_it_kept() -> None:
    rig = Rig()
    async with watching(rig):
        rig.line.cut(answers=True)
        began = loop_clock()
        with pytest.raises(Unreachable):
            await rig.client.create(INSTANCES, an_instance())
        assert loop_clock() - began <= 31
        assert rig.api.list(INSTANCES, ALL)
        assert rig.told() == []
        rig.line.mend()
    assert rig.told() == [("ADDED", "web-1")]


@virtual_time
async def test_a_dead_process_asks_for_nothing_more() -> None:
    with as_processes():
        rig = Rig()

        async def main() -> None:
            try:
                await asyncio.sleep(10)
            finally:
                await rig.client.create(INSTANCES, an_instance())

        rig.process.start(main)
        await asyncio.sleep(1)
        rig.process.kill()
        await rig.process.buried()
        assert rig.api.list(INSTANCES, ALL) == []
