"""Consoles of real guests, through the agent's endpoint and around it."""

import asyncio
import os
import re
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator

import pytest

from hack.guest import Guest
from hack.lab import Host
from hypernova_agent.host import SerialLine
from hypernova_api.console import CloseCode, SerialRole
from support.consoles import GREETING, HELLO, Site, site
from support.host_contract import Subject
from support.libvirt_subject import BreakableHost
from support.waiting import eventually_async

KEYS = b"HYPERNOVA-GUEST KEYS"
FLOOD = re.compile(rb"HYPERNOVA-GUEST FLOOD ([0-9a-f]{8})\r\n")
ENTER = 0xFF0D


@pytest.fixture
async def node(subject: Subject) -> AsyncIterator[Site]:
    async with site(subject) as node:
        yield node
        await node.clear()


@pytest.fixture
async def fragile(breakable: BreakableHost) -> AsyncIterator[Site]:
    async with site(breakable.subject) as node:
        yield node


def key(code: int) -> bytes:
    """RFB's KeyEvent, down and up."""
    return struct.pack(">BBxxI", 4, 1, code) + struct.pack(">BBxxI", 4, 0, code)


async def written(node: Site, uid: str, words: bytes) -> None:
    """Wait until the guest's log has these."""

    async def there() -> bool:
        return words in await node.subject.host.read(f"{uid}.console.log")

    await eventually_async(there, f"the guest to write {words!r}", 60)


async def test_a_key_typed_at_the_screen_reaches_the_guest_and_one_who_may_only_look_types_none(
    node: Site, guest: Guest
) -> None:
    node.subject.boot_disk = guest.keys_sector.read_bytes()
    uid = await node.guest()
    await written(node, uid, KEYS)
    async with node.look("vnc", user="ron", readOnly="true") as ron, node.look("vnc") as ada:
        for seat in (ron, ada):
            await seat.sees(GREETING)
            await seat.say(HELLO)
        for _ in range(3):
            await ron.say(key(ord("r")))
        await ada.say(key(ord("a")) + key(ord("d")) + key(ord("a")) + key(ENTER))
        await written(node, uid, b"ada\r\n")
    assert b"r" not in await node.subject.host.read(f"{uid}.console.log")


async def test_a_viewer_who_would_not_share_throws_nobody_out(node: Site) -> None:
    """QEMU would end his session instead; so he is said to share."""
    uid = await node.guest()
    ours, theirs = [await node.subject.host.open_graphics(uid) for _ in range(2)]
    for screen, shared, length in ((ours, b"\1", 24), (theirs, b"\0", 0)):
        screen.setblocking(False)
        await _exchange(screen, b"", 12)
        await _exchange(screen, GREETING, 2)
        await _exchange(screen, b"\1", 4)
        assert len(await _exchange(screen, shared, 24)) == length  # ServerInit, or the end
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)
        await ada.say(GREETING + b"\1\0")
        await ada.sees(b"QEMU (")
    update = b"\x03\x00" + struct.pack(">HHHH", 0, 0, 1, 1)
    assert await _exchange(ours, update, 1)
    for screen in (ours, theirs):
        screen.close()


async def test_what_is_typed_at_the_serial_port_comes_back_and_who_comes_later_sees_it_all_once(
    node: Site, guest: Guest
) -> None:
    node.subject.boot_disk = guest.keys_sector.read_bytes()
    uid = await node.guest()
    await written(node, uid, KEYS)
    async with node.look("serial") as ada:
        await ada.is_told(SerialRole(writer=True, holder="ada"))
        await ada.sees(KEYS)
        await ada.say(b"hello\r")
        await ada.sees(b"hello\r\n")
        async with node.look("serial", user="bob") as bob:
            await bob.sees(b"hello\r\n")
            assert bytes(bob.seen) == bytes(ada.seen)
    log = await node.subject.host.read(f"{uid}.console.log")
    assert bytes(ada.seen) == log
    async with node.look("serial") as ada:
        await ada.sees(b"hello\r\n")
        assert bytes(ada.seen) == log


async def test_nothing_is_lost_or_doubled_between_log_and_line(node: Site, guest: Guest) -> None:
    """The guest counts without end, so whoever comes meets it in full flight."""
    node.subject.boot_disk = guest.boot_sector.read_bytes()
    uid = await node.guest()
    await written(node, uid, b"SECTOR A")
    async with node.look("serial") as ada:
        await ada.sees(b"SECTOR F\r\n")
    lines = [b"HYPERNOVA-GUEST SECTOR %c" % letter for letter in b"ABCDEF"]
    assert [line for line in bytes(ada.seen).split(b"\r\n") if line][-6:] == lines


async def test_of_a_flood_that_nobody_reads_the_end_is_kept(node: Site, guest: Guest) -> None:
    node.subject.boot_disk = guest.flood_sector.read_bytes()
    uid = await node.guest()
    line = await node.subject.host.open_serial(uid)
    assert await line.read()

    async def long() -> bool:
        return len(await node.subject.host.read(f"{uid}.console.log")) > 3 * (128 << 10)

    await eventually_async(long, "the guest to write far more than is kept", 60)
    kept = await line.read()
    assert len(kept) == 128 << 10
    numbers = [int(number, 16) for number in FLOOD.findall(kept)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    await line.close()


async def test_a_screenshot_is_of_what_the_guest_shows(node: Site) -> None:
    await node.guest()
    async with node.http.get(node.url("screenshot")) as answer:
        picture = await answer.read()
    assert struct.unpack(">II", picture[16:24]) in {(640, 480), (720, 400)}


async def test_a_port_that_a_killed_agent_had_open_can_be_opened_at_once(node: Site, host: Host) -> None:
    uid = await node.guest()
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLDER, host.libvirt_uri, uid, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    async with asyncio.timeout(30):
        assert await holder.stdout.readline() == b"open\n"
    os.kill(holder.pid, signal.SIGKILL)
    async with node.look("serial") as ada:
        await ada.sees(b"HYPERNOVA-GUEST")
    await holder.wait()


async def test_a_serial_line_ends_with_libvirtd_and_is_had_again_and_a_screen_goes_on(
    fragile: Site, breakable: BreakableHost
) -> None:
    await fragile.guest()
    async with fragile.look("vnc") as ada, fragile.look("serial") as bob:
        await ada.sees(GREETING)
        await bob.sees(b"HYPERNOVA-GUEST")
        breakable.lose()
        assert (await bob.ending())[0] == CloseCode.UNREACHABLE
        breakable.recover()
        await breakable.subject.connect()
        await ada.say(HELLO)
        await ada.sees(GREETING + b"\x01\x01")
    async with fragile.look("serial") as bob:
        await bob.sees(b"HYPERNOVA-GUEST")


async def test_a_guest_that_dies_ends_its_consoles_and_has_them_again_when_it_runs(
    fragile: Site, breakable: BreakableHost
) -> None:
    uid = await fragile.guest()
    async with fragile.look("vnc") as ada, fragile.look("serial") as bob:
        await ada.sees(GREETING)
        await bob.sees(b"HYPERNOVA-GUEST")
        breakable.kill_guest(uid)
        for seat in (ada, bob):
            assert await seat.ending() == (CloseCode.GUEST_OFF, "the guest is off")
    await fragile.subject.host.start(uid)
    async with fragile.look("vnc") as ada:
        await ada.sees(GREETING)


async def test_a_guest_that_takes_nothing_ends_the_line_in_time_and_it_is_had_again(node: Site) -> None:
    """libvirtd reads no more of a connection whose bytes it cannot get rid of, and it is given up after 20 s."""
    uid = await node.guest()
    line = await node.subject.host.open_serial(uid)
    typing = asyncio.create_task(_type(line, 64))
    async with asyncio.timeout(60):
        while await line.read():
            pass
    await typing
    await line.close()
    async with node.look("serial") as ada:
        await ada.sees(b"HYPERNOVA-GUEST")


async def _type(line: SerialLine, blocks: int) -> None:
    for _ in range(blocks):
        await line.write(bytes(8 << 10))


async def _exchange(screen: socket.socket, words: bytes, count: int) -> bytes:
    loop, got = asyncio.get_running_loop(), b""
    await loop.sock_sendall(screen, words)
    async with asyncio.timeout(30):
        while len(got) < count:
            piece = await loop.sock_recv(screen, count - len(got))
            if not piece:
                break
            got += piece
    return got


_HOLDER = """
import sys, time, libvirt
libvirt.virEventRegisterDefaultImpl()
virt = libvirt.open(sys.argv[1])
stream = virt.newStream(libvirt.VIR_STREAM_NONBLOCK)
virt.lookupByUUIDString(sys.argv[2]).openConsole(None, stream, 0)
print("open", flush=True)
time.sleep(600)
"""
