"""What guests write to their serial ports: kept over restarts, bounded by virtlogd, read through the pool."""

import re
import struct
from collections.abc import Awaitable, Callable

from hack.guest import Guest
from hypernova_agent import names
from support.host_contract import BOOT_LINE, Subject, chunks
from support.libvirt_subject import BreakableHost
from support.waiting import eventually_async

MIB = 1 << 20
LINE = re.compile(rb"HYPERNOVA-GUEST FLOOD ([0-9a-f]{8})\r\n")


def logs(subject: Subject, uid: str) -> tuple[str, ...]:
    """The volumes that a test's guest can have a log in, the newest first."""
    return names.console_logs(subject.name(uid))


def longer_than(subject: Subject, uid: str, size: int) -> Callable[[], Awaitable[bool]]:
    """Whether the newest part of the guest's log is longer than that."""

    async def longer() -> bool:
        return len(await subject.console(uid)) > size

    return longer


async def test_a_guest_that_writes_without_end_fills_no_more_than_two_parts(subject: Subject, guest: Guest) -> None:
    subject.boot_disk = guest.flood_sector.read_bytes()
    uid = await subject.running()
    newest, older, *none = logs(subject, uid)

    async def rotated_twice() -> bool:
        if await subject.host.volume(older) is None:
            return False
        first = LINE.search(await subject.host.read(older, limit=100))
        return first is not None and int(first[1], 16) > 0

    await eventually_async(rotated_twice, "the first part of the log to be given up", 60)
    await subject.host.destroy(uid)
    volumes = {volume.name: volume for volume in await subject.host.volumes()}
    assert not set(none) & set(volumes)
    assert volumes[older].capacity == MIB
    assert volumes[newest].capacity <= MIB

    # Nothing is lost between the parts.
    tail = await subject.host.read(older, offset=MIB - 100)
    head = await subject.host.read(newest, limit=100)
    numbers = [int(number, 16) for number in LINE.findall(tail + head)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) > len(LINE.findall(tail))


async def test_the_log_goes_on_when_the_guest_is_started_again(subject: Subject) -> None:
    uid = await subject.running()
    await eventually_async(longer_than(subject, uid, len(BOOT_LINE)), "the guest to write")
    await subject.host.destroy(uid)
    before = await subject.console(uid)
    await subject.host.start(uid)
    await eventually_async(longer_than(subject, uid, len(before)), "the guest to write again")
    assert (await subject.console(uid)).startswith(before)


async def test_deleting_its_volumes_deletes_all_parts_of_the_log(subject: Subject, guest: Guest) -> None:
    subject.boot_disk = guest.flood_sector.read_bytes()
    uid = await subject.running()

    async def rotated() -> bool:
        return await subject.host.volume(logs(subject, uid)[1]) is not None

    await eventually_async(rotated, "a second part of the log", 60)
    await subject.host.destroy(uid)
    await subject.host.undefine(uid)
    for name in logs(subject, uid):
        await subject.host.delete_volume(name)
    assert not [name for name in await subject.volume_names() if "console" in name]


async def test_a_log_that_a_guest_has_made_look_like_a_disk_is_a_file_among_others(subject: Subject) -> None:
    # As libvirt takes it apart: magic, version 2, offset and length of the backing file's name, then sizes.
    head = b"QFI\xfb" + struct.pack(">IQIIQ", 2, 72, 4, 16, 1 << 20)
    forged = head.ljust(72, b"\0") + b"\xff\xfe/x" + bytes(4096)
    log, other = subject.name("forged.console.log"), subject.name("other.raw")
    for name, content in ((log, forged), (other, b"x" * 512)):
        await subject.host.upload(name, chunks([content]), size=len(content))
    volumes = {volume.name: volume for volume in await subject.host.volumes()}
    assert volumes[other].capacity == 512
    assert volumes[log].backing is None
    assert (await subject.host.read(log, limit=4)) == b"QFI\xfb"
    await subject.host.delete_volume(log)
    assert await subject.host.volume(log) is None


async def test_the_log_is_written_while_libvirtd_is_away(breakable: BreakableHost) -> None:
    subject = breakable.subject
    uid = await subject.running()
    await eventually_async(longer_than(subject, uid, 0), "the guest to write")
    written = breakable.lab_host.path(f"/var/lib/libvirt/hypernova/{subject.name(uid)}.console.log")

    breakable.lose()
    before = written.stat().st_size

    async def written_more() -> bool:
        return written.stat().st_size > before

    await eventually_async(written_more, "the guest to write on")
    breakable.recover()
    await subject.connect()
    assert len(await subject.console(uid)) > before


async def test_a_guest_outlives_virtlogd_and_is_logged_again_from_its_next_start(breakable: BreakableHost) -> None:
    """As on any host: the pipe to QEMU ends with virtlogd, and only a start of the guest makes a new one."""
    subject, lab_host = breakable.subject, breakable.lab_host
    uid = await subject.running()
    await eventually_async(longer_than(subject, uid, 0), "the guest to write")
    (qemu,) = breakable.qemus(uid)

    lab_host.kill_virtlogd()
    before = await subject.console(uid)
    lab_host.start_virtlogd()
    other = await subject.running()
    await eventually_async(longer_than(subject, other, 2 * len(BOOT_LINE)), "another guest to write for two seconds")
    assert breakable.qemus(uid) == [qemu]
    assert await subject.console(uid) == before

    await subject.host.destroy(uid)
    await subject.host.start(uid)
    await eventually_async(longer_than(subject, uid, len(before)), "the guest to be logged again")
