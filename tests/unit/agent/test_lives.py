"""What a guest goes through, in virtual time: power states, ends of its own, changes, disks that fail or are lost."""

import asyncio
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.ask import Ask
from hypernova_agent.capacity import Room
from hypernova_agent.host import DomainState, HostError, Run
from hypernova_agent.outcome import Settled
from hypernova_kube.resources import Object
from support.guests import GIB, a_bound_image, a_bound_instance
from support.machine import MemoryDomain
from support.memory_host import Machine, MemoryHost, lost_at
from support.reconciling import Rig, SlowStore, a_rig
from support.virtual_time import virtual_time

RUNNING = ("Running", "True", "Running", "")
STOPPED = ("Stopped", "True", "Stopped", "")
PAUSED = ("Paused", "True", "Paused", "")
SUSPENDED = ("Suspended", "True", "Suspended", "")
STATES = {"Running": RUNNING, "Stopped": STOPPED, "Paused": PAUSED, "Suspended": SUSPENDED}
ACTION = "7a0c0d1e-0000-4000-8000-00000000ac71"
SMALL = {"name": "m1.small", "vcpus": 1, "memory": "2Gi", "rootDisk": "4Gi"}
LARGE = {"name": "m1.large", "vcpus": 2, "memory": "4Gi", "rootDisk": "8Gi"}
PINNED = LARGE | {"cpu": {"policy": "Dedicated"}}
PACKED = {"cells": [{"cell": 0, "vcpus": [0, 1], "cpus": [2, 3], "memory": "4Gi"}]}


def an_obedient_host(**machine: Any) -> MemoryHost:
    return MemoryHost(Machine(obedient=True, **machine))


async def built(rig: Rig, *, expect: tuple[str, str, str, str] = RUNNING, **parts: Any) -> MemoryDomain:
    """An Instance that runs; its domain."""
    for image in ("debian-12", "debian-13", "rescue"):
        rig.cache(a_bound_image(image))
    rig.put(a_bound_instance(**parts))
    await asyncio.sleep(1)
    assert rig.status() == expect
    (domain,) = rig.host.machine.domains.values()
    return domain


async def asked(rig: Rig, status: Object | None = None, *, grace: float = 0.0) -> None:
    """What an action does: its part of the status, then a power-on."""
    if status is not None:
        rig.grant(status)
    rig.actions.ask = Ask(ACTION, grace)
    rig.queue.add(*rig.view)
    await asyncio.sleep(1)


# Power


@virtual_time
async def test_every_power_state_is_reached_from_every_other_in_few_writes() -> None:
    for first in STATES:
        for then in STATES:
            async with a_rig(an_obedient_host()) as rig:
                domain = await built(rig)
                for state in (first, then):
                    before = rig.writes
                    rig.edit(powerState=state)
                    await asyncio.sleep(2)
                    if domain.state is DomainState.SHUT_OFF and domain.saved is None and state == "Suspended":
                        assert rig.status()[:3] == ("Stopped", "True", "NothingToSuspend")
                    else:
                        assert rig.status() == STATES[state], f"{first}, then {then}"
                    assert rig.writes - before <= 2


@virtual_time
async def test_a_suspended_guest_goes_on_where_it_was() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        rig.edit(powerState="Suspended")
        await asyncio.sleep(1)
        assert (domain.saved is not None, domain.boots) == (True, 1)
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert (domain.starts, domain.boots) == (2, 1)


@virtual_time
async def test_a_paused_guest_is_stopped_with_its_whole_grace() -> None:
    async with a_rig() as rig:
        domain = await built(rig, expect=PAUSED, powerState="Paused", terminationGracePeriodSeconds=30)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(29)
        assert (domain.state, rig.status()[2]) == (DomainState.RUNNING, "Stopping")
        await asyncio.sleep(2)
        assert rig.status() == STOPPED


@virtual_time
async def test_putting_memory_on_disk_keeps_no_worker_and_is_told_if_it_takes_long() -> None:
    async with a_rig(MemoryHost(Machine(save_seconds=60))) as rig:
        for number in range(10):
            rig.cache()
            rig.put(a_bound_instance(f"web-{number}", number=number))
        await asyncio.sleep(1)
        for number in range(10):
            rig.edit(f"web-{number}", powerState="Suspended")
        await asyncio.sleep(4)
        assert rig.writes == 10
        await asyncio.sleep(20)
        message = "the guest's memory is being put on its node's disk"
        assert rig.status("web-3") == ("Running", "False", "Saving", message)
        await asyncio.sleep(40)
        assert all(rig.status(f"web-{number}") == SUSPENDED for number in range(10))
        assert rig.writes == 10 * 3


@virtual_time
async def test_a_suspension_taken_back_while_it_goes_on_ends_where_the_last_edit_says() -> None:
    async with a_rig(MemoryHost(Machine(save_seconds=20))) as rig:
        domain = await built(rig)
        for state in ("Suspended", "Running", "Suspended", "Paused", "Running"):
            rig.edit(powerState=state)
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        assert rig.status() == RUNNING
        assert domain.boots == 1


@virtual_time
async def test_a_deletion_waits_for_no_memory_to_be_put_on_disk() -> None:
    async with a_rig(MemoryHost(Machine(save_seconds=600))) as rig:
        await built(rig, terminationGracePeriodSeconds=0)
        rig.edit(powerState="Suspended")
        await asyncio.sleep(5)
        rig.delete()
        await asyncio.sleep(1)
        assert not rig.exists()
        assert rig.host.machine.domains == {}


@pytest.mark.parametrize("state", ["Paused", "Suspended"])
def test_a_guest_that_stands_still_is_deleted_and_leaves_nothing(state: str) -> None:
    @virtual_time
    async def deleted() -> None:
        async with a_rig() as rig:
            await built(rig, terminationGracePeriodSeconds=0)
            images = {name for name in rig.host.machine.volumes if names.is_image(name)}
            rig.edit(powerState=state)
            await asyncio.sleep(1)
            rig.delete()
            await asyncio.sleep(1)
            assert not rig.exists()
            assert (rig.host.machine.domains, rig.host.machine.reservations) == ({}, {})
            assert set(rig.host.machine.volumes) == images

    deleted()


@virtual_time
async def test_a_deletion_that_is_stuck_names_what_it_is_stuck_at() -> None:
    async with a_rig() as rig:
        domain = await built(rig, terminationGracePeriodSeconds=0)
        rig.host.machine.fails = {"delete_volume"}
        rig.delete()
        await asyncio.sleep(1)
        phase, ready, reason, message = rig.status()
        assert (phase, ready, reason) == ("Deleting", "False", "HostError")
        assert message.startswith(f"volume {names.config_drive(domain.owner.uid)}: ")
        rig.host.machine.fails = set()
        await asyncio.sleep(5)
        assert not rig.exists()


# Ends


@virtual_time
async def test_a_guest_that_is_not_to_be_started_again_says_how_it_ended_and_stays_off() -> None:
    for state, policy, reason in (
        (DomainState.SHUT_OFF, "Never", "Completed"),
        (DomainState.CRASHED, "Never", "Failed"),
        (DomainState.SHUT_OFF, "OnFailure", "Completed"),
    ):
        async with a_rig() as rig:
            domain = await built(rig, restartPolicy=policy)
            writes = rig.writes
            rig.host.end(domain.owner.uid, state)
            await asyncio.sleep(500)
            assert rig.status()[:3] == ("Stopped", "False", reason)
            assert (domain.boots, rig.writes - writes) == (1, 1)


@virtual_time
async def test_how_it_ended_is_still_known_to_the_next_agent_after_the_host_has_forgotten() -> None:
    async with a_rig() as rig:
        domain = await built(rig, restartPolicy="Never")
        rig.host.end(domain.owner.uid)
        await asyncio.sleep(1)
        rig.host.lose()
        rig.host.recover()
    async with a_rig(MemoryHost(rig.host.machine), rig.api) as later:
        await asyncio.sleep(60)
        assert later.status()[:3] == ("Stopped", "False", "Completed")
        assert (domain.boots, later.writes) == (1, rig.writes)


@virtual_time
async def test_a_host_whose_power_was_cut_starts_again_what_may_be_started_again() -> None:
    for policy, status in (
        ("Always", RUNNING[:3]),
        ("OnFailure", RUNNING[:3]),
        ("Never", ("Stopped", "False", "Failed")),
    ):
        async with a_rig() as rig:
            await built(rig, restartPolicy=policy)
            rig.host.die()
        rig.host.machine.answers = True
        async with a_rig(MemoryHost(rig.host.machine), rig.api) as later:
            await asyncio.sleep(5)
            assert later.status()[:3] == status


@virtual_time
async def test_one_that_stays_off_is_started_by_stop_and_start() -> None:
    async with a_rig() as rig:
        domain = await built(rig, restartPolicy="Never")
        rig.host.end(domain.owner.uid)
        await asyncio.sleep(1)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(1)
        assert rig.status() == STOPPED
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert domain.run is Run.BEGUN


@virtual_time
async def test_a_guest_that_minds_a_power_button_late_has_not_ended_by_itself() -> None:
    async with a_rig() as rig:
        domain = await built(rig, restartPolicy="Never")
        rig.edit(powerState="Stopped")
        await asyncio.sleep(2)
        rig.edit(powerState="Running")
        await asyncio.sleep(2)
        rig.host.end(domain.owner.uid)
        await asyncio.sleep(0.5)
        assert rig.status() == RUNNING
        assert domain.boots == 2
        assert rig.get()["status"].get("restartCount", 0) == 0


@virtual_time
async def test_an_end_long_after_a_stop_was_taken_back_is_its_own() -> None:
    async with a_rig() as rig:
        domain = await built(rig, restartPolicy="Never", terminationGracePeriodSeconds=20)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(2)
        rig.edit(powerState="Running")
        await asyncio.sleep(60)
        assert domain.run is Run.BEGUN
        rig.host.end(domain.owner.uid)
        await asyncio.sleep(1)
        assert rig.status()[:3] == ("Stopped", "False", "Completed")


# Disks


@virtual_time
async def test_a_full_pool_is_told_once_and_the_guest_goes_on_by_itself_when_there_is_room() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        rig.host.fill()
        await asyncio.sleep(1)
        assert rig.status()[:3] == ("Running", "False", "DiskError")
        writes = rig.writes
        await asyncio.sleep(600)
        assert rig.writes == writes
        rig.host.machine.full = False
        await asyncio.sleep(60)
        assert rig.status() == RUNNING
        assert domain.boots == 1


@virtual_time
async def test_one_instance_that_the_pool_has_no_room_for_harms_no_other() -> None:
    async with a_rig() as rig:
        await built(rig)
        rig.host.machine.full = True
        rig.put(a_bound_instance("web-2", number=8))
        await asyncio.sleep(1)
        assert rig.status("web-2")[:3] == ("Failed", "False", "PoolFull")
        assert rig.status() == RUNNING
        rig.host.machine.full = False
        await asyncio.sleep(10)
        assert rig.status("web-2") == RUNNING


@virtual_time
async def test_a_lost_disk_is_told_and_never_made_anew_but_by_a_rebuild() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        uid = domain.owner.uid
        rig.edit(powerState="Stopped", terminationGracePeriodSeconds=0)
        await asyncio.sleep(1)
        del rig.host.machine.volumes[names.root_disk(uid)]
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status()[:3] == ("Failed", "False", "DiskLost")
        writes = rig.writes
        await asyncio.sleep(1000)
        assert rig.writes == writes
        assert names.root_disk(uid) not in rig.host.machine.volumes
        await asked(rig, {"build": ACTION, "image": a_bound_image("debian-13").to_wire()})
        assert rig.status() == RUNNING
        assert names.root_disk(uid, ACTION) in rig.host.machine.volumes


@virtual_time
async def test_a_status_put_back_from_before_a_rebuild_loses_no_disk_and_is_put_right() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        uid = domain.owner.uid
        await asked(rig, {"build": ACTION, "image": a_bound_image("debian-13").to_wire()})
        rig.actions.ask = Ask()
        rig.grant({"build": None})
        await asked(rig)
        assert rig.status() == RUNNING
        assert rig.get()["status"]["build"] == ACTION
        own = {name for name in rig.host.machine.volumes if names.is_of(uid, name)}
        assert own == {names.root_disk(uid, ACTION), names.config_drive(uid, ACTION), names.console_log(uid)}


@virtual_time
async def test_a_rebuild_called_off_half_way_leaves_the_guest_its_disk() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        rig.grant({"build": ACTION, "image": a_bound_image("debian-13").to_wire()})
        rig.edit(powerState="Stopped", terminationGracePeriodSeconds=0)
        await asyncio.sleep(1)
        rig.edit(powerState="Running")
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert "build" not in rig.get()["status"]
        assert domain.defined.volumes[0] == names.root_disk(domain.owner.uid)


# Actions


@virtual_time
async def test_a_reboot_is_one_boot_however_often_it_is_looked_at() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        for _ in range(3):
            await asked(rig)
        assert (domain.boots, domain.running and domain.running.boot) == (2, ACTION)
        assert rig.writes == 1
        assert rig.actions.outcomes[-1] == Settled()
        assert rig.get()["status"].get("restartCount", 0) == 0


@virtual_time
async def test_a_soft_reboot_says_when_the_plug_is_pulled() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        await asked(rig, grace=30.0)
        assert rig.status()[:3] == ("Running", "False", "Rebooting")
        await asyncio.sleep(31)
        assert rig.status() == RUNNING
        assert domain.boots == 2


@virtual_time
async def test_a_rescue_and_its_end() -> None:
    async with a_rig() as rig:
        domain = await built(rig)
        uid = domain.owner.uid
        await asked(rig, {"rescue": {"action": ACTION, "image": a_bound_image("rescue").to_wire()}})
        assert rig.status() == ("Rescued", "True", "Rescued", "")
        assert domain.running is not None
        assert domain.running.volumes[:2] == (names.rescue_disk(uid, ACTION), names.root_disk(uid))
        rig.grant({"rescue": None})
        rig.actions.ask = Ask("the end of it", 0.0)
        rig.queue.add(*rig.view)
        await asyncio.sleep(1)
        assert rig.status() == RUNNING
        assert names.rescue_disk(uid, ACTION) not in rig.host.machine.volumes


@virtual_time
async def test_a_rebuild_lets_the_guest_go_on_until_its_image_is_there() -> None:
    host = MemoryHost()
    async with a_rig(host, store=SlowStore(host, seconds=20)) as rig:
        uid = rig.put(a_bound_instance())["metadata"]["uid"]
        await asyncio.sleep(25)
        domain = host.machine.domains[uid]
        await asked(rig, {"build": ACTION, "image": a_bound_image("debian-13").to_wire()})
        await asyncio.sleep(10)
        assert domain.state is DomainState.RUNNING
        assert rig.status()[:3] == RUNNING[:3]
        assert "downloading image debian-13" in rig.status()[3]
        await asyncio.sleep(20)
        assert rig.status() == RUNNING
        assert domain.defined.volumes == (names.root_disk(uid, ACTION), names.config_drive(uid, ACTION))
        assert names.root_disk(uid) not in host.machine.volumes


# Changes


@virtual_time
async def test_a_resize_that_the_guest_can_take_is_in_force_at_once_in_one_write() -> None:
    async with a_rig() as rig:
        domain = await built(rig, status={"flavor": SMALL})
        writes = rig.writes
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(5)
        status = rig.get()["status"]
        assert ("resize" in status, status["flavor"]["name"]) == (False, "m1.large")
        assert rig.condition("RestartRequired") is None
        assert domain.running is not None
        assert (domain.running.vcpus, domain.running.memory, domain.boots) == (2, 4 * GIB, 1)
        assert rig.host.machine.volumes[names.root_disk(domain.owner.uid)].capacity == 8 * GIB
        assert rig.writes == writes + 1
        assert [(claim.vcpus, claim.memory) for claim in rig.reconciler.claims()] == [(2, 4 * GIB)]


@virtual_time
async def test_memory_that_the_guest_does_not_take_comes_with_its_next_start() -> None:
    async with a_rig(MemoryHost(Machine(takes_memory=False))) as rig:
        await built(rig, status={"flavor": SMALL})
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(20)
        assert rig.condition("RestartRequired") is None
        await asyncio.sleep(20)
        message = "with its next start the guest gets 4 GiB of memory: reboot the Instance when it suits"
        assert rig.condition("RestartRequired") == ("True", "FlavorChanged", message)
        assert "resize" in rig.get()["status"]
        writes = rig.writes
        await asyncio.sleep(2000)
        assert rig.writes == writes
        await asked(rig)
        assert rig.condition("RestartRequired") == ("False", "UpToDate", "")
        assert rig.get()["status"]["flavor"]["name"] == "m1.large"
        assert "resize" not in rig.get()["status"]


@virtual_time
async def test_a_resize_that_no_running_guest_can_take_waits_and_a_reboot_brings_it() -> None:
    async with a_rig() as rig:
        domain = await built(rig, status={"flavor": SMALL})
        rig.grant({"resize": {"flavor": PINNED, "allocation": PACKED}})
        await asyncio.sleep(60)
        condition = rig.condition("RestartRequired")
        assert condition is not None
        assert condition[:2] == ("True", "FlavorChanged")
        assert (domain.boots, domain.running and domain.running.vcpus) == (1, 1)
        assert [(claim.vcpus, claim.memory, claim.cpus) for claim in rig.reconciler.claims()] == [(1, 4 * GIB, {2, 3})]
        await asked(rig)
        assert rig.get()["status"]["allocation"]["cells"][0]["cpus"] == [2, 3]
        assert '<vcpupin vcpu="1" cpuset="3" />' in domain.xml
        assert [(claim.vcpus, claim.cpus) for claim in rig.reconciler.claims()] == [(0, {2, 3})]


@virtual_time
async def test_a_resize_of_a_guest_that_is_off_is_in_force_at_once() -> None:
    async with a_rig() as rig:
        domain = await built(rig, expect=STOPPED, powerState="Stopped", status={"flavor": SMALL})
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(1)
        assert rig.get()["status"]["flavor"]["name"] == "m1.large"
        assert (domain.defined.vcpus, domain.defined.memory) == (2, 4 * GIB)


@virtual_time
async def test_a_resize_of_a_suspended_guest_waits_until_it_goes_on() -> None:
    async with a_rig() as rig:
        domain = await built(rig, status={"flavor": SMALL})
        rig.edit(powerState="Suspended")
        await asyncio.sleep(1)
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(60)
        assert "resize" in rig.get()["status"]
        rig.edit(powerState="Running")
        await asyncio.sleep(5)
        assert rig.get()["status"]["flavor"]["name"] == "m1.large"
        assert domain.boots == 1


@virtual_time
async def test_a_resize_that_the_host_has_no_room_for_touches_nothing_and_comes_when_there_is_room() -> None:
    async with a_rig() as rig:
        rig.reconciler.set_room(Room(vcpus=16, memory=5 * GIB, disk=100 * GIB))
        domain = await built(rig, status={"flavor": SMALL})
        rig.put(a_bound_instance("other", number=9, memory="2Gi", terminationGracePeriodSeconds=0))
        await asyncio.sleep(1)
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(1)
        condition = rig.condition("Resized")
        assert condition is not None
        assert condition[:2] == ("False", "OutOfResources")
        assert domain.running is not None
        assert (domain.running.vcpus, domain.defined.vcpus) == (1, 1)
        assert rig.status() == RUNNING
        rig.delete("other")
        await asyncio.sleep(5)
        assert rig.get()["status"]["flavor"]["name"] == "m1.large"
        assert rig.condition("Resized") is None


@virtual_time
async def test_a_resize_under_way_keeps_its_room_over_a_restart_of_the_agent() -> None:
    async with a_rig(MemoryHost(Machine(takes_memory=False))) as rig:
        await built(rig, status={"flavor": SMALL})
        rig.grant({"resize": {"flavor": LARGE}})
        await asyncio.sleep(5)
    rig.api.stored = dict(reversed(rig.api.stored.items()))
    async with a_rig(MemoryHost(rig.host.machine), rig.api) as later:
        later.reconciler.set_room(Room(vcpus=16, memory=5 * GIB, disk=100 * GIB))
        later.put(a_bound_instance("aaa", number=9, memory="2Gi"))
        await asyncio.sleep(1)
        assert later.status("aaa")[2] == "OutOfResources"


@virtual_time
async def test_network_cards_come_and_go_while_the_guest_runs() -> None:
    second = {"network": "default", "ip": "10.60.0.8", "mac": "52:54:00:00:00:08"}
    async with a_rig() as rig:
        domain = await built(rig)
        addresses = rig.get()["status"]["addresses"]
        rig.grant({"addresses": [*addresses, second]})
        rig.edit(networks=[{"name": "default"}, {"name": "default", "linkState": "Down"}])
        await asyncio.sleep(1)
        assert domain.running is not None
        assert [(link.mac[-1], link.up) for link in domain.running.links] == [("7", True), ("8", False)]
        assert rig.host.machine.reservations["52:54:00:00:00:08"].hostname == "web-1.shop.net1"
        rig.host.machine.lets_go = False
        rig.edit(networks=[{"name": "default"}])
        await asyncio.sleep(60)
        assert rig.condition("RestartRequired") is not None
        assert "52:54:00:00:00:08" in rig.host.machine.reservations
        assert len(rig.get()["status"]["addresses"]) == 2
        rig.host.machine.lets_go = True
        await asyncio.sleep(600)
        rig.queue.add(*rig.view)
        await asyncio.sleep(5)
        assert rig.get()["status"]["addresses"] == addresses
        assert list(rig.host.machine.reservations) == ["52:54:00:00:00:07"]
        assert rig.condition("RestartRequired") == ("False", "UpToDate", "")


@virtual_time
async def test_a_change_that_the_host_refuses_fails_nothing_and_is_not_tried_at_every_look() -> None:
    async with a_rig() as rig:
        await built(rig, status={"flavor": SMALL})
        tries = 0

        async def refuse(uid: str, count: int) -> None:
            nonlocal tries
            tries += 1
            raise HostError("unsupported")

        rig.host.set_vcpus = refuse
        rig.grant({"resize": {"flavor": SMALL | {"name": "m1.wide", "vcpus": 2}}})
        for _ in range(5):
            await asyncio.sleep(10)
            rig.queue.add(*rig.view)
        assert rig.status() == RUNNING
        assert rig.condition("RestartRequired") is not None
        assert tries == 1


@virtual_time
async def test_an_adopted_instance_goes_by_its_domain_s_uid() -> None:
    lost = "0b7e9a52-6c3d-4a3e-9f0e-2f3d5c1b7a10"
    async with a_rig() as rig:
        domain = await built(rig, status={"domainUID": lost})
        assert domain.owner.uid == lost
        rig.host.end(lost)
        await asyncio.sleep(5)
        assert (domain.boots, rig.status()) == (2, RUNNING)
        rig.edit(terminationGracePeriodSeconds=0)
        rig.delete()
        await asyncio.sleep(1)
        assert not rig.exists()
        assert rig.host.machine.domains == {}


# A loss at every call: the same as an agent killed there, for nothing of it goes on.

LIVES: dict[str, tuple[str, Object, Ask]] = {
    "paused": ("Paused", {}, Ask()),
    "suspended": ("Suspended", {}, Ask()),
    "rebooted": ("Running", {}, Ask(ACTION, 0.0)),
    "rebuilt": ("Running", {"build": ACTION, "image": a_bound_image("debian-13").to_wire()}, Ask(ACTION, 0.0)),
    "rescued": (
        "Running",
        {"rescue": {"action": ACTION, "image": a_bound_image("rescue").to_wire()}},
        Ask(ACTION, 0.0),
    ),
    "resized": ("Running", {"resize": {"flavor": LARGE}}, Ask()),
    "resized and rebooted": ("Running", {"resize": {"flavor": PINNED, "allocation": PACKED}}, Ask(ACTION, 0.0)),
}


@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-it"])
@pytest.mark.parametrize(("power_state", "status", "ask"), LIVES.values(), ids=LIVES.keys())
def test_a_loss_at_any_call_to_the_host_ends_where_none_would_have(
    power_state: str, status: Object, ask: Ask, after: bool
) -> None:
    def life(number: int) -> tuple[int, dict[str, Any]]:
        end: dict[str, Any] = {}
        virtual_time(_life_with_a_loss)(power_state, status, ask, number, after, end)
        return end.pop("calls"), end

    _, expected = life(1000)
    for number in range(200):
        calls, end = life(number)
        assert end == expected, f"lost at call {number}"
        if calls <= number:
            assert number > 4, "the loss never came: nothing was tried"
            return
    raise AssertionError("it never ends")


async def _life_with_a_loss(
    power_state: str, status: Object, ask: Ask, number: int, after: bool, end: dict[str, Any]
) -> None:
    async with a_rig() as first:
        domain = await built(first, restartPolicy="Never", status={"flavor": SMALL})
        calls = lost_at(first.host, number, after=after)
        first.actions.ask = ask
        first.grant(status)
        first.edit(powerState=power_state)
        await asyncio.sleep(40)
    machine = first.host.machine
    machine.answers = True
    async with a_rig(MemoryHost(machine), first.api) as second:
        second.actions.ask = ask
        second.queue.add(*second.view)
        await asyncio.sleep(60)
        kept = second.get()["status"]
        end |= {
            "calls": len(calls),
            "status": second.status(),
            "domain": (domain.state, domain.boots, domain.defined, domain.running, domain.run, domain.saved),
            "volumes": {name: each.capacity for name, each in machine.volumes.items() if not names.is_image(name)},
            "kept": {key: value for key, value in kept.items() if key not in {"conditions", "launchedAt"}},
            "reservations": machine.reservations,
        }
