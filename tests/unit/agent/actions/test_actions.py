"""Actions of one Instance from admitted to done, in virtual time: what is done and written, refused and reset."""

import asyncio
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.actions.board import ACTIONS
from hypernova_agent.errors import ImageDownloadFailed
from hypernova_agent.host import DomainState
from hypernova_api.action import GuestInfo
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Key, Object, Resource
from support.acting import CACHED, INSTANCE, World, a_world, an_agent
from support.guests import a_bound_image
from support.reconciling import SlowStore
from support.virtual_time import virtual_time

NEW = a_bound_image("new")
HASH = "$6$salt$hash"
DELETED = "2026-11-21T10:00:00Z"


class Fetching(SlowStore):
    """Its pool needs no cleaning."""

    async def clean(self) -> None:
        pass


SPECS: dict[str, dict[str, Any]] = {
    "Rebuild": {"rebuild": {"userData": {"inline": "#new"}}},
    "Snapshot": {"snapshot": {"imageName": "copy"}},
    "SetPassword": {"setPassword": {"user": "root", "hash": HASH}},
}


@pytest.mark.parametrize(
    ("type_", "reason", "writes"),
    [
        ("Reboot", "Rebooted", 2),
        ("Rebuild", "Rebuilt", 2),
        ("Rescue", "Rescued", 2),
        ("Snapshot", "SnapshotTaken", 2),
        ("InjectNMI", "NMIInjected", 2),
        ("SetPassword", "PasswordSet", 2),
        ("GetGuestInfo", "GuestInfoRead", 2),
        ("GetConsoleLog", "ConsoleLogRead", 2),
        ("ResetState", "StateReset", 1),
    ],
)
def test_an_action_is_one_write_to_begin_and_one_to_end(type_: str, reason: str, writes: int) -> None:
    @virtual_time
    async def run() -> None:
        world = await a_world()
        async with an_agent(world) as agent:
            world.ask(type_, **SPECS.get(type_, {}))
            assert await world.done() == ("Succeeded", reason)
            await asyncio.sleep(100)
            assert world.api.writes["instanceactions"] - 1 == writes
            assert agent.events.warnings == []
            status = world.action()["status"]
            assert status["startTime"] <= status["completionTime"]
            assert all("completionTime" in step for step in status["steps"])

    run()


@virtual_time
async def test_a_reboot_is_one_power_on() -> None:
    world = await a_world()
    async with an_agent(world):
        uid = world.ask("Reboot")
        await world.done()
        assert (world.starts, world.guest.defined.boot) == (1, uid)
        await asyncio.sleep(100)
        assert world.starts == 1


@virtual_time
async def test_a_rebuild_gives_the_instance_its_image_and_its_guest_a_power_on() -> None:
    world = await a_world()
    async with an_agent(world):
        uid = world.ask("Rebuild", **SPECS["Rebuild"])
        assert await world.done() == ("Succeeded", "Rebuilt")
        status = world.instance()["status"]
        assert (status["build"], status["userData"], status["image"]["name"]) == (uid, "#new", CACHED.name)
        assert [step["name"] for step in world.action()["status"]["steps"]] == ["FetchImage", "Restart"]
        assert world.starts == 1


@virtual_time
async def test_a_guest_that_is_off_is_rebuilt_without_being_started() -> None:
    world = await a_world(powerState="Stopped")
    async with an_agent(world):
        world.ask("Rebuild")
        assert await world.done() == ("Succeeded", "Rebuilt")
        assert world.guest.starts == 0


@virtual_time
async def test_a_rescue_begins_and_ends() -> None:
    world = await a_world()
    async with an_agent(world):
        uid = world.ask("Rescue")
        assert await world.done() == ("Succeeded", "Rescued")
        assert world.instance()["status"]["rescue"]["action"] == uid
        world.ask("Rebuild", "act-2")
        assert await world.done("act-2") == ("Failed", "Rescued")
        world.ask("Unrescue", "act-3")
        assert await world.done("act-3") == ("Succeeded", "Unrescued")
        assert "rescue" not in world.instance()["status"]
        assert world.starts == 2


@virtual_time
async def test_an_image_that_cannot_be_had_fails_the_rebuild_before_anything_is_touched() -> None:
    world = await a_world()
    error = ImageDownloadFailed("no connection to images.example.com")
    async with an_agent(world, store=lambda host: Fetching(host, 3, error)) as agent:
        before = world.instance()
        world.ask("Rebuild", status={"rebuild": {"image": NEW.to_wire()}})
        assert await world.done() == ("Failed", "ImageDownloadFailed")
        assert world.message() == "no connection to images.example.com"
        assert world.instance() == before
        assert world.starts == 0
        await asyncio.sleep(1)
        assert agent.events.warnings == [("ImageDownloadFailed", "no connection to images.example.com")]


@virtual_time
async def test_the_progress_of_a_long_fetch_is_told_every_five_seconds_and_the_guest_runs_on() -> None:
    world = await a_world()
    async with an_agent(world, store=lambda host: Fetching(host, 21)):
        world.ask("Rescue", status={"rescueImage": NEW.to_wire()})
        seen = []
        for _ in range(4):
            await asyncio.sleep(5.1)
            seen.append(world.action()["status"].get("progress"))
            assert world.starts == 0
        assert seen == [23, 47, 71, 95]
        assert await world.done() == ("Succeeded", "Rescued")
        assert world.action()["status"]["progress"] == 100


@virtual_time
async def test_the_progress_of_a_snapshot_is_told_and_its_result_is_what_the_image_is_made_of() -> None:
    world = await a_world()
    world.machine.seconds = 4.0
    async with an_agent(world):
        uid = world.ask("Snapshot", **SPECS["Snapshot"])
        await asyncio.sleep(80)
        status = world.action()["status"]
        assert status["phase"] == "Running"
        assert 0 < status["progress"] < 100
        assert await world.done() == ("Succeeded", "SnapshotTaken")
        status = world.action()["status"]
        assert [step["name"] for step in status["steps"]] == ["CopyDisk", "ComputeChecksum"]
        assert status["snapshot"]["format"] == "qcow2"
        assert names.image_marker(status["snapshot"]["sha256"]) in world.machine.volumes
        assert names.snapshot(uid) in world.machine.volumes


@virtual_time
async def test_what_the_guest_tells_and_its_log_stand_in_the_status() -> None:
    world = await a_world()
    world.machine.guest_info = GuestInfo(hostname="web-1")
    async with an_agent(world):
        world.ask("GetGuestInfo")
        world.ask("GetConsoleLog", "act-2", getConsoleLog={"bytes": 4})
        await world.done("act-2")
        assert world.action()["status"]["guestInfo"]["hostname"] == "web-1"
        assert world.action("act-2")["status"]["consoleLog"] == "R A\n"


@virtual_time
async def test_actions_run_one_at_a_time_in_their_order_and_those_that_wait_say_so_once() -> None:
    world = await a_world()
    world.machine.seconds = 2.0
    async with an_agent(world):
        world.ask("Snapshot", "a", **SPECS["Snapshot"])
        world.ask("Reboot", "c", second=2)
        world.ask("GetConsoleLog", "b", second=1)
        await asyncio.sleep(20)
        assert [world.told(name) for name in "abc"] == [
            ("Running", "Running"),
            ("Pending", "Waiting"),
            ("Pending", "Waiting"),
        ]
        assert "waits until b is done" in world.message("c")
        waiting = world.action("c")
        await world.done("a")
        assert world.action("c") == waiting
        await world.done("c")
        ends = [world.action(name)["status"]["completionTime"] for name in "abc"]
        begins = [world.action(name)["status"]["startTime"] for name in "abc"]
        assert ends[0] <= begins[1] <= ends[1] <= begins[2]


@virtual_time
async def test_a_refused_action_lets_the_next_one_begin() -> None:
    world = await a_world()
    async with an_agent(world) as agent:
        world.ask("Unrescue", "a")
        world.ask("Reboot", "b", second=1)
        assert await world.done("b") == ("Succeeded", "Rebooted")
        assert world.told("a") == ("Failed", "NotRescued")
        assert agent.metrics.actions.labels("Unrescue", "NotRescued")._value.get() == 1


@virtual_time
async def test_what_hinders_a_power_on_is_said_and_it_goes_on_when_that_is_cured() -> None:
    world = await a_world()
    async with an_agent(world):
        world.machine.fails.add("start")
        world.ask("Reboot")
        await asyncio.sleep(10)
        assert world.told() == ("Running", "HostError")
        assert world.message() == "internal error: start does not work today"
        writes = world.api.writes["instanceactions"]
        await asyncio.sleep(100)
        assert world.api.writes["instanceactions"] == writes
        world.machine.fails.clear()
        assert await world.done() == ("Succeeded", "Rebooted")


@virtual_time
async def test_a_reset_waits_for_nobody_and_ends_what_runs() -> None:
    world = await a_world()
    world.machine.seconds = 3.0
    async with an_agent(world):
        uid = world.ask("Snapshot", "a", **SPECS["Snapshot"])
        world.ask("Reboot", "b", second=1)
        await asyncio.sleep(30)
        assert world.told("a") == ("Running", "Running")
        world.ask("ResetState", "c", second=2)
        assert await world.done("c") == ("Succeeded", "StateReset")
        assert world.told("a") == ("Failed", "Reset")
        assert names.snapshot(uid) not in world.machine.volumes
        assert await world.done("b") == ("Succeeded", "Rebooted")


@virtual_time
async def test_a_deleted_instance_fails_its_actions_and_leaves_nothing_of_them() -> None:
    world = await a_world()
    world.machine.seconds = 3.0
    async with an_agent(world):
        uid = world.ask("Snapshot", "a", **SPECS["Snapshot"])
        world.ask("Reboot", "b", second=1)
        await asyncio.sleep(30)
        world.edit(deletionTimestamp=DELETED, finalizers=["x"])
        await asyncio.sleep(30)
        assert [world.told(name) for name in "ab"] == [("Failed", "InstanceDeleted")] * 2
        assert names.snapshot(uid) not in world.machine.volumes


@virtual_time
async def test_an_action_whose_instance_has_gone_or_is_another_fails() -> None:
    world = await a_world()
    async with an_agent(world):
        world.ask("Reboot", "a", status={"instanceUID": "of-its-predecessor"})
        assert await world.done("a") == ("Failed", "InstanceDeleted")
        world.api.remove(ACTIONS, Key("shop", "a"))
        world.ask("Reboot", "b", instance="nobody", status={"instanceUID": "long-gone"})
        assert await world.done("b") == ("Failed", "InstanceDeleted")


@virtual_time
async def test_an_action_deleted_while_it_runs_leaves_nothing_and_lets_the_next_begin() -> None:
    world = await a_world()
    world.machine.seconds = 3.0
    async with an_agent(world):
        uid = world.ask("Snapshot", "a", **SPECS["Snapshot"])
        world.ask("Reboot", "b", second=1)
        await asyncio.sleep(30)
        world.api.remove(ACTIONS, Key("shop", "a"))
        assert await world.done("b") == ("Succeeded", "Rebooted")
        assert names.snapshot(uid) not in world.machine.volumes


@virtual_time
async def test_a_rebuild_or_rescue_deleted_in_its_midst_is_gone_through_with() -> None:
    for type_, volume in [("Rebuild", names.root_disk), ("Rescue", names.rescue_disk)]:
        world = await a_world()
        world.machine.obedient = False
        world.machine.seconds = 1.0
        async with an_agent(world):
            uid = world.ask(type_)
            while not {"build", "rescue"} & world.instance()["status"].keys():
                world.api.news.clear()
                await world.api.news.wait()
            world.api.remove(ACTIONS, Key("shop", "act-1"))
            await asyncio.sleep(200)
            assert world.starts == 1
            assert world.guest.running is not None
            assert world.guest.running.volumes[0] == volume(world.uid, uid)
            assert world.instance()["status"]["phase"] == ("Rescued" if type_ == "Rescue" else "Running")


@virtual_time
async def test_a_result_that_the_api_server_refuses_fails_the_action_and_not_its_instance() -> None:
    world = await a_world()
    put = world.api.put

    def strict(resource: Resource, obj: Object) -> Object:
        if "consoleLog" in obj["status"]:
            raise Invalid(422, "Invalid", "the log is too long")
        return put(resource, obj)

    world.api.put = strict
    async with an_agent(world):
        world.ask("GetConsoleLog", "a")
        world.ask("Reboot", "b", second=1)
        assert await world.done("a") == ("Failed", "ApiServerRefused")
        assert "the log is too long" in world.message("a")
        assert await world.done("b") == ("Succeeded", "Rebooted")


@virtual_time
async def test_an_action_deleted_before_it_runs_is_called_off() -> None:
    world = await a_world()
    world.machine.seconds = 3.0
    async with an_agent(world):
        world.ask("Snapshot", "a", **SPECS["Snapshot"])
        world.ask("Reboot", "b", second=1)
        await asyncio.sleep(30)
        world.api.remove(ACTIONS, Key("shop", "b"))
        await world.done("a")
        await asyncio.sleep(100)
        assert world.starts == 0


@virtual_time
async def test_somebody_else_s_write_to_an_action_that_runs_does_no_harm() -> None:
    world = await a_world()
    world.machine.seconds = 3.0
    async with an_agent(world) as agent:
        world.ask("Snapshot", **SPECS["Snapshot"])
        await asyncio.sleep(20)
        watch, world.api.watcher = world.api.watcher, lambda resource, key, obj: None
        obj = world.action()
        obj["metadata"]["labels"] = {"seen": "late"}
        world.api.put(ACTIONS, obj)
        agent.wake(INSTANCE)
        await asyncio.sleep(200)
        world.api.watcher = watch
        assert world.told() == ("Succeeded", "SnapshotTaken")
        assert world.action()["metadata"]["labels"] == {"seen": "late"}


@virtual_time
async def test_a_host_lost_in_the_midst_is_no_end_but_of_what_may_have_happened() -> None:
    for type_, expected in [("Snapshot", ("Succeeded", "SnapshotTaken")), ("InjectNMI", ("Failed", "Interrupted"))]:
        world = await a_world()
        world.machine.seconds = 3.0
        async with an_agent(world) as agent:
            world.ask(type_, **SPECS.get(type_, {}))
            await world.begun()
            await asyncio.sleep(1)
            agent.host.lose()
            await asyncio.sleep(10)
            assert world.told() == ("Running", "Running")
            world.machine.answers = True
            await agent.reconnect()
            assert await world.done() == expected
            assert world.guest.nmis <= 1


ALL = ("Reboot", "Rebuild", "Rescue", "Snapshot", "InjectNMI", "SetPassword", "GetGuestInfo", "GetConsoleLog")


async def calls_of(type_: str, world: World) -> int:
    """To API server and host, in one life of an agent that does an action."""
    async with an_agent(world) as agent:
        world.ask(type_, **SPECS.get(type_, {}))
        await world.done()
        return len(agent.calls)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("type_", ALL)
def test_an_agent_killed_at_any_call_does_it_once_or_says_that_it_does_not_know(type_: str, after: bool) -> None:
    @virtual_time
    async def run() -> None:
        outcomes = set()
        built = await a_world()
        for number in range(await calls_of(type_, built.twin())):
            world = built.twin()
            async with an_agent(world, killed_at=number, after=after) as agent:
                uid = world.ask(type_, **SPECS.get(type_, {}))
                await asyncio.sleep(20)
                assert len(agent.calls) > number
            async with an_agent(world):
                outcomes.add(await world.done())
                await asyncio.sleep(100)
            check(world, uid, type_)
        assert outcomes >= {("Succeeded", DONE[type_])}
        assert outcomes <= {("Succeeded", DONE[type_]), ("Failed", "Interrupted")}
        assert (("Failed", "Interrupted") in outcomes) == (type_ == "InjectNMI")

    run()


DONE = {
    "Reboot": "Rebooted",
    "Rebuild": "Rebuilt",
    "Rescue": "Rescued",
    "Snapshot": "SnapshotTaken",
    "InjectNMI": "NMIInjected",
    "SetPassword": "PasswordSet",
    "GetGuestInfo": "GuestInfoRead",
    "GetConsoleLog": "ConsoleLogRead",
}


def check(world: World, uid: str, type_: str) -> None:
    """What must be true after any crash."""
    status, guest = world.action()["status"], world.guest
    assert world.starts == (type_ in {"Reboot", "Rebuild", "Rescue"})
    assert guest.state is DomainState.RUNNING
    if type_ == "InjectNMI":
        assert guest.nmis == 1 or (guest.nmis == 0 and status["phase"] == "Failed")
    if type_ == "SetPassword":
        assert guest.passwords == {"root": HASH}
    mine = {name for name in world.machine.volumes if name.startswith("snapshot-")}
    assert mine == ({names.snapshot(uid)} if type_ == "Snapshot" else set())
    markers = {name for name in world.machine.volumes if names.is_marker(name)}
    assert len(markers) == 2 + (type_ == "Snapshot")
    build, action = (uid, "") if type_ == "Rebuild" else ("", uid)
    expected = {names.root_disk(world.uid, build), names.config_drive(world.uid, build), names.console_log(world.uid)}
    expected |= {names.rescue_disk(world.uid, action)} if type_ == "Rescue" else set()
    assert {name for name in world.machine.volumes if name.startswith(world.uid)} == expected
    assert world.instance()["status"]["phase"] == ("Rescued" if type_ == "Rescue" else "Running")
    assert all("completionTime" in step for step in status["steps"] if status["phase"] == "Succeeded")
