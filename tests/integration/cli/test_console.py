"""Consoles in the terminal, through a real API server to a console proxy that is played."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from hypernova_api.console import CloseCode, SerialRole
from support.console_api import a_refusal
from support.plugin import finished
from support.waiting import eventually_async

SERIAL = "instances/web-1/serial"


async def typed(viewer, count: int) -> bytes:
    """So many bytes that the guest gets."""
    got = b""
    async with asyncio.timeout(90):
        while len(got) < count:
            got += await viewer.receive_bytes()
    return got


async def test_keys_go_to_the_guest_and_its_output_to_the_screen_until_ctrl_bracket(plugin, console_api, namespace):
    async with plugin.in_terminal("console", "web-1") as ours:
        viewer = await console_api.viewer()
        await viewer.send_str(SerialRole(writer=True, holder="admin").model_dump_json())
        await viewer.send_bytes(b"web-1 login: ")
        await ours.shows("web-1 login: ")
        assert not ours.is_as_before
        ours.type(b"root\r\x03")
        assert await typed(viewer, 6) == b"root\r\x03"
        ours.type(b"\x1d")
        assert await ours.ends() == 0
        assert ours.is_as_before
        for text in ("stty rows 40 cols 120", "Ctrl-] detaches", "[you write]", "[detached]"):
            assert text.encode() in ours.screen
    assert console_api.asked == [("admin", f"{namespace}/{SERIAL}", {})]


async def test_somebody_who_only_reads_is_told_who_writes_and_can_take_the_pen(plugin, console_api):
    async with plugin.in_terminal("console", "web-1", "--take-over") as ours:
        viewer = await console_api.viewer()
        await viewer.send_str(SerialRole(writer=False, holder="alice").model_dump_json())
        await ours.shows("[alice writes; you only read (--take-over takes the pen)]")
    assert console_api.asked[0][2] == {"takeOver": "true"}


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
async def test_a_signal_leaves_the_terminal_as_it_was(plugin, console_api, number, status):
    async with plugin.in_terminal("console", "web-1") as ours:
        await console_api.viewer()
        await ours.shows("[connected to the serial console of web-1]")
        ours.signal(number)
        assert await ours.ends() == status
        assert ours.is_as_before


async def test_the_end_for_good_is_told_with_its_reason(plugin, console_api):
    async with plugin.in_terminal("console", "web-1") as ours:
        viewer = await console_api.viewer()
        await viewer.close(code=CloseCode.REVOKED, message=b"the session was ended by carol")
        assert await ours.ends() == 1
        await ours.shows("error: web-1: the session was ended by carol")
        assert ours.is_as_before


async def test_a_guest_that_reboots_and_a_proxy_that_dies_are_come_back_to(plugin, console_api):
    async with plugin.in_terminal("console", "web-1") as ours:
        viewer = await console_api.viewer()
        await viewer.send_bytes(b"first boot\r\n")
        await ours.shows("first boot")
        console_api.refusals["serial"] = a_refusal(409, "GuestOff", "the guest is off")
        await viewer.close(code=CloseCode.GUEST_OFF, message=b"the guest is rebooting")
        await ours.shows("[the guest is rebooting; connecting again as soon as that works]")
        console_api.refusals.clear()
        viewer = await console_api.viewer()
        await viewer.send_bytes(b"first boot\r\nsecond boot\r\n")
        await ours.shows("second boot")
        console_api.cut()
        viewer = await console_api.viewer()
        await viewer.send_bytes(b"second boot\r\nthird boot\r\n")
        await ours.shows("third boot")
        assert (ours.screen.count(b"first boot"), ours.screen.count(b"second boot")) == (1, 1)
        ours.type(b"\x1d")
        assert await ours.ends() == 0


async def test_what_is_piped_in_is_typed_and_output_is_plain(plugin, console_api):
    process = await plugin.start("console", "web-1", stdin=asyncio.subprocess.PIPE)
    process.stdin.write(b"root\n\x1d")
    viewer = await console_api.viewer()
    await viewer.send_bytes(b"\x1b[1mlogin: ")
    assert await process.stdout.readexactly(11) == b"\x1b[1mlogin: "
    assert await typed(viewer, 6) == b"root\n\x1d"
    result = await finished(process)
    assert (result.status, result.out) == (0, b"")


async def test_a_reader_that_has_seen_enough_ends_it(plugin, console_api):
    reader, writer = os.pipe()
    process = await plugin.start("console", "web-1", "--read-only", stdout=writer)
    os.close(writer)
    viewer = await console_api.viewer()
    os.close(reader)

    async def ended() -> bool:
        with suppress(ConnectionError):
            await viewer.send_bytes(b"more\n")
        return process.returncode is not None

    await eventually_async(ended, "the end", 90)
    assert await process.wait() == 141
    assert b"Traceback" not in await process.stderr.read()
    assert console_api.asked[0][2] == {"readOnly": "true"}


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (a_refusal(409, "GuestOff", "The guest is off."), "The guest is off; start it with `kubectl hypernova start`"),
        (a_refusal(409, "InUse", "alice has it"), "alice has it; --take-over takes it from whoever has it"),
        (a_refusal(404, "NotFound", 'instances "web-1" not found'), 'instances "web-1" not found'),
        (a_refusal(503, "HostUnreachable", "node-a does not answer"), "node-a does not answer"),
    ],
    ids=lambda each: each["reason"] if isinstance(each, dict) else "",
)
async def test_a_refusal_is_one_sentence(plugin, console_api, refusal, text):
    console_api.refusals["serial"] = refusal
    result = await plugin("console", "web-1")
    assert (result.status, result.err) == (1, f"error: {text}\n")
