"""What every host promises of a guest's whole life: its power, what of it changes while it runs, copies of its disk.

As `host_contract`: for a test module with a `subject` fixture, and for some a `breakable` or a `fillable` one.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import pytest

from hypernova_agent.host import (
    Definition,
    Domain,
    DomainState,
    GuestUnreachable,
    HostError,
    HostUnreachable,
    Link,
    Run,
)
from hypernova_agent.xml.definition import parse_definition
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig, domain_xml, interface_xml
from support.host_contract import BOOT_LINE, MIB, Breakable, Subject, chunks
from support.waiting import eventually_async

NOBODY = str(uuid.uuid4())
_FIRST_LINE = BOOT_LINE + b" A"
"""What a guest writes at its beginning, and not again within 20 s."""


async def look(subject: Subject, uid: str) -> Domain:
    domain = await subject.host.domain(uid)
    assert domain is not None
    return domain


async def now_running(subject: Subject, uid: str) -> Definition:
    running = (await look(subject, uid)).running
    assert running is not None
    return running


async def seen(subject: Subject, uid: str, state: DomainState) -> None:
    async def is_it() -> bool:
        return await subject.state(uid) is state

    await eventually_async(is_it, f"the guest to be {state}")


async def booted(subject: Subject, uid: str, times: int = 1) -> None:
    async def written() -> bool:
        return (await subject.console(uid)).count(_FIRST_LINE) == times

    await eventually_async(written, f"the guest to begin for time {times}")


async def grown(subject: Subject) -> GuestConfig:
    """A guest that runs and has room to grow."""
    guest = replace(await subject.guest(), max_vcpus=4, max_memory=80 * MIB, digest="d1", boot="b1", record="r1")
    await subject.host.define(domain_xml(guest))
    await subject.host.start(guest.owner.uid)
    return guest


class PowerContract:
    """On, off, and in between."""

    async def test_what_was_said_of_a_domain_when_it_was_defined_is_told(self, subject: Subject) -> None:
        guest = replace(await subject.guest(), digest="d1", boot="b1", record='{"spec": "<&>"}')
        await subject.host.define(domain_xml(guest))
        domain = await look(subject, guest.owner.uid)
        assert (domain.defined.digest, domain.defined.boot) == ("d1", "b1")
        assert domain.defined == parse_definition(domain_xml(guest))
        assert domain.running is None
        assert await subject.host.record(guest.owner.uid) == '{"spec": "<&>"}'

    async def test_a_domain_without_a_record_and_no_domain_have_none(self, subject: Subject) -> None:
        assert await subject.host.record(await subject.defined()) is None
        assert await subject.host.record(NOBODY) is None

    async def test_what_runs_is_what_was_defined_when_it_was_started(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid, first = guest.owner.uid, parse_definition(domain_xml(guest))
        again = replace(guest, vcpus=2, digest="d2", boot="b2", record="r2", interfaces=())
        await subject.host.define(domain_xml(again))
        domain = await look(subject, uid)
        assert domain.running == first
        assert domain.defined == parse_definition(domain_xml(again))
        assert await subject.host.record(uid) == "r2"
        await subject.host.destroy(uid)
        await subject.host.start(uid)
        assert await now_running(subject, uid) == parse_definition(domain_xml(again))

    async def test_a_mark_is_remembered_until_the_domain_is_defined_anew(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid = guest.owner.uid
        for run in (Run.BEGUN, Run.COMPLETED, Run.FAILED, Run.NONE, Run.BEGUN):
            await subject.host.mark(uid, run)
            assert (await look(subject, uid)).run is run
        before = await look(subject, uid)
        assert (before.defined.digest, before.running and before.running.digest) == ("d1", "d1")
        assert await subject.host.record(uid) == "r1"
        await subject.host.destroy(uid)
        assert (await look(subject, uid)).run is Run.BEGUN
        await subject.host.define(domain_xml(guest))
        assert (await look(subject, uid)).run is Run.NONE

    async def test_a_paused_guest_stands_still_until_it_is_resumed(self, subject: Subject) -> None:
        uid = await subject.running()
        for act, state in ((subject.host.pause, DomainState.PAUSED), (subject.host.resume, DomainState.RUNNING)):
            subject.events.clear()
            for _ in range(2):
                await act(uid)
                assert await subject.state(uid) is state
            await reported(subject, uid)
        assert (await look(subject, uid)).running is not None

    async def test_a_guest_started_paused_stands_still(self, subject: Subject) -> None:
        uid = await subject.defined()
        await subject.host.start(uid, paused=True)
        assert await subject.state(uid) is DomainState.PAUSED
        await subject.host.resume(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_saved_guest_is_off_and_goes_on_where_it_was(self, subject: Subject) -> None:
        uid = await subject.running()
        await booted(subject, uid)
        subject.events.clear()
        for _ in range(2):
            await subject.host.save(uid)
            domain = await look(subject, uid)
            assert (domain.state, domain.saved, domain.running) == (DomainState.SHUT_OFF, True, None)
        await reported(subject, uid)
        await subject.host.start(uid)
        domain = await look(subject, uid)
        assert (domain.state, domain.saved) == (DomainState.RUNNING, False)
        await booted(subject, uid, times=1)

    async def test_a_paused_guest_that_was_saved_goes_on_running(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.pause(uid)
        await subject.host.save(uid)
        await subject.host.start(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_saved_guest_can_be_started_paused(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.save(uid)
        await subject.host.start(uid, paused=True)
        assert await subject.state(uid) is DomainState.PAUSED
        await subject.host.resume(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_saved_guest_that_is_defined_anew_goes_on_as_it_was(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid, first = guest.owner.uid, parse_definition(domain_xml(guest))
        await subject.host.save(uid)
        again = replace(guest, vcpus=2, digest="d2", boot="b2")
        await subject.host.define(domain_xml(again))
        assert (await look(subject, uid)).saved
        await subject.host.start(uid)
        domain = await look(subject, uid)
        assert domain.running == first
        assert domain.defined == parse_definition(domain_xml(again))

    async def test_a_guest_whose_memory_is_thrown_away_begins_anew(self, subject: Subject) -> None:
        uid = await subject.running()
        await booted(subject, uid)
        await subject.host.save(uid)
        for _ in range(2):
            await subject.host.discard_saved(uid)
            assert not (await look(subject, uid)).saved
        await subject.host.start(uid)
        await booted(subject, uid, times=2)
        await subject.host.discard_saved(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_with_a_saved_domain_goes_its_memory(self, subject: Subject) -> None:
        guest = await grown(subject)
        await subject.host.save(guest.owner.uid)
        await subject.host.undefine(guest.owner.uid)
        await subject.host.define(domain_xml(guest))
        assert not (await look(subject, guest.owner.uid)).saved

    async def test_a_guest_that_is_undefined_while_it_runs_goes_when_it_ends(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.undefine(uid)
        assert await subject.state(uid) is DomainState.RUNNING
        await subject.host.destroy(uid)
        assert await subject.host.domain(uid) is None

    async def test_what_is_off_can_be_neither_paused_nor_resumed_nor_saved(self, subject: Subject) -> None:
        uid = await subject.defined()
        for act in (subject.host.pause, subject.host.resume, subject.host.save):
            with pytest.raises(HostError):
                await act(uid)
        assert await look(subject, uid) == replace(await look(subject, uid), state=DomainState.SHUT_OFF, saved=False)

    async def test_a_domain_that_never_was_is_refused(self, subject: Subject) -> None:
        host = subject.host
        for refused in (
            host.start(NOBODY, paused=True),
            host.pause(NOBODY),
            host.resume(NOBODY),
            host.save(NOBODY),
            host.mark(NOBODY, Run.BEGUN),
            host.set_vcpus(NOBODY, 1),
            host.set_memory(NOBODY, MIB),
            host.attach_interface(NOBODY, interface_xml(_card(subject), 1)),
            host.detach_interface(NOBODY, "52:54:00:00:00:01"),
            host.set_link(NOBODY, Link("52:54:00:00:00:01")),
            host.inject_nmi(NOBODY),
            host.guest_info(NOBODY),
            host.set_password(NOBODY, "root", "$6$x"),
        ):
            with pytest.raises(HostError) as error:
                await refused
            assert not isinstance(error.value, GuestUnreachable)
        await host.discard_saved(NOBODY)


class ChangeContract:
    """What is changed of a guest that runs."""

    async def test_a_guest_gets_more_cpus_up_to_what_it_was_started_for(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid = guest.owner.uid
        before = await look(subject, uid)
        for _ in range(2):
            await subject.host.set_vcpus(uid, 3)
            after = await look(subject, uid)
            assert after.running == replace(await now_running(subject, uid), vcpus=3, max_vcpus=4)
            assert after.defined == before.defined
        with pytest.raises(HostError):
            await subject.host.set_vcpus(uid, 5)
        assert (await now_running(subject, uid)).vcpus == 3

    async def test_memory_is_offered_up_to_what_the_guest_was_started_for(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid = guest.owner.uid
        assert (await now_running(subject, uid)).memory == 16 * MIB
        assert (await now_running(subject, uid)).max_memory == 80 * MIB
        for size in (80 * MIB, 80 * MIB, 17 * MIB, 16 * MIB):
            await subject.host.set_memory(uid, size)
        with pytest.raises(HostError):
            await subject.host.set_memory(uid, 81 * MIB)
        # What it takes of it is its own affair: this one may have no driver for it.
        assert 16 * MIB <= (await now_running(subject, uid)).memory <= 80 * MIB
        assert (await look(subject, uid)).defined == parse_definition(domain_xml(guest))

    async def test_a_network_card_is_plugged_in_once(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid, card = guest.owner.uid, _card(subject)
        before = await now_running(subject, uid)
        for _ in range(2):
            await subject.host.attach_interface(uid, interface_xml(card, 1))
            after = await look(subject, uid)
            assert after.running == replace(before, links=(*before.links, Link(card.mac)))
        assert after.defined == parse_definition(domain_xml(guest))

    async def test_a_network_card_can_be_asked_for_as_often_as_one_likes(self, subject: Subject) -> None:
        guest = await grown(subject)
        before = await now_running(subject, guest.owner.uid)
        for mac in (guest.interfaces[0].mac, guest.interfaces[0].mac, "52:54:00:00:00:99"):
            await subject.host.detach_interface(guest.owner.uid, mac)
        # When it goes is the guest's affair.
        assert (await now_running(subject, guest.owner.uid)).links in (before.links, ())

    async def test_a_cable_is_pulled_and_plugged_in(self, subject: Subject) -> None:
        guest = await grown(subject)
        uid, mac = guest.owner.uid, guest.interfaces[0].mac
        for up in (False, False, True, True):
            await subject.host.set_link(uid, Link(mac, up=up))
            assert (await now_running(subject, uid)).links == (Link(mac, up=up),)
        with pytest.raises(HostError, match="52:54:00:00:00:99"):
            await subject.host.set_link(uid, Link("52:54:00:00:00:99"))

    async def test_what_is_off_has_nothing_to_change(self, subject: Subject) -> None:
        host, guest = subject.host, await subject.guest()
        await host.define(domain_xml(guest))
        uid, mac = guest.owner.uid, guest.interfaces[0].mac
        for refused in (
            host.set_vcpus(uid, 1),
            host.set_memory(uid, 16 * MIB),
            host.attach_interface(uid, interface_xml(_card(subject), 1)),
            host.detach_interface(uid, mac),
            host.set_link(uid, Link(mac, up=False)),
            host.inject_nmi(uid),
        ):
            with pytest.raises(HostError):
                await refused
        assert (await look(subject, uid)).defined == parse_definition(domain_xml(guest))

    async def test_an_interrupt_leaves_the_guest_running(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.inject_nmi(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_guest_without_an_agent_tells_nothing_and_takes_no_password(self, subject: Subject) -> None:
        on, off, paused = await subject.running(), await subject.defined(), await subject.running()
        await subject.host.pause(paused)
        for uid in (on, off, paused):
            with pytest.raises(GuestUnreachable):
                await subject.host.guest_info(uid)
            with pytest.raises(GuestUnreachable):
                await subject.host.set_password(uid, "root", "$6$salt$hash")


class DiskContract:
    """A guest's disk, and copies of it."""

    async def test_the_pool_has_room_and_says_how_much(self, subject: Subject) -> None:
        space = await subject.host.space()
        assert 0 < space.available <= space.capacity
        assert space.capacity == (await subject.host.facts()).disk

    @pytest.mark.parametrize("power", ["off", "running"])
    async def test_a_disk_grows_and_never_shrinks(self, subject: Subject, power: str) -> None:
        guest = await _guest(subject, power)
        disk = guest.disks[0].volume
        for asked, is_now in ((8 * MIB, 8 * MIB), (8 * MIB, 8 * MIB), (4 * MIB, 8 * MIB), (64 * MIB, 64 * MIB)):
            await subject.host.resize_volume(disk, asked, uid=guest.owner.uid)
            volume = await subject.host.volume(disk)
            assert volume is not None
            assert volume.capacity == is_now
        assert volume.backing == subject.name("image.raw")

    async def test_a_disk_that_is_not_there_can_neither_grow_nor_be_copied(self, subject: Subject) -> None:
        uid, missing = await subject.running(), subject.name("missing.qcow2")
        before = await subject.volume_names()
        with pytest.raises(HostError, match=missing):
            await subject.host.resize_volume(missing, MIB, uid=uid)
        with pytest.raises(HostError, match=missing):
            await subject.host.copy_volume(missing, subject.name("copy.qcow2"), uid=uid)
        assert await subject.volume_names() - before <= {f"{uid}.console.log"}

    @pytest.mark.parametrize("power", ["off", "running", "paused", "saved"])
    async def test_a_copy_is_a_disk_of_its_own_that_boots(self, subject: Subject, power: str) -> None:
        guest = await _guest(subject, power)
        source, target, parts = guest.disks[0].volume, subject.name("copy.qcow2"), list[float]()
        before = await subject.host.volume(source)
        state = await subject.state(guest.owner.uid)
        for _ in range(2):  # the second instead of the first
            await subject.host.copy_volume(source, target, uid=guest.owner.uid, on_progress=parts.append)
        copy = await subject.host.volume(target)
        assert copy is not None
        assert before is not None
        assert (copy.capacity, copy.backing) == (before.capacity, None)
        assert (await subject.host.read(target, limit=4)) == b"QFI\xfb"
        assert all(0 <= part <= 1 for part in parts)
        assert parts[-1] == 1
        # Nothing of it has touched the guest.
        assert await subject.state(guest.owner.uid) is state
        assert await subject.host.volume(source) == before
        await subject.host.delete_volume(target)
        await _boots_from_a_copy(subject, guest)

    async def test_others_go_on_while_a_disk_is_copied(self, subject: Subject) -> None:
        running, off = await _guest(subject, "running"), await _guest(subject, "off")
        copying = [
            asyncio.create_task(
                subject.host.copy_volume(guest.disks[0].volume, subject.name(f"{name}.qcow2"), uid=guest.owner.uid)
            )
            for guest, name in ((running, "one"), (off, "two"))
        ]
        uid = await subject.running()
        assert await subject.state(uid) is DomainState.RUNNING
        await asyncio.gather(*copying)
        assert {"one.qcow2", "two.qcow2"} <= await subject.volume_names()

    @pytest.mark.parametrize("power", ["off", "running"])
    async def test_a_copy_that_is_called_off_leaves_nothing(self, subject: Subject, power: str) -> None:
        guest = await _guest(subject, power)

        def call_off(_: float) -> None:
            copying.cancel()

        copying = asyncio.create_task(
            subject.host.copy_volume(
                guest.disks[0].volume, subject.name("copy.qcow2"), uid=guest.owner.uid, on_progress=call_off
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert "copy.qcow2" not in await subject.volume_names()
        await _boots_from_a_copy(subject, guest)


class LostLifeContract:
    """A host that goes away and comes back amid it."""

    async def test_a_guest_that_ended_unseen_has_crashed_unless_it_was_known_to_have_ended(
        self, breakable: Breakable
    ) -> None:
        subject = breakable.subject
        ended, completed, unmarked, saved = [await subject.running() for _ in range(4)]
        for uid in (ended, completed, saved):
            await subject.host.mark(uid, Run.BEGUN)
        for uid in (ended, completed, unmarked):
            await subject.host.destroy(uid)
        await subject.host.save(saved)
        await subject.host.mark(completed, Run.COMPLETED)
        breakable.lose()
        breakable.recover()
        await _connected(subject)
        assert await subject.state(ended) is DomainState.CRASHED
        assert await subject.state(completed) is DomainState.SHUT_OFF
        assert await subject.state(unmarked) is DomainState.SHUT_OFF
        assert await subject.state(saved) is DomainState.SHUT_OFF
        assert (await look(subject, saved)).saved

    async def test_a_paused_guest_is_paused_when_the_host_is_back(self, breakable: Breakable) -> None:
        subject = breakable.subject
        uid = await subject.running()
        await subject.host.pause(uid)
        breakable.lose()
        breakable.recover()
        await _connected(subject)
        assert await subject.state(uid) is DomainState.PAUSED
        await subject.host.resume(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    @pytest.mark.parametrize("power", ["off", "running"])
    async def test_a_copy_cut_by_a_loss_leaves_nothing_once_connected_again(
        self, breakable: Breakable, power: str
    ) -> None:
        subject = breakable.subject
        guest = await _guest(subject, power)
        begun = asyncio.Event()
        copying = asyncio.create_task(
            subject.host.copy_volume(
                guest.disks[0].volume,
                subject.name("copy.qcow2"),
                uid=guest.owner.uid,
                on_progress=lambda _: begun.set(),
            )
        )
        await begun.wait()
        breakable.lose()
        with pytest.raises(HostUnreachable):
            await copying
        breakable.recover()
        await _connected(subject)
        assert "copy.qcow2" not in await subject.volume_names()
        await _boots_from_a_copy(subject, guest)

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param(lambda s, g: s.host.save(g.owner.uid), id="save"),
            pytest.param(lambda s, g: s.host.start(g.owner.uid), id="start"),
            pytest.param(lambda s, g: s.host.destroy(g.owner.uid), id="destroy"),
            pytest.param(lambda s, g: s.host.pause(g.owner.uid), id="pause"),
            pytest.param(lambda s, g: s.host.mark(g.owner.uid, Run.BEGUN), id="mark"),
            pytest.param(lambda s, g: s.host.set_vcpus(g.owner.uid, 2), id="set-vcpus"),
            pytest.param(lambda s, g: s.host.set_memory(g.owner.uid, 80 * MIB), id="set-memory"),
            pytest.param(lambda s, g: s.host.attach_interface(g.owner.uid, interface_xml(_card(s), 1)), id="attach"),
            pytest.param(lambda s, g: s.host.resize_volume(g.disks[0].volume, 9 * MIB, uid=g.owner.uid), id="resize"),
        ],
    )
    async def test_a_call_under_way_when_the_host_goes_is_done_or_can_be_done_again(
        self,
        breakable: Breakable,
        call: Callable[[Subject, GuestConfig], Awaitable[None]],
        request: pytest.FixtureRequest,
    ) -> None:
        subject = breakable.subject
        guest = await grown(subject)
        calling = asyncio.ensure_future(call(subject, guest))
        await asyncio.sleep(0)  # it is under way, and no further
        breakable.lose()
        await asyncio.gather(calling, return_exceptions=True)
        assert isinstance(calling.exception(), HostUnreachable | None)
        breakable.recover()
        await _connected(subject)
        before = await look(subject, guest.owner.uid)
        if before.state is DomainState.CRASHED:
            assert not before.saved
            assert request.node.callspec.id == "destroy", "whose end was asked for ended, and nobody knows of it"
        if before.running is None:
            await subject.host.start(guest.owner.uid)
        await call(subject, guest)


class Fillable(Protocol):
    """A host whose pool tests may fill up. Its guests write to their disks without end."""

    @property
    def subject(self) -> Subject: ...

    def fill(self) -> None: ...

    def empty(self) -> None:
        """Make room again."""


class FullContract:
    """A pool without room."""

    async def test_a_guest_that_can_write_no_more_stalls_and_goes_on_when_there_is_room(
        self, fillable: Fillable
    ) -> None:
        subject = fillable.subject
        uid = await subject.running()
        subject.events.clear()
        fillable.fill()
        await seen(subject, uid, DomainState.STALLED)
        await reported(subject, uid)
        assert (await subject.host.space()).available < 4 * MIB
        assert (await look(subject, uid)).running is not None
        await subject.host.pause(uid)
        await seen(subject, uid, DomainState.STALLED)
        await subject.host.resume(uid)
        await seen(subject, uid, DomainState.STALLED)
        fillable.empty()
        await subject.host.resume(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_what_finds_no_room_leaves_nothing_behind(self, fillable: Fillable) -> None:
        subject = fillable.subject
        guest = await _guest(subject, "running")
        fillable.fill()
        await seen(subject, guest.owner.uid, DomainState.STALLED)
        before = await subject.volume_names()
        with pytest.raises(HostError, match=r"(?i)no space"):
            await subject.host.copy_volume(guest.disks[0].volume, subject.name("copy.qcow2"), uid=guest.owner.uid)
        with pytest.raises(HostError, match=r"(?i)no space"):
            await subject.host.upload(subject.name("more.raw"), chunks([b"x" * (8 * MIB)]), size=8 * MIB)
        assert await subject.volume_names() == before
        assert await subject.state(guest.owner.uid) is DomainState.STALLED


async def reported(subject: Subject, uid: str) -> None:
    async def told() -> bool:
        return uid in subject.events

    await eventually_async(told, f"an event of {uid}")


async def _connected(subject: Subject) -> None:
    """Connected again; what is still on its way from the old connection ends first."""
    await eventually_async(lambda: subject.lost, "the loss to be told")
    await subject.connect()


async def _guest(subject: Subject, power: str) -> GuestConfig:
    guest = await subject.guest()
    uid = guest.owner.uid
    await subject.host.define(domain_xml(guest))
    if power != "off":
        await subject.host.start(uid)
    if power == "paused":
        await subject.host.pause(uid)
    if power == "saved":
        await subject.host.save(uid)
    return guest


async def _boots_from_a_copy(subject: Subject, guest: GuestConfig) -> None:
    """Copies the guest's disk and boots another guest from that."""
    target = subject.name("copy.qcow2")
    await subject.host.copy_volume(guest.disks[0].volume, target, uid=guest.owner.uid)
    other = replace(await subject.guest(), disks=(DiskConfig(target, "qcow2"),))
    await subject.host.define(domain_xml(other))
    await subject.host.start(other.owner.uid)
    await booted(subject, other.owner.uid)


def _card(subject: Subject) -> InterfaceConfig:
    return InterfaceConfig("52:54:00:00:00:77", subject.network)
