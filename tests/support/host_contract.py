"""What every host promises the agent: `hypernova_agent.host.Host` as tests.

A kind of host is held to it by a test module with a `subject` fixture and these lines:

    class TestMyHost(HostContract): ...
    class TestMyHostWhenLost(LostHostContract): ...
"""

import asyncio
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import pytest

from hypernova_agent.host import (
    Domain,
    DomainState,
    Host,
    HostError,
    HostUnreachable,
    Owner,
    Reservation,
)
from hypernova_agent.xml.definition import parse_definition
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig, domain_xml
from support.waiting import eventually_async

MIB = 1 << 20
BOOT_LINE = b"HYPERNOVA-GUEST SECTOR"


@dataclass(slots=True)
class Subject:
    """A host under test, connected, and what it has reported since."""

    host: Host
    boot_disk: bytes
    """A raw disk of a guest that writes BOOT_LINE to its serial port, needs 16 MiB, and minds no power button."""

    disk_size: int = 2 * MIB
    """Bytes that a guest sees of its disk."""

    pool: str = "hypernova"
    network: str = "hypernova-default"
    domain_type: Literal["kvm", "qemu"] = "qemu"
    write: Callable[[str], None] = lambda _uid: None
    """Has a guest write BOOT_LINE to its serial port now, where it does not do so each second."""

    events: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    async def connect(self) -> None:
        await self.host.connect(self.events.append, self.lost.append)

    # What is made here is found by a prefix no one else uses, and cleared away.

    made: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    def name(self, name: str) -> str:
        """A volume name of this test's own."""
        return f"{self.made}-{name}"

    async def image(self) -> str:
        """The name of a volume that boots."""
        name = self.name("image.raw")
        await self.host.upload(name, chunks([self.boot_disk]), size=len(self.boot_disk))
        return name

    async def guest(self, *, vcpus: int = 1) -> GuestConfig:
        """A guest whose disk is there, and whose domain isn't yet."""
        uid = str(uuid.uuid4())
        disk = self.name(f"{uid}.qcow2")
        await self.host.create_overlay(disk, backing=await self.image(), backing_format="raw", capacity=self.disk_size)
        return GuestConfig(
            owner=Owner(uid=uid, namespace=self.made, name="guest"),
            domain_type=self.domain_type,
            architecture="x86_64",
            vcpus=vcpus,
            memory=16 * MIB,
            pool=self.pool,
            disks=(DiskConfig(disk, "qcow2"),),
            interfaces=(InterfaceConfig(f"52:54:00:{uid[0:2]}:{uid[2:4]}:{uid[4:6]}", self.network),),
            console_log=f"{self.host.pool_path}/{self.name(uid)}.console.log",
        )

    async def defined(self) -> str:
        """The UID of a domain that is shut off."""
        guest = await self.guest()
        await self.host.define(domain_xml(guest))
        return guest.owner.uid

    async def running(self) -> str:
        """The UID of a domain that runs."""
        uid = await self.defined()
        await self.host.start(uid)
        return uid

    async def state(self, uid: str) -> DomainState | None:
        domain = await self.host.domain(uid)
        return None if domain is None else domain.state

    async def console(self, uid: str) -> bytes:
        return await self.host.read(self.name(uid) + ".console.log")

    async def volume_names(self) -> set[str]:
        """The names of this test's volumes, as it gave them."""
        volumes = await self.host.volumes()
        return {volume.name.removeprefix(f"{self.made}-") for volume in volumes if volume.name.startswith(self.made)}

    async def clear(self) -> None:
        """Take away all that this test made."""
        for domain in await self.host.domains():
            if domain.owner.namespace == self.made:
                await self.host.destroy(domain.owner.uid)
                await self.host.undefine(domain.owner.uid)
        for name in await self.volume_names():
            await self.host.delete_volume(self.name(name))
        for reservation in await self.host.reservations():
            await self.host.release(reservation.mac)


class Breakable(Protocol):
    """A host that tests may harm."""

    @property
    def subject(self) -> Subject: ...

    def kill_guest(self, uid: str) -> None:
        """End what runs the guest, behind the host's back."""

    def lose(self) -> None:
        """End the service that the connection is to, without a word. Its guests live on."""

    def recover(self) -> None:
        """Start it again."""


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Faucet:
    """Chunks that come until they are stopped."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        """Set when the second chunk is asked for: the first one is under way."""
        self._go_on = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"x" * MIB
        self.opened.set()
        await self._go_on.wait()
        yield b"y" * MIB

    def go_on(self) -> None:
        self._go_on.set()


class HostContract:
    """A host that works."""

    # Facts

    async def test_it_says_what_it_is(self, subject: Subject) -> None:
        facts = await subject.host.facts()
        assert facts.architecture == "x86_64"
        assert facts.cpus >= 1
        assert facts.memory > 64 * MIB
        assert facts.disk > 64 * MIB
        assert subject.domain_type in facts.abilities
        assert {"BIOS"} <= facts.abilities[subject.domain_type].firmware
        assert sum(len(cell.cpus) for cell in facts.cells) == facts.cpus
        assert facts == await subject.host.facts()
        for version in (facts.libvirt_version, facts.qemu_version):
            assert [part.isdecimal() for part in version.split(".")] == [True] * 3, version

    # Connection

    async def test_calls_fail_when_it_is_closed_and_work_when_it_is_open_again(self, subject: Subject) -> None:
        await subject.host.close()
        with pytest.raises(HostUnreachable):
            await subject.host.domains()
        await subject.connect()
        await subject.host.domains()
        assert subject.lost == []

    async def test_connecting_again_brings_each_event_to_the_new_listener_alone(self, subject: Subject) -> None:
        uid = await subject.defined()
        later: list[str] = []
        await subject.host.connect(later.append, subject.lost.append)
        subject.events.clear()
        await subject.host.start(uid)
        await _seen(later, uid)
        assert subject.events == []

    # Domains

    async def test_a_defined_domain_is_known_as_its_owner_s_and_shut_off(self, subject: Subject) -> None:
        guest = await subject.guest()
        await subject.host.define(domain_xml(guest))
        expected = Domain(guest.owner, DomainState.SHUT_OFF, defined=parse_definition(domain_xml(guest)))
        assert await subject.host.domain(guest.owner.uid) == expected
        assert expected in await subject.host.domains()

    async def test_a_started_domain_runs_and_its_serial_log_is_a_volume(self, subject: Subject) -> None:
        uid = await subject.running()
        assert await subject.state(uid) is DomainState.RUNNING

        async def booted() -> bool:
            return BOOT_LINE in await subject.console(uid)

        await eventually_async(booted, "the guest to write to its serial port")
        assert await subject.host.volume(subject.name(uid) + ".console.log") is not None

    async def test_every_change_of_a_domain_is_reported_by_its_uid(self, subject: Subject) -> None:
        uid = await subject.defined()
        await _seen(subject.events, uid)
        for change in (subject.host.start, subject.host.destroy, subject.host.undefine):
            subject.events.clear()
            await change(uid)
            await _seen(subject.events, uid)

    async def test_starting_what_runs_leaves_it_running(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.start(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_destroyed_domain_is_shut_off_and_stays_so(self, subject: Subject) -> None:
        uid = await subject.running()
        for _ in range(2):
            await subject.host.destroy(uid)
            assert await subject.state(uid) is DomainState.SHUT_OFF

    async def test_a_guest_that_minds_no_power_button_goes_on(self, subject: Subject) -> None:
        uid = await subject.running()
        await subject.host.shutdown(uid)
        assert await subject.state(uid) in {DomainState.RUNNING, DomainState.SHUTTING_DOWN}

    async def test_a_domain_that_is_down_is_shut_down_already(self, subject: Subject) -> None:
        uid = await subject.defined()
        await subject.host.shutdown(uid)
        assert await subject.state(uid) is DomainState.SHUT_OFF

    async def test_defining_a_running_domain_again_does_not_disturb_it(self, subject: Subject) -> None:
        guest = await subject.guest()
        await subject.host.define(domain_xml(guest))
        await subject.host.start(guest.owner.uid)
        await subject.host.define(domain_xml(guest))
        assert await subject.state(guest.owner.uid) is DomainState.RUNNING
        assert [d.owner for d in await subject.host.domains()].count(guest.owner) == 1

    async def test_an_undefined_domain_is_gone_and_may_go_again(self, subject: Subject) -> None:
        uid = await subject.defined()
        for _ in range(2):
            await subject.host.undefine(uid)
            assert await subject.host.domain(uid) is None
        assert uid not in [domain.owner.uid for domain in await subject.host.domains()]

    async def test_ending_a_domain_that_never_was_is_no_error(self, subject: Subject) -> None:
        nobody = str(uuid.uuid4())
        await subject.host.shutdown(nobody)
        await subject.host.destroy(nobody)
        await subject.host.undefine(nobody)
        assert await subject.host.domain(nobody) is None

    async def test_starting_a_domain_that_never_was_is_refused(self, subject: Subject) -> None:
        with pytest.raises(HostError):
            await subject.host.start(str(uuid.uuid4()))

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda xml: "", id="nothing"),
            pytest.param(lambda xml: xml.replace("</domain>", ""), id="not-xml"),
            pytest.param(lambda xml: xml.replace('<type arch="x86_64"', '<type arch="pdp11"'), id="no-such-machine"),
        ],
    )
    async def test_a_domain_the_host_cannot_have_is_refused_in_one_short_line(
        self, subject: Subject, spoil: Callable[[str], str]
    ) -> None:
        with pytest.raises(HostError) as refused:
            await subject.host.define(spoil(domain_xml(await subject.guest())))
        assert 0 < len(str(refused.value)) <= 200
        assert "\n" not in str(refused.value)

    async def test_a_domain_without_its_disk_does_not_start_and_says_why(self, subject: Subject) -> None:
        guest = await subject.guest()
        await subject.host.define(domain_xml(guest))
        await subject.host.delete_volume(guest.disks[0].volume)
        with pytest.raises(HostError, match=guest.disks[0].volume):
            await subject.host.start(guest.owner.uid)
        assert await subject.state(guest.owner.uid) is DomainState.SHUT_OFF

    async def test_many_domains_come_and_go_at_the_same_time(self, subject: Subject) -> None:
        await subject.image()

        async def life() -> None:
            uid = await subject.running()
            assert await subject.state(uid) is DomainState.RUNNING
            await subject.host.destroy(uid)
            await subject.host.undefine(uid)

        await asyncio.gather(*(life() for _ in range(8)))
        assert subject.made not in [domain.owner.namespace for domain in await subject.host.domains()]

    # Consoles

    async def test_a_screen_can_be_opened_many_times_and_greets_each_viewer(self, subject: Subject) -> None:
        uid = await subject.running()
        for screen in [await subject.host.open_graphics(uid) for _ in range(2)]:
            assert await _received(screen, 12) == b"RFB 003.008\n"
            screen.close()

    async def test_a_screen_ends_with_its_guest(self, subject: Subject) -> None:
        uid = await subject.running()
        screen = await subject.host.open_graphics(uid)
        assert await _received(screen, 12) == b"RFB 003.008\n"
        await subject.host.destroy(uid)
        assert await _received(screen, 1) == b""
        screen.close()

    async def test_a_screenshot_is_a_picture_of_the_screen_s_size(self, subject: Subject) -> None:
        uid = await subject.running()

        async def size() -> tuple[int, ...]:
            picture = await subject.host.screenshot(uid)
            assert (picture[:8], picture[12:16]) == (b"\x89PNG\r\n\x1a\n", b"IHDR")
            return struct.unpack(">II", picture[16:24])

        async def drawn() -> bool:
            return await size() in {(640, 480), (720, 400)}

        await eventually_async(drawn, "a screen as a BIOS sets it")

    async def test_a_serial_line_brings_what_the_guest_writes_and_ends_with_it(self, subject: Subject) -> None:
        uid = await subject.running()
        line = await subject.host.open_serial(uid)
        subject.write(uid)
        written = b""
        while BOOT_LINE not in written:
            written += await _soon(line.read())
        await subject.host.destroy(uid)
        while await _soon(line.read()):
            pass
        assert await _soon(line.read()) == b""
        await line.write(b"to nobody")
        await line.close()

    async def test_a_serial_line_goes_to_whoever_opens_it_last(self, subject: Subject) -> None:
        uid = await subject.running()
        first = await subject.host.open_serial(uid)
        second = await subject.host.open_serial(uid)
        while await _soon(first.read()):
            pass
        subject.write(uid)
        assert await _soon(second.read())
        for line in (first, second):
            await line.close()
        third = await subject.host.open_serial(uid)
        subject.write(uid)
        assert await _soon(third.read())
        await third.close()

    async def test_a_closed_serial_line_has_ended_and_may_be_closed_again(self, subject: Subject) -> None:
        uid = await subject.running()
        line = await subject.host.open_serial(uid)
        for _ in range(2):
            await line.close()
        while await _soon(line.read()):
            pass

    @pytest.mark.parametrize("call", ["open_graphics", "open_serial", "screenshot"])
    async def test_a_guest_that_is_off_or_unknown_has_no_console(self, subject: Subject, call: str) -> None:
        for uid in (await subject.defined(), str(uuid.uuid4())):
            with pytest.raises(HostError):
                await getattr(subject.host, call)(uid)

    # Volumes

    @pytest.mark.parametrize("known", [True, False], ids=["size-known", "size-unknown"])
    async def test_what_is_uploaded_is_there_to_the_byte(self, subject: Subject, known: bool) -> None:
        # A megabyte of zeros in the middle and at the end, where a host may leave holes; sizes that fit no block.
        data = b"\x01" * 700_000 + bytes(3 * MIB) + b"\x02" * 12_345 + bytes(2 * MIB)
        name = subject.name("data.raw")
        parts = [data[start : start + 65_535] for start in range(0, len(data), 65_535)]
        await subject.host.upload(name, chunks(parts), size=len(data) if known else None)
        volume = await subject.host.volume(name)
        assert volume is not None
        assert (volume.name, volume.capacity, volume.backing) == (name, len(data), None)
        assert volume.allocation < len(data) - 3 * MIB
        assert await subject.host.read(name, limit=8 * MIB) == data
        assert volume in await subject.host.volumes()

    async def test_a_volume_may_be_empty(self, subject: Subject) -> None:
        name = subject.name("empty.raw")
        await subject.host.upload(name, chunks([]), size=0)
        assert await subject.host.read(name) == b""

    async def test_a_volume_that_is_there_is_not_uploaded_again(self, subject: Subject) -> None:
        name = subject.name("image.raw")
        await subject.host.upload(name, chunks([b"first"]), size=5)
        await subject.host.upload(name, chunks([b"other"]), size=5)
        assert await subject.host.read(name) == b"first"

    @pytest.mark.parametrize("size", [4, 6, 10 * MIB], ids=["too-many-bytes", "too-few-bytes", "far-too-few-bytes"])
    async def test_a_volume_of_another_size_than_said_is_refused(self, subject: Subject, size: int) -> None:
        with pytest.raises(HostError, match=f"the {size} bytes"):
            await subject.host.upload(subject.name("image.raw"), chunks([b"five!"]), size=size)
        assert await subject.volume_names() == set()

    async def test_an_upload_whose_source_fails_leaves_nothing(self, subject: Subject) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"x" * (2 * MIB)
            raise ConnectionResetError("the image server is gone")

        with pytest.raises(ConnectionResetError):
            await subject.host.upload(subject.name("image.raw"), broken(), size=4 * MIB)
        assert await subject.volume_names() == set()

    async def test_an_upload_that_is_cancelled_leaves_nothing_and_can_be_made_again(self, subject: Subject) -> None:
        faucet = Faucet()
        upload = asyncio.create_task(subject.host.upload(subject.name("image.raw"), faucet.chunks(), size=2 * MIB))
        await faucet.opened.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert await subject.volume_names() == set()
        await subject.image()
        assert await subject.volume_names() == {"image.raw"}

    async def test_a_volume_is_not_there_before_its_upload_has_ended(self, subject: Subject) -> None:
        faucet = Faucet()
        name = subject.name("image.raw")
        upload = asyncio.create_task(subject.host.upload(name, faucet.chunks(), size=2 * MIB))
        await faucet.opened.wait()
        assert await subject.host.volume(name) is None
        assert await subject.volume_names() == set()
        faucet.go_on()
        await upload
        assert await subject.volume_names() == {"image.raw"}
        assert await subject.host.read(name, offset=MIB - 1, limit=2) == b"xy"

    async def test_two_uploads_of_one_name_do_not_mix(self, subject: Subject) -> None:
        faucet = Faucet()
        name = subject.name("image.raw")
        first = asyncio.create_task(subject.host.upload(name, faucet.chunks(), size=2 * MIB))
        await faucet.opened.wait()
        with pytest.raises(HostError, match="uploaded already"):
            await subject.host.upload(name, chunks([b"other"]), size=5)
        faucet.go_on()
        await first
        assert await subject.host.read(name, limit=4) == b"xxxx"

    async def test_other_calls_go_on_while_uploads_wait_for_their_source(self, subject: Subject) -> None:
        faucets = [Faucet() for _ in range(8)]
        uploads = [
            asyncio.create_task(subject.host.upload(subject.name(f"{number}.raw"), faucet.chunks(), size=None))
            for number, faucet in enumerate(faucets)
        ]
        for faucet in faucets:
            await faucet.opened.wait()
        uid = await subject.running()
        assert await subject.state(uid) is DomainState.RUNNING
        for faucet in faucets:
            faucet.go_on()
        await asyncio.gather(*uploads)
        assert {f"{number}.raw" for number in range(8)} <= await subject.volume_names()

    async def test_an_overlay_is_as_large_as_asked_and_names_what_it_lies_on(self, subject: Subject) -> None:
        image = await subject.image()
        name = subject.name("disk.qcow2")
        for _ in range(2):
            await subject.host.create_overlay(name, backing=image, backing_format="raw", capacity=5 << 30)
        volume = await subject.host.volume(name)
        assert volume is not None
        assert (volume.capacity, volume.backing) == (5 << 30, image)
        assert volume.allocation < MIB

    async def test_an_overlay_on_nothing_is_refused(self, subject: Subject) -> None:
        missing = subject.name("image.raw")
        with pytest.raises(HostError, match=missing):
            await subject.host.create_overlay(
                subject.name("disk.qcow2"), backing=missing, backing_format="raw", capacity=MIB
            )
        assert await subject.volume_names() == set()

    async def test_a_read_gives_the_part_that_was_asked_for(self, subject: Subject) -> None:
        name = subject.name("log.raw")
        await subject.host.upload(name, chunks([b"0123456789"]), size=10)
        assert await subject.host.read(name, offset=3, limit=4) == b"3456"
        assert await subject.host.read(name, offset=8, limit=4) == b"89"
        assert await subject.host.read(name, offset=10, limit=4) == b""
        assert await subject.host.read(name, offset=3, limit=0) == b""
        assert await subject.host.read(name, offset=99, limit=4) == b""

    async def test_a_volume_that_is_not_there_can_be_deleted_but_not_read(self, subject: Subject) -> None:
        missing = subject.name("image.raw")
        assert await subject.host.volume(missing) is None
        await subject.host.delete_volume(missing)
        with pytest.raises(HostError, match=missing):
            await subject.host.read(missing)

    async def test_a_deleted_volume_is_gone(self, subject: Subject) -> None:
        image = await subject.image()
        await subject.host.delete_volume(image)
        assert await subject.host.volume(image) is None
        assert await subject.volume_names() == set()

    # Reservations

    async def test_a_reservation_is_made_kept_replaced_and_released(self, subject: Subject) -> None:
        web = Reservation("52:54:00:aa:00:01", "10.60.200.1", "web.shop")
        moved = Reservation(web.mac, "10.60.200.2", "web.shop")
        for wanted in (web, web, moved):
            await subject.host.reserve(wanted)
            assert await subject.host.reservations() == [wanted]
        for _ in range(2):
            await subject.host.release(web.mac)
            assert await subject.host.reservations() == []

    @pytest.mark.parametrize(
        "old",
        [
            Reservation("52:54:00:aa:00:01", "10.60.200.9", "new.shop"),
            Reservation("52:54:00:aa:00:09", "10.60.200.1", "old.shop"),
        ],
        ids=["name", "address"],
    )
    async def test_what_a_guest_had_goes_to_whoever_reserves_it_next(self, subject: Subject, old: Reservation) -> None:
        new = Reservation("52:54:00:aa:00:02", "10.60.200.1", "new.shop")
        await subject.host.reserve(old)
        await subject.host.reserve(new)
        assert await subject.host.reservations() == [new]

    async def test_reservations_made_at_once_are_all_there(self, subject: Subject) -> None:
        wanted = [Reservation(f"52:54:00:aa:00:0{n}", f"10.60.200.{n}", f"web.t{n}") for n in range(1, 5)]
        await asyncio.gather(*(subject.host.reserve(reservation) for reservation in wanted))
        assert sorted(await subject.host.reservations(), key=lambda found: found.mac) == wanted


class LostHostContract:
    """A host that fails, and comes back."""

    async def test_a_guest_that_dies_is_reported_and_counts_as_crashed(self, breakable: Breakable) -> None:
        subject = breakable.subject
        uid = await subject.running()
        subject.events.clear()
        breakable.kill_guest(uid)
        await _seen(subject.events, uid)
        assert await subject.state(uid) is DomainState.CRASHED
        await subject.host.start(uid)
        assert await subject.state(uid) is DomainState.RUNNING

    async def test_a_loss_is_told_once_and_guests_outlive_it(self, breakable: Breakable) -> None:
        subject = breakable.subject
        uid, dies_unseen = await subject.running(), await subject.running()
        breakable.lose()
        await eventually_async(lambda: _now(subject.lost), "the loss to be told")
        for attempt in (subject.host.domains(), subject.host.volumes(), subject.connect()):
            with pytest.raises(HostUnreachable):
                await attempt

        breakable.kill_guest(dies_unseen)
        breakable.recover()
        await subject.connect()
        assert len(subject.lost) == 1
        assert await subject.state(uid) is DomainState.RUNNING
        assert await subject.state(dies_unseen) in {DomainState.SHUT_OFF, DomainState.CRASHED}
        subject.events.clear()
        await subject.host.destroy(uid)
        await _seen(subject.events, uid)

    async def test_a_loss_ends_serial_lines_and_leaves_screens_alone(self, breakable: Breakable) -> None:
        subject = breakable.subject
        uid = await subject.running()
        line, screen = await subject.host.open_serial(uid), await subject.host.open_graphics(uid)
        assert await _received(screen, 12) == b"RFB 003.008\n"
        breakable.lose()
        while await _soon(line.read()):
            pass
        await line.close()
        for opening in (subject.host.open_serial(uid), subject.host.open_graphics(uid), subject.host.screenshot(uid)):
            with pytest.raises(HostUnreachable):
                await opening
        breakable.recover()
        await subject.connect()
        again = await subject.host.open_serial(uid)
        subject.write(uid)
        assert await _soon(again.read())
        await again.close()
        with pytest.raises(BlockingIOError):
            screen.recv(1)
        screen.close()

    async def test_an_upload_cut_by_a_loss_leaves_nothing_once_connected_again(self, breakable: Breakable) -> None:
        subject = breakable.subject
        faucet = Faucet()
        upload = asyncio.create_task(subject.host.upload(subject.name("image.raw"), faucet.chunks(), size=2 * MIB))
        await faucet.opened.wait()
        breakable.lose()
        faucet.go_on()
        with pytest.raises(HostUnreachable):
            await upload
        breakable.recover()
        await subject.connect()
        assert await subject.volume_names() == set()
        await subject.image()
        assert await subject.volume_names() == {"image.raw"}


async def _soon(reading: Coroutine[None, None, bytes]) -> bytes:
    async with asyncio.timeout(30):
        return await reading


async def _received(screen: socket.socket, count: int) -> bytes:
    screen.setblocking(False)
    return await _soon(asyncio.get_running_loop().sock_recv(screen, count))


async def _now(found: list[str]) -> list[str]:
    return found


async def _seen(events: list[str], uid: str) -> None:
    async def seen() -> bool:
        return uid in events

    await eventually_async(seen, f"an event of {uid}")
