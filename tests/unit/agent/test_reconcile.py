"""The reconciler in virtual time: lives of Instances, what is written of them, and a loss at every single call."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.capacity import Room
from hypernova_agent.errors import ImageDownloadFailed
from hypernova_agent.host import DomainState, HostError, Reservation
from support.guests import GIB, a_bound_instance
from support.memory_host import FACTS, Machine, MemoryHost, lost_at
from support.reconciling import Rig, SlowStore, a_rig
from support.virtual_time import now, virtual_time
from support.waiting import eventually_async

RUNNING = ("Running", "True", "Running", "")
STOPPED = ("Stopped", "True", "Stopped", "")


async def built(rig: Rig, **parts: Any) -> str:
    """An Instance that runs; its UID."""
    rig.cache()
    stored = rig.put(a_bound_instance(**parts))
    await asyncio.sleep(1)
    assert rig.status() == RUNNING
    return str(stored["metadata"]["uid"])


def state(rig: Rig, uid: str) -> DomainState:
    return rig.host.machine.domains[uid].state


@virtual_time
async def test_create_to_running_is_one_write_and_then_there_are_none() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        assert rig.writes == 1
        assert {names.root_disk(uid), names.config_drive(uid)} <= set(rig.host.machine.volumes)
        for _ in range(5):
            rig.queue.add(*rig.view)
            await asyncio.sleep(60)
        assert rig.writes == 1
        assert rig.host.machine.domains[uid].starts == 1


@virtual_time
async def test_an_instance_that_is_to_be_off_is_built_and_not_started() -> None:
    async with a_rig() as rig:
        rig.cache()
        uid = rig.put(a_bound_instance(powerState="Stopped"))["metadata"]["uid"]
        await asyncio.sleep(1)
        assert rig.status() == STOPPED
        assert rig.host.machine.domains[uid].starts == 0
        assert rig.writes == 1


@virtual_time
async def test_a_guest_that_minds_its_power_button_stops_and_starts_again() -> None:
    async with a_rig(MemoryHost(Machine(obedient=True))) as rig:
        uid = await built(rig)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(1)
        assert rig.status() == STOPPED
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert rig.host.machine.domains[uid].starts == 2
        assert rig.events.warnings == []


@virtual_time
async def test_a_deaf_guest_is_told_when_its_plug_is_pulled_and_then_it_is() -> None:
    async with a_rig() as rig:
        uid = await built(rig, terminationGracePeriodSeconds=30)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(29)
        assert rig.status() == (
            "Running",
            "False",
            "Stopping",
            "the power button has been pressed; the plug is pulled at 10:00:31Z if the guest still runs",
        )
        assert state(rig, uid) is DomainState.RUNNING
        await asyncio.sleep(2)
        assert rig.status() == STOPPED
        assert rig.writes == 3


@virtual_time
async def test_a_stop_taken_back_leaves_the_guest_alone_and_a_later_one_has_its_whole_grace() -> None:
    async with a_rig() as rig:
        uid = await built(rig, terminationGracePeriodSeconds=30)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(20)
        rig.edit(powerState="Running")
        await asyncio.sleep(20)
        assert rig.status() == RUNNING
        rig.edit(powerState="Stopped")
        await asyncio.sleep(25)
        assert state(rig, uid) is DomainState.RUNNING
        await asyncio.sleep(6)
        assert state(rig, uid) is DomainState.SHUT_OFF
        assert rig.host.machine.domains[uid].starts == 1


@virtual_time
async def test_a_shorter_grace_holds_for_a_stop_under_way() -> None:
    async with a_rig() as rig:
        uid = await built(rig, terminationGracePeriodSeconds=3000)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(20)
        rig.edit(terminationGracePeriodSeconds=0)
        await asyncio.sleep(1)
        assert state(rig, uid) is DomainState.SHUT_OFF


@virtual_time
async def test_a_deleted_instance_leaves_nothing() -> None:
    async with a_rig() as rig:
        uid = await built(rig, terminationGracePeriodSeconds=30)
        rig.delete()
        await asyncio.sleep(29)
        assert rig.status()[:3] == ("Deleting", "False", "Stopping")
        await asyncio.sleep(2)
        assert not rig.exists()
        assert uid not in rig.host.machine.domains
        assert not [name for name in rig.host.machine.volumes if name.startswith(uid)]
        assert rig.host.machine.reservations == {}


@virtual_time
async def test_a_deletion_that_needs_no_waiting_is_one_write() -> None:
    async with a_rig() as rig:
        await built(rig, terminationGracePeriodSeconds=0)
        rig.delete()
        await asyncio.sleep(1)
        assert not rig.exists()
        assert rig.writes == 2


@virtual_time
async def test_a_guest_that_ends_by_itself_is_started_again_later_and_later() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        waits = []
        for times in range(1, 12):
            rig.host.end(uid, DomainState.CRASHED)
            ended = now()
            await asyncio.sleep(0.1)
            reason = "CrashLoopBackOff" if times > 1 else "GuestStopped"
            assert rig.status()[:3] == ("Stopped", "False", reason)
            assert ("ended by itself for the" in rig.status()[3]) == (times > 1)
            await eventually_async(lambda: _runs(rig, uid), "the guest to be started again")
            waits.append(round(now() - ended))
            await asyncio.sleep(0.1)
            assert rig.status() == RUNNING
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        assert ("GuestStopped", "the guest ended by itself") in rig.events.warnings
        assert rig.get()["status"]["restartCount"] == 11


@virtual_time
async def test_a_quiet_time_ends_the_back_off() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        for _ in range(5):
            rig.host.end(uid)
            await asyncio.sleep(40)
        await asyncio.sleep(700)
        rig.queue.add(*rig.view)
        await asyncio.sleep(1)
        rig.host.end(uid)
        await asyncio.sleep(1.5)
        assert rig.status() == RUNNING


@virtual_time
async def test_a_guest_in_its_back_off_can_be_stopped_and_started() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        for _ in range(6):
            rig.host.end(uid)
            await asyncio.sleep(40)
        rig.host.end(uid)
        await asyncio.sleep(1)
        assert state(rig, uid) is DomainState.SHUT_OFF
        rig.edit(powerState="Stopped")
        await asyncio.sleep(1)
        assert rig.status() == STOPPED
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status() == RUNNING


@virtual_time
async def test_a_guest_that_dies_at_every_start_is_backed_off_too() -> None:
    async with a_rig() as rig:
        rig.cache()
        start = rig.host.start

        async def dies(uid: str, *, paused: bool = False) -> None:
            await start(uid, paused=paused)
            rig.host.end(uid, DomainState.CRASHED)

        rig.host.start = dies  # a guest that crashes at once
        uid = rig.put(a_bound_instance())["metadata"]["uid"]
        await asyncio.sleep(100)
        assert 5 <= rig.host.machine.domains[uid].starts <= 8
        assert rig.status()[2] == "CrashLoopBackOff"


@virtual_time
async def test_what_libvirt_refuses_is_told_tried_again_later_and_later_and_got_over() -> None:
    async with a_rig() as rig:
        rig.cache()
        define, tries = rig.host.define, []

        async def refuse(xml: str) -> None:
            tries.append(round(now()))
            raise HostError("internal error: no emulator")

        rig.host.define = refuse  # a host that refuses
        rig.put(a_bound_instance())
        await asyncio.sleep(1)
        assert rig.status() == (
            "Failed",
            "False",
            "HostError",
            "internal error: no emulator; next try at 10:00:02Z",
        )
        await asyncio.sleep(70)
        assert tries == [0, 2, 6, 14, 30, 62]
        assert rig.writes == len(tries)
        assert rig.events.warnings == [("HostError", "internal error: no emulator")] * len(tries)
        rig.host.define = define  # cured
        await asyncio.sleep(70)
        assert rig.status() == RUNNING


@virtual_time
async def test_a_failure_is_told_even_if_somebody_else_writes_in_between() -> None:
    async with a_rig() as rig:
        rig.cache()

        async def refuse(xml: str) -> None:
            raced = rig.get()
            raced["metadata"]["labels"] = {"edited": "by somebody"}
            rig.api._told, told = lambda key, obj: None, rig.api._told  # the watch tells it later
            rig.put(raced)
            rig.api._told = told
            raise HostError("internal error")

        rig.host.define = refuse
        rig.put(a_bound_instance())
        await asyncio.sleep(1)
        assert rig.status()[2] == "HostError"


@virtual_time
async def test_a_status_written_over_by_hand_is_put_right_without_another_try() -> None:
    async with a_rig() as rig:
        rig.cache()
        tries = 0

        async def refuse(xml: str) -> None:
            nonlocal tries
            tries += 1
            raise HostError("internal error")

        rig.host.define = refuse
        rig.put(a_bound_instance())
        await asyncio.sleep(100)
        before = tries
        rewritten = rig.get()
        rewritten["status"]["phase"] = "Running"
        rig.put(rewritten)
        await asyncio.sleep(0.1)
        assert rig.status()[:3] == ("Failed", "False", "HostError")
        assert tries == before


@virtual_time
async def test_an_image_is_waited_for_without_a_worker_and_told_of_every_five_seconds() -> None:
    host = MemoryHost()
    async with a_rig(host, store=SlowStore(host, seconds=23)) as rig:
        for number in range(20):
            rig.put(a_bound_instance(f"web-{number}", number=number))
        await asyncio.sleep(4.9)
        assert rig.writes == 0
        await asyncio.sleep(0.2)
        assert rig.status("web-3") == (
            "Building",
            "False",
            "Building",
            "downloading image debian-12: 22 %, 0.2 of 1 GiB",
        )
        await asyncio.sleep(17)
        assert rig.writes == 20 * 4
        await asyncio.sleep(2)
        assert all(rig.status(f"web-{number}") == RUNNING for number in range(20))
        assert rig.writes == 20 * 5


@virtual_time
async def test_a_quick_download_is_not_told_of() -> None:
    host = MemoryHost()
    async with a_rig(host, store=SlowStore(host, seconds=4.5)) as rig:
        rig.put(a_bound_instance())
        await asyncio.sleep(5)
        assert rig.status() == RUNNING
        assert rig.writes == 1


@virtual_time
async def test_an_image_that_fails_is_tried_again_later_and_later_however_long_it_takes() -> None:
    host = MemoryHost()
    store = SlowStore(host, seconds=3, error=ImageDownloadFailed("x answered 404 Not Found"))
    async with a_rig(host, store=store) as rig:
        rig.put(a_bound_instance())
        await asyncio.sleep(70)
        assert [round(begun) for begun in store.begun] == [0, 5, 12, 23, 42]
        assert rig.status()[:3] == ("Failed", "False", "ImageDownloadFailed")
        assert host.machine.volumes == {}


@virtual_time
async def test_an_instance_deleted_while_its_image_comes_goes_at_once() -> None:
    host = MemoryHost()
    async with a_rig(host, store=SlowStore(host, seconds=1000)) as rig:
        rig.put(a_bound_instance())
        await asyncio.sleep(10)
        rig.delete()
        await asyncio.sleep(0.1)
        assert not rig.exists()
        await asyncio.sleep(2000)
        assert host.machine == Machine()


@virtual_time
async def test_an_instance_deleted_while_it_is_built_is_not_built_any_further() -> None:
    async with a_rig() as rig:
        rig.cache()
        define = rig.host.define

        async def deleted_meanwhile(xml: str) -> None:
            await define(xml)
            rig.delete()

        rig.host.define = deleted_meanwhile
        uid = rig.put(a_bound_instance())["metadata"]["uid"]
        await asyncio.sleep(1)
        assert not rig.exists()
        assert uid not in rig.host.machine.domains
        assert rig.host.machine.reservations == {}


@virtual_time
async def test_an_edit_is_tried_at_once_whatever_the_back_off() -> None:
    async with a_rig() as rig:
        rig.cache()
        define = rig.host.define
        refused = 0

        async def refuse(xml: str) -> None:
            nonlocal refused
            refused += 1
            raise HostError("no")

        rig.host.define = refuse  # a host that refuses
        rig.put(a_bound_instance(terminationGracePeriodSeconds=0))
        await asyncio.sleep(100)
        before = refused
        rig.edit(powerState="Stopped")
        await asyncio.sleep(0.5)
        assert refused == before + 1
        rig.host.define = define  # cured
        rig.delete()
        await asyncio.sleep(0.5)
        assert not rig.exists()


@virtual_time
async def test_a_power_button_that_does_not_work_still_ends_in_the_plug() -> None:
    async with a_rig() as rig:
        uid = await built(rig, terminationGracePeriodSeconds=30)

        async def broken(_: str) -> None:
            raise HostError("ACPI is off")

        rig.host.shutdown = broken  # a guest that cannot be asked
        rig.edit(powerState="Stopped")
        await asyncio.sleep(31)
        assert state(rig, uid) is DomainState.SHUT_OFF
        assert rig.status() == STOPPED


@virtual_time
async def test_no_more_is_taken_than_there_is_and_who_was_refused_comes_in_when_others_go() -> None:
    async with a_rig() as rig:
        rig.cache()
        rig.reconciler.set_room(Room(vcpus=16, memory=GIB, disk=100 * GIB))
        for number in (1, 2, 3):
            rig.put(a_bound_instance(f"web-{number}", number=number, terminationGracePeriodSeconds=0))
        await asyncio.sleep(1)
        refused = [name for name in ("web-1", "web-2", "web-3") if rig.status(name)[2] == "OutOfResources"]
        assert len(refused) == 1
        assert len(rig.host.machine.domains) == 2
        assert rig.status(*refused) == (
            "Failed",
            "False",
            "OutOfResources",
            "this node lacks memory (need 512 MiB, free 0 bytes): it is tried again when others leave this node or its "
            "Hypervisor changes",
        )
        writes = rig.writes
        await asyncio.sleep(1000)
        assert rig.writes == writes
        rig.delete(next(name for name in ("web-1", "web-2", "web-3") if name not in refused))
        await asyncio.sleep(1)
        assert rig.status(*refused) == RUNNING


@virtual_time
async def test_who_runs_already_keeps_its_place_after_a_restart_of_the_agent() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
    # Another Instance asks first; the room is for one.
    rig.api.stored = dict(reversed(rig.api.stored.items()))
    survivor = MemoryHost(rig.host.machine)
    async with a_rig(survivor, rig.api) as later:
        later.reconciler.set_room(Room(vcpus=16, memory=GIB // 2, disk=100 * GIB))
        later.put(a_bound_instance("aaa", number=9))
        await asyncio.sleep(1)
        assert later.status("aaa")[2] == "OutOfResources"
        assert later.status() == RUNNING
        assert later.host.machine.domains[uid].starts == 1


@virtual_time
async def test_who_was_refused_a_cpu_gets_it_once_it_is_dedicated_and_later_guests_keep_off_it() -> None:
    room = Room(vcpus=4, memory=GIB, disk=100 * GIB, cells={cell.id: cell for cell in FACTS.cells})
    flavor = {"name": "m1.pinned", "vcpus": 1, "memory": "256Mi", "rootDisk": "4Gi", "cpu": {"policy": "Dedicated"}}
    packed = {"cells": [{"cell": 0, "vcpus": [0], "cpus": [3], "memory": "256Mi"}]}
    async with a_rig() as rig:
        rig.cache()
        rig.reconciler.set_room(room)
        rig.put(a_bound_instance("pinned", number=1, status={"flavor": flavor, "allocation": packed}))
        await asyncio.sleep(1)
        assert rig.status("pinned")[2] == "OutOfResources"
        rig.reconciler.set_room(replace(room, vcpus=3, dedicated=frozenset({3})))
        await asyncio.sleep(1)
        assert rig.status("pinned") == RUNNING
        rig.put(a_bound_instance("plain", number=2))
        await asyncio.sleep(1)
        xmls = {domain.owner.name: domain.xml for domain in rig.host.machine.domains.values()}
        assert '<vcpupin vcpu="0" cpuset="3" />' in xmls["pinned"]
        assert 'cpuset="0-2"' in xmls["plain"]


@virtual_time
async def test_a_write_that_lost_a_race_is_made_again_on_what_is_there_now() -> None:
    async with a_rig() as rig:
        rig.cache()
        told = rig.api._told
        rig.api._told = lambda key, obj: None  # the watch lags behind
        rig.put(a_bound_instance())
        told(*((key, obj) for (_, key), obj in rig.api.stored.items()).__next__())
        raced = rig.get()
        raced["metadata"]["labels"] = {"edited": "by somebody"}
        rig.put(raced)
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert rig.get()["metadata"]["labels"] == {"edited": "by somebody"}
        assert rig.writes <= 2


@virtual_time
async def test_a_lagging_watch_does_not_make_it_write_twice() -> None:
    async with a_rig() as rig:
        rig.cache()
        rig.put(a_bound_instance())
        told, held = rig.api._told, []
        rig.api._told = lambda key, obj: held.append((key, obj))
        await asyncio.sleep(1)
        for _ in range(3):
            rig.queue.add(*rig.view)
            await asyncio.sleep(1)
        assert rig.writes == 1
        for change in held:
            told(*change)
        await asyncio.sleep(1)
        assert rig.writes == 1


@virtual_time
async def test_an_instance_taken_away_by_force_leaves_its_guest_alone() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        del rig.api.stored["instances", next(iter(rig.view))]
        rig._told(next(iter(rig.view)), None)
        await asyncio.sleep(400)
        assert state(rig, uid) is DomainState.RUNNING
        assert {names.root_disk(uid), names.config_drive(uid)} <= set(rig.host.machine.volumes)


@virtual_time
async def test_steps_that_undo_each_other_are_found_out_and_tried_again_with_rests_between() -> None:
    # One address for both cards: each reservation takes it from the other.
    cards = [{"network": "default", "ip": "10.60.0.7", "mac": f"52:54:00:00:00:{number:02x}"} for number in (7, 8)]
    async with a_rig() as rig:
        rig.cache()
        reserved: list[Reservation] = []
        reserve = rig.host.reserve

        async def counted(reservation: Reservation) -> None:
            reserved.append(reservation)
            await reserve(reservation)

        rig.host.reserve = counted
        rig.put(a_bound_instance(networks=[{"name": "default"}] * 2, status={"addresses": cards}))
        await asyncio.sleep(600)
        phase, _, reason, message = rig.status()
        assert (phase, reason) == ("Running", "NoEffect")
        assert "EnsureReservation" in message
        assert len(reserved) < 100


@virtual_time
async def test_an_instance_of_another_node_is_not_touched() -> None:
    async with a_rig() as rig:
        rig.cache()
        rig.put(a_bound_instance(status={"nodeName": "node-b"}))
        await asyncio.sleep(60)
        assert rig.host.machine.domains == {}
        assert rig.writes == 0


@virtual_time
async def test_a_host_that_is_lost_fails_no_instance_and_everything_is_adopted_when_it_is_back() -> None:
    async with a_rig() as rig:
        uid = await built(rig)
        rig.host.lose()
        rig.edit(terminationGracePeriodSeconds=1)
        await asyncio.sleep(300)
        assert rig.status() == RUNNING
        assert rig.writes == 1
        rig.host.recover()
        await rig.connect()
        await asyncio.sleep(10)
        assert rig.status() == RUNNING
        assert rig.get()["status"]["observedGeneration"] == 2
        assert rig.host.machine.domains[uid].starts == 1


async def _runs(rig: Rig, uid: str) -> bool:
    return state(rig, uid) is DomainState.RUNNING


# A loss at every call: the same as an agent killed there, for nothing of it goes on.

LIVES: dict[str, tuple[dict[str, Any], str]] = {
    "created": ({}, "Running"),
    "created to be off": ({"powerState": "Stopped"}, "Stopped"),
    "stopped": ({"terminationGracePeriodSeconds": 0}, "stop"),
    "deleted": ({"terminationGracePeriodSeconds": 0}, "delete"),
    "deleted with grace": ({"terminationGracePeriodSeconds": 15}, "delete"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-it"])
@pytest.mark.parametrize(("parts", "end"), LIVES.values(), ids=LIVES.keys())
def test_a_loss_at_any_call_to_the_host_ends_where_none_would_have(
    parts: dict[str, Any], end: str, after: bool
) -> None:
    for number in range(200):
        calls: list[str] = []
        virtual_time(_life_with_a_loss)(parts, end, number, after, calls)
        if len(calls) <= number:
            assert number > 8, "the loss never came: nothing was tried"
            return
    raise AssertionError("it never ends")


async def _life_with_a_loss(parts: dict[str, Any], end: str, number: int, after: bool, calls: list[str]) -> None:
    machine = Machine()
    async with a_rig(MemoryHost(machine)) as first:
        first.cache()
        images = set(machine.volumes)
        if end in ("stop", "delete"):
            uid = await built(first, **parts)
        calls_ = lost_at(first.host, number, after=after)
        if end == "stop":
            first.edit(powerState="Stopped")
        elif end == "delete":
            first.delete()
        else:
            uid = first.put(a_bound_instance(**parts))["metadata"]["uid"]
        await asyncio.sleep(40)
        calls += calls_
    machine.answers = True
    async with a_rig(MemoryHost(machine), first.api) as second:
        await asyncio.sleep(60)
        if end == "delete":
            assert not second.exists()
            assert machine.domains == {}
            assert set(machine.volumes) == images
            assert machine.reservations == {}
            return
        assert second.status() == (RUNNING if end == "Running" else STOPPED)
        assert list(machine.domains) == [uid]
        assert machine.domains[uid].starts == (0 if end == "Stopped" else 1)
        assert set(machine.volumes) - images <= {name for name in machine.volumes if names.is_of(uid, name)}
        assert len(machine.reservations) == 1
