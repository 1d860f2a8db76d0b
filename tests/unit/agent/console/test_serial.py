"""One line to a guest's serial port, and many who look."""

import asyncio
import uuid
from datetime import UTC, datetime

import pytest

from hypernova_agent.console.listener import BACKLOG, Listener
from hypernova_agent.console.scrollback import SCROLLBACK
from hypernova_agent.console.serial import SerialPorts
from hypernova_agent.console.sharing import Viewer
from hypernova_agent.host import HostError, HostUnreachable
from hypernova_api.console import SerialRole
from support.consoles import site
from support.host_contract import Subject
from support.memory_host import BOOT_LINE, MemoryHost
from support.waiting import eventually_async


def viewer(user: str) -> Viewer:
    return Viewer(user, f"shop/{user}", False, False, datetime(2026, 11, 21, 10, 15, tzinfo=UTC))


async def heard(listener: Listener, end: bytes) -> bytes:
    """All that comes until this does."""
    found = b""
    async with asyncio.timeout(30):
        while not found.endswith(end):
            news = await listener.next()
            assert news is not None, f"it ended after {found!r}"
            found += news if isinstance(news, bytes) else b""
    return found


@pytest.fixture
async def host() -> MemoryHost:
    host = MemoryHost()
    await host.connect(lambda _: None, lambda _: None)
    return host


async def running(host: MemoryHost) -> str:
    async with site(Subject(host, boot_disk=bytes(512))) as node:
        return await node.guest()


async def test_a_viewer_who_is_too_slow_is_told_what_he_missed_and_others_miss_nothing(host: MemoryHost) -> None:
    uid = await running(host)
    ports = SerialPorts(host)
    async with ports.port(uid) as port:
        with (
            port.listening(viewer("ada"), take_over=False) as slow,
            port.listening(viewer("bob"), take_over=False) as fast,
        ):
            await heard(fast, BOOT_LINE)
            written = b""
            for number in range(40):
                block = b"%05d" % number * 2000
                host.write(uid, block)
                written += await heard(fast, block[-5:])
            expected = b"".join(b"%05d" % number * 2000 for number in range(40))
            assert written == expected
            everything = BOOT_LINE + expected
            role, late = await slow.next(), await slow.next()
            assert role == SerialRole(writer=True, holder="ada")
            missed = len(everything) - BACKLOG
            assert late == b"\r\n[%d bytes left out: too slow]\r\n" % missed + everything[-BACKLOG:]


async def test_what_was_written_before_anybody_looked_comes_first_and_no_more_of_it_than_that(host: MemoryHost) -> None:
    uid = await running(host)
    host.write(uid, bytes(SCROLLBACK) + b"x" * SCROLLBACK)
    ports = SerialPorts(host)
    async with ports.port(uid) as port:
        with port.listening(viewer("ada"), take_over=False) as ada:
            host.write(uid, b"now")
            assert await heard(ada, b"now") == b"x" * SCROLLBACK + b"now"
        with port.listening(viewer("bob"), take_over=False) as bob:
            assert await heard(bob, b"now") == b"x" * (SCROLLBACK - 3) + b"now"


async def test_what_the_guest_wrote_before_qemu_noticed_the_line_is_taken_from_the_log(host: MemoryHost) -> None:
    uid = await running(host)
    ports = SerialPorts(host)
    async with ports.port(uid) as port:
        with port.listening(viewer("ada"), take_over=False) as ada:
            await heard(ada, BOOT_LINE)
            domain = host.machine.domains[uid]
            line, domain.serial = domain.serial, None
            host.write(uid, b"unseen ")  # nobody has the terminal open yet, thinks QEMU
            domain.serial = line
            host.write(uid, b"seen")
            assert await heard(ada, b"seen") == b"unseen seen"


async def test_all_who_look_have_one_line_which_is_closed_after_the_last(host: MemoryHost) -> None:
    uid = await running(host)
    ports = SerialPorts(host)
    async with ports.port(uid) as one:
        line = host.machine.domains[uid].serial
        assert line is not None
        async with ports.port(uid) as other:
            assert other is one
        assert host.machine.domains[uid].serial is line
        assert not line.ended
    await eventually_async(lambda: line.ended, "the line to be closed")
    async with ports.port(uid) as again:
        assert again is not one


async def test_a_log_that_cannot_be_read_keeps_nobody_from_the_line(host: MemoryHost) -> None:
    uid = await running(host)
    host.machine.fails |= {"volume", "read"}
    async with SerialPorts(host).port(uid) as port:
        with port.listening(viewer("ada"), take_over=False) as ada:
            host.write(uid, b"live")
            assert await heard(ada, b"live") == b"live"


async def test_a_line_that_cannot_be_opened_is_told_to_all_who_wait_and_tried_anew(host: MemoryHost) -> None:
    uid = await running(host)
    ports = SerialPorts(host)

    async def look() -> None:
        async with ports.port(uid):
            pass

    host.machine.fails.add("open_serial")
    for outcome in await asyncio.gather(look(), look(), return_exceptions=True):
        assert isinstance(outcome, HostError)
    host.machine.fails.clear()
    await look()
    with pytest.raises(HostError):
        async with ports.port(str(uuid.uuid4())):
            pass
    host.lose()
    with pytest.raises(HostUnreachable):
        await look()


async def test_whoever_comes_to_a_line_that_has_ended_gets_what_there_was_and_the_end(host: MemoryHost) -> None:
    uid = await running(host)
    async with SerialPorts(host).port(uid) as port:
        await host.destroy(uid)
        await eventually_async(lambda: port.ended, "the end")
        with port.listening(viewer("ada"), take_over=False) as ada:
            assert await ada.next() == SerialRole(writer=True, holder="ada")
            assert await ada.next() == BOOT_LINE
            assert await ada.next() is None
