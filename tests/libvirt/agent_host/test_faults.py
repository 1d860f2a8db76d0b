"""What only real libvirt does to its clients."""

import asyncio
import gc
import os
import signal
import uuid
from collections.abc import Awaitable, Callable

import libvirt
import pytest

from hack.lab import Host
from hypernova_agent.host import DomainState, HostError, HostUnreachable, Run
from hypernova_agent.libvirt import opening
from hypernova_agent.libvirt.connection import CALLS
from hypernova_agent.libvirt.errors import detailed
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_agent.xml.guest import GuestConfig, domain_xml
from support.host_contract import MIB, Faucet, chunks
from support.libvirt_subject import BreakableHost
from support.life_contract import booted, look, seen
from support.waiting import eventually_async


async def test_a_libvirtd_that_hangs_is_noticed_and_found_again(
    breakable: BreakableHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss by keep-alive: nothing is closed, no answer comes."""
    monkeypatch.setattr(opening, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(opening, "OPEN_TIMEOUT", 1.0)
    subject, lab_host = breakable.subject, breakable.lab_host
    await subject.connect()
    uid = await subject.running()
    faucet = Faucet()
    upload = asyncio.create_task(subject.host.upload(subject.name("image2.raw"), faucet.chunks(), size=None))
    await faucet.opened.wait()

    lab_host.pause_libvirtd()
    faucet.go_on()
    pending = [subject.host.domains(), subject.host.volumes(), subject.host.facts(), subject.host.destroy(uid), upload]
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * len(pending)
    await eventually_async(lambda: subject.lost, "the loss to be told")  # each connection finds it out by itself
    assert subject.lost == ["libvirt has not answered for 4 s"]
    for _ in range(2):
        with pytest.raises(HostUnreachable, match="did not answer"):
            await subject.connect()

    lab_host.resume_libvirtd()
    await subject.connect()
    # The call that hung was carried out when libvirtd went on, if it had arrived: both is right.
    assert await subject.state(uid) in {DomainState.RUNNING, DomainState.SHUT_OFF}
    assert "image2.raw" not in await subject.volume_names()


async def test_every_call_under_way_ends_when_libvirtd_is_killed(breakable: BreakableHost) -> None:
    subject = breakable.subject
    calls = [subject.host.domains, subject.host.facts, subject.host.volumes, subject.host.reservations] * 3
    rounds = 0

    async def again_and_again(call: Callable[[], Awaitable[object]]) -> None:
        nonlocal rounds
        while True:
            await call()
            rounds += 1

    callers = [asyncio.create_task(again_and_again(call)) for call in calls]

    async def busy() -> bool:
        return rounds > 10 * len(calls)

    await eventually_async(busy, "calls to be under way")
    breakable.lose()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * len(calls)


async def test_domains_are_as_they_were_after_every_one_of_many_losses(breakable: BreakableHost) -> None:
    subject = breakable.subject
    uid = await subject.running()
    (qemu,) = breakable.qemus(uid)
    for losses in range(1, 4):
        breakable.lose()

        async def told(losses: int = losses) -> bool:
            return len(subject.lost) == losses

        await eventually_async(told, "the loss to be told")
        breakable.recover()
        await subject.connect()
        assert await subject.state(uid) is DomainState.RUNNING
    assert breakable.qemus(uid) == [qemu]


async def test_after_a_power_cut_pool_network_and_domains_are_there_again(breakable: BreakableHost) -> None:
    subject, lab_host = breakable.subject, breakable.lab_host
    uid = await subject.running()
    lab_host.power_cut()
    lab_host.up()
    lab_host.start_libvirtd()
    await subject.connect()
    assert await subject.state(uid) is DomainState.SHUT_OFF
    await subject.host.start(uid)
    assert await subject.state(uid) is DomainState.RUNNING


async def _big(breakable: BreakableHost) -> GuestConfig:
    """A running guest whose disk takes a while to copy."""
    subject = breakable.subject
    subject.boot_disk = subject.boot_disk.ljust(MIB, b"\0") + os.urandom(128 * MIB)
    subject.disk_size = 160 * MIB
    guest = await subject.guest()
    await subject.host.define(domain_xml(guest))
    await subject.host.start(guest.owner.uid)
    return guest


class HalfWay:
    """A copy of a guest's disk of which QEMU has done a part, and stopped."""

    def __init__(self, breakable: BreakableHost, guest: GuestConfig) -> None:
        self._breakable = breakable
        subject = breakable.subject
        (self.qemu,) = breakable.qemus(guest.owner.uid)
        self._reached = asyncio.Event()
        self._told = 0
        self.task = asyncio.create_task(
            subject.host.copy_volume(
                guest.disks[0].volume, subject.name("copy.qcow2"), uid=guest.owner.uid, on_progress=self._progress
            )
        )

    def _progress(self, part: float) -> None:
        self._told += 1
        if self._told == 2:  # the first is told before it has begun
            self._breakable.stop(self.qemu)
            assert part < 1, "it was done at once"
            self._reached.set()

    async def reached(self) -> None:
        def is_so() -> bool:
            assert not self.task.done(), self.task
            return self._reached.is_set()

        await eventually_async(is_so, "QEMU to have copied a part")


async def test_a_copy_goes_to_nobody_and_is_made_anew_when_libvirtd_dies_half_way(breakable: BreakableHost) -> None:
    subject, guest = breakable.subject, await _big(breakable)
    half = HalfWay(breakable, guest)
    await half.reached()
    breakable.lose()
    with pytest.raises(HostUnreachable):
        await half.task
    breakable.go_on()
    breakable.recover()
    await subject.connect()
    assert await subject.state(guest.owner.uid) is DomainState.RUNNING
    assert "copy.qcow2" not in await subject.volume_names()
    await subject.host.copy_volume(guest.disks[0].volume, subject.name("copy.qcow2"), uid=guest.owner.uid)
    copy = await subject.host.volume(subject.name("copy.qcow2"))
    assert copy is not None
    assert (copy.capacity, copy.backing) == (160 * MIB, None)
    assert copy.allocation > 128 * MIB


async def test_a_copy_ends_with_its_guest(breakable: BreakableHost) -> None:
    subject, guest = breakable.subject, await _big(breakable)
    half = HalfWay(breakable, guest)
    await half.reached()
    os.kill(half.qemu, signal.SIGKILL)
    with pytest.raises(HostError):
        await half.task
    assert "copy.qcow2" not in await subject.volume_names()
    assert await subject.state(guest.owner.uid) is DomainState.CRASHED


async def test_an_agent_that_comes_while_libvirt_still_converts_leaves_it_alone_and_sees_no_copy(
    breakable: BreakableHost,
) -> None:
    subject, guest = breakable.subject, await _big(breakable)
    await subject.host.destroy(guest.owner.uid)
    target = subject.name("copy.qcow2")
    copying = asyncio.create_task(subject.host.copy_volume(guest.disks[0].volume, target, uid=guest.owner.uid))

    def converters() -> list[int]:
        return breakable.running("qemu-img convert")

    (converter,) = await eventually_async(converters, "qemu-img to run")
    breakable.stop(converter)
    other = LibvirtHost(breakable.lab_host.libvirt_uri)
    await other.connect(lambda _uid: None, lambda _why: None)
    assert await other.volume(target) is None
    assert target not in [volume.name for volume in await other.volumes()]
    # Others' volumes come and go meanwhile.
    await other.upload(subject.name("more.raw"), chunks([b"data"]), size=4)
    assert await other.read(subject.name("more.raw")) == b"data"
    await other.close()
    breakable.go_on()
    await copying
    assert await subject.host.volume(target) is not None


class Saving:
    """A guest that is being saved, and whose saving has stopped half way."""

    def __init__(self, breakable: BreakableHost, uid: str) -> None:
        self._breakable = breakable
        self._uid = uid
        self.task = asyncio.create_task(breakable.subject.host.save(uid))

    async def reached(self) -> None:
        host = self._breakable.subject.host
        while not (writers := self._breakable.running("libvirt_iohelper")):
            if self.task.done():  # too fast for us
                await self.task
                await host.start(self._uid)
                self.task = asyncio.create_task(host.save(self._uid))
            await asyncio.sleep(0)
        self._breakable.stop(*writers)


async def test_others_go_on_and_the_guest_counts_as_running_while_it_is_saved(breakable: BreakableHost) -> None:
    subject = breakable.subject
    guests = [await subject.running() for _ in range(CALLS + 1)]
    saving = Saving(breakable, guests[0])
    await saving.reached()
    saves = [asyncio.create_task(subject.host.save(uid)) for uid in guests[1:]]
    other = await subject.running()
    await asyncio.gather(*saves)
    assert await subject.state(other) is DomainState.RUNNING
    assert await subject.state(guests[0]) is DomainState.RUNNING
    breakable.go_on()
    await saving.task
    assert await subject.state(guests[0]) is DomainState.SHUT_OFF


async def test_a_guest_runs_on_and_nothing_is_saved_when_libvirtd_dies_as_it_saves_it(breakable: BreakableHost) -> None:
    subject = breakable.subject
    uid = await subject.running()
    saving = Saving(breakable, uid)
    await saving.reached()
    breakable.lose()
    with pytest.raises(HostUnreachable):
        await saving.task
    breakable.recover()
    breakable.go_on()
    await subject.connect()
    await seen(subject, uid, DomainState.RUNNING)
    assert not (await look(subject, uid)).saved
    await subject.host.mark(uid, Run.BEGUN)
    (qemu,) = breakable.qemus(uid)
    os.kill(qemu, signal.SIGKILL)
    await seen(subject, uid, DomainState.CRASHED)
    await subject.host.start(uid)
    await booted(subject, uid, times=2)


async def test_half_saved_memory_of_a_guest_that_died_with_libvirtd_counts_for_none(breakable: BreakableHost) -> None:
    subject = breakable.subject
    uid = await subject.running()
    await subject.host.mark(uid, Run.BEGUN)
    (qemu,) = breakable.qemus(uid)
    saving = Saving(breakable, uid)
    await saving.reached()
    breakable.lose()
    os.kill(qemu, signal.SIGKILL)
    breakable.go_on()
    await asyncio.gather(saving.task, return_exceptions=True)
    breakable.recover()
    await subject.connect()
    domain = await look(subject, uid)
    assert (domain.state, domain.saved) == (DomainState.CRASHED, False)
    await subject.host.start(uid)
    assert await subject.state(uid) is DomainState.RUNNING


async def test_memory_that_was_saved_of_a_guest_that_runs_on_is_thrown_away(breakable: BreakableHost) -> None:
    """What libvirtd leaves when it dies between saving a guest and ending it."""
    subject, lab_host = breakable.subject, breakable.lab_host
    uid = await subject.running()
    await subject.host.save(uid)
    (saved,) = lab_host.path("/var/lib/libvirt/qemu/save").glob("*.save")
    memory = saved.read_bytes()
    await subject.host.start(uid)
    breakable.lose()
    saved.write_bytes(memory)
    breakable.recover()
    await subject.connect()
    domain = await look(subject, uid)
    assert (domain.state, domain.saved) == (DomainState.RUNNING, False)
    assert not saved.exists()


async def test_a_hung_libvirtd_is_noticed_while_it_saves_and_copies(
    breakable: BreakableHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "KEEPALIVE_SECONDS", 1)
    subject = breakable.subject
    await subject.connect()
    guest, uid = await _big(breakable), await subject.running()
    half = HalfWay(breakable, guest)
    await half.reached()
    saving = Saving(breakable, uid)
    await saving.reached()
    breakable.lab_host.pause_libvirtd()
    outcomes = await asyncio.gather(half.task, saving.task, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * 2
    await eventually_async(lambda: subject.lost, "the loss to be told")  # each connection finds it out by itself
    assert subject.lost == ["libvirt has not answered for 4 s"]
    breakable.go_on()
    await subject.connect()
    await seen(subject, guest.owner.uid, DomainState.RUNNING)
    assert "copy.qcow2" not in await subject.volume_names()

    # The save goes on without us: to its end.
    async def saved() -> bool:
        return (await look(subject, uid)).saved

    await eventually_async(saved, "the guest to be saved")
    await subject.host.start(uid)


async def test_a_guest_that_finds_no_room_to_be_saved_runs_on(breakable: BreakableHost) -> None:
    subject, save = breakable.subject, "/var/lib/libvirt/qemu/save"
    uid = await subject.running()
    await booted(subject, uid)
    breakable.lab_host.run("mount", "-t", "tmpfs", "-o", "size=64K", "save", save)
    with pytest.raises(HostError, match=r"(?i)no space|incomplete|write"):
        await subject.host.save(uid)
    domain = await look(subject, uid)
    assert (domain.state, domain.saved) == (DomainState.RUNNING, False)
    breakable.lab_host.run("umount", save)
    await subject.host.save(uid)
    await subject.host.start(uid)
    await booted(subject, uid, times=1)


class Garbage:
    """Refers to itself, so that only the garbage collector frees what it holds."""

    def __init__(self, held: object) -> None:
        self.itself = self
        self.held = held


def test_an_error_whose_details_the_garbage_collector_has_lost_is_looked_up_again(host: Host) -> None:
    virt, thresholds, nobody = libvirt.open(host.libvirt_uri), gc.get_threshold(), str(uuid.uuid4())

    def look() -> libvirt.virDomain:
        return virt.lookupByUUIDString(nobody)

    def code(search: Callable[[], object], moment: int) -> int | None:
        """The error's code, when garbage is collected at one moment or another of the search."""
        Garbage(virt.nodeDeviceLookupByName("computer"))
        gc.set_threshold(moment)
        try:
            search()
        except libvirt.libvirtError as error:
            return error.get_error_code()
        finally:
            gc.set_threshold(*thresholds)
        return None

    moments = [1 + number % 9 for number in range(300)]
    lost = [code(look, moment) for moment in moments].count(None)
    found = {code(lambda: detailed(look), moment) for moment in moments}
    virt.close()
    assert lost, "nothing was lost: does this libvirt-python still need to be asked again?"
    assert found == {libvirt.VIR_ERR_NO_DOMAIN}
