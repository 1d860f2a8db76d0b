"""The console endpoint: whom it lets in, what it passes on, how it ends."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from hypernova_agent.console import viewer
from hypernova_agent.host import DomainState
from hypernova_api.certificates import CONSOLE_NAME
from hypernova_api.console import LONGEST_MESSAGE, CloseCode, SerialRole
from hypernova_kube.resources import Key
from support.authority import Authority
from support.consoles import GREETING, HELLO, NAMESPACE, NODE, Seat, Site, site
from support.host_contract import Subject
from support.memory_console import MemoryScreen
from support.memory_host import BOOT_LINE, MemoryHost
from support.waiting import eventually_async

KEY = b"\x04\x01\x00\x00\x00\x00\x00\x61"
UPDATE = b"\x03\x01" + bytes(8)


@pytest.fixture
async def host() -> MemoryHost:
    return MemoryHost()


@pytest.fixture
async def node(host: MemoryHost) -> AsyncIterator[Site]:
    subject = Subject(host, boot_disk=bytes(512))
    await subject.connect()
    async with site(subject) as node:
        yield node


def screen(host: MemoryHost, uid: str, number: int = -1) -> MemoryScreen:
    return host.machine.domains[uid].screens[number]


# Who may ask


async def test_whoever_has_no_certificate_of_ours_for_clients_gets_no_answer(node: Site) -> None:
    await node.guest()
    of_another = Authority().client(CONSOLE_NAME)
    of_another.load_verify_locations(cadata=node.authority.pem)
    strangers = [
        of_another,
        node.authority.trusting(),
        node.authority.client(NODE, usage=ExtendedKeyUsageOID.SERVER_AUTH),  # an agent's own
        node.authority.client(CONSOLE_NAME, usage=ExtendedKeyUsageOID.SERVER_AUTH),
    ]
    for context in strangers:
        async with node.proxy(context) as http:
            with pytest.raises(aiohttp.ClientError):
                await http.get(node.url("screenshot"))
    async with node.http.get(node.url("screenshot")) as answer:
        assert answer.status == 200


async def test_a_client_of_ours_by_another_name_is_told_that_it_may_not(node: Site) -> None:
    await node.guest()
    context = node.authority.client("hypernova-operator")
    async with node.proxy(context) as http, http.get(node.url("screenshot")) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (403, "NotTheConsoleProxy")


@pytest.mark.parametrize("what", ["vnc", "serial", "screenshot"])
async def test_an_instance_that_is_not_here_or_another_of_its_name_has_no_console(node: Site, what: str) -> None:
    uid = await node.guest()
    for name, wanted in (("web-2", uid), ("web-1", str(uuid.uuid4()))):
        status, body = await node.refused(what, name, uid=wanted)
        assert (status, body["reason"]) == (404, "InstanceNotHere")


@pytest.mark.parametrize("what", ["vnc", "serial", "screenshot"])
async def test_a_guest_that_is_off_has_no_console(node: Site, what: str) -> None:
    node.bind("web-1", await node.subject.defined())
    node.bind("web-2", str(uuid.uuid4()))
    for name in ("web-1", "web-2"):
        status, body = await node.refused(what, name)
        assert (status, body["reason"]) == (409, "GuestOff")


@pytest.mark.parametrize("what", ["vnc", "serial", "screenshot"])
async def test_without_libvirt_there_is_none_for_now(node: Site, host: MemoryHost, what: str) -> None:
    await node.guest()
    host.lose()
    status, body = await node.refused(what)
    assert (status, body["reason"]) == (503, "HostUnreachable")


@pytest.mark.parametrize("what", ["vnc", "serial", "screenshot"])
async def test_what_the_host_says_against_it_is_passed_on(node: Site, host: MemoryHost, what: str) -> None:
    await node.guest()
    host.machine.fails |= {"open_graphics", "open_serial", "screenshot"}
    status, body = await node.refused(what)
    assert (status, body["reason"]) == (502, "HostError")
    assert "does not work today" in body["message"]
    assert node.metrics.console_refusals.labels("HostError")._value.get() == 1


async def test_what_is_asked_in_another_way_is_refused(node: Site) -> None:
    await node.guest()
    assert (await node.refused("vnc", colour="red"))[1]["reason"] == "BadRequest"
    async with node.http.get(node.url("vnc")) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (400, "BadRequest")


async def test_a_screenshot_is_a_picture(node: Site) -> None:
    await node.guest()
    async with node.http.get(node.url("screenshot")) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert (await answer.read()).startswith(b"\x89PNG")


# Screens


async def test_a_screen_is_seen_and_typed_at(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)
        await ada.say(HELLO + KEY)
        assert await screen(host, uid).receive(len(HELLO + KEY)) == HELLO + KEY
        await screen(host, uid).send(b"pixels")
        await ada.sees(b"pixels")
        assert node.metrics.consoles.labels("VNC")._value.get() == 1
    await eventually_async(lambda: not node.consoles.viewers(uid), "the viewer to be forgotten")
    assert node.metrics.consoles.labels("VNC")._value.get() == 0
    assert node.metrics.console_bytes.labels("VNC", "out")._value.get() == len(GREETING + b"pixels")
    assert node.metrics.console_bytes.labels("VNC", "in")._value.get() == len(HELLO + KEY)


async def test_one_who_may_only_look_types_nothing(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc", readOnly="true") as ada:
        await ada.say(HELLO + KEY + UPDATE)
        assert await screen(host, uid).receive(len(HELLO + UPDATE)) == HELLO + UPDATE
        await ada.say(b"\x07")
        code, reason = await ada.ending()
        assert (code, reason) == (1008, "the viewer sent a message of a type that is not known here: 07")
    assert screen(host, uid).waiting() == b""


async def test_two_look_at_once_and_each_has_a_way_of_his_own(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada, node.look("vnc", user="bob") as bob:
        for number, seat in enumerate((ada, bob)):
            await seat.sees(GREETING)
            await screen(host, uid, number).send(b"pixels %d" % number)
            await seat.sees(b"pixels %d" % number)


async def test_one_who_would_be_alone_is_told_who_is_there_and_may_take_over(node: Site) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        status, body = await node.refused("vnc", user="eve", exclusive="true")
        assert (status, body["reason"], body["holder"]) == (409, "InUse", "ada")
        assert re.fullmatch(
            r"ada is looking at it since \S+Z: come with takeOver=true to end that, or later", body["message"]
        )
        async with node.look("vnc", user="eve", exclusive="true", takeOver="true") as eve:
            assert await ada.ending() == (CloseCode.TAKEN_OVER, "eve has taken it over")
            await eve.sees(GREETING)

            assert (await node.refused("vnc", user="bob"))[1]["holder"] == "eve"
            async with node.look("vnc", user="bob", takeOver="true") as bob:
                assert await eve.ending() == (CloseCode.TAKEN_OVER, "bob has taken it over")
                await bob.sees(GREETING)
    await eventually_async(lambda: not node.consoles.viewers(uid), "all to be forgotten")


async def test_a_message_that_is_too_long_ends_the_session_and_one_of_text_too(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        await ada.say(bytes(LONGEST_MESSAGE + 1))
        assert (await ada.ending())[0] == 1009
    async with node.look("vnc") as ada:
        await ada.socket.send_str("hello")
        assert await ada.ending() == (1003, "a console takes binary messages alone")
    await eventually_async(lambda: not node.consoles.viewers(uid), "both to be forgotten")


async def test_a_viewer_who_does_not_read_holds_up_his_guest_s_screen_and_nothing_else(
    node: Site, host: MemoryHost
) -> None:
    uid = await node.guest()
    async with node.look("vnc") as slow, node.look("vnc", user="bob") as bob:
        for seat in (slow, bob):
            await seat.sees(GREETING)
        # He stops reading: what is between fills, and then QEMU has to wait.
        slow.socket._response.connection.transport.pause_reading()
        drawing = asyncio.create_task(screen(host, uid, 0).send(bytes(64 << 20)))
        done, _ = await asyncio.wait([drawing], timeout=2.0)
        assert not done
        await screen(host, uid, 1).send(b"pixels")
        await bob.sees(b"pixels")
        slow.socket._response.connection.transport.resume_reading()
        while not drawing.done():
            await slow.sees_more()
        await drawing


async def test_a_viewer_who_is_not_there_any_more_is_found_out(
    node: Site, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "_HEARTBEAT_SECONDS", 0.2)
    uid = await node.guest()
    async with node.http.ws_connect(node.url("vnc"), autoping=False) as half_open:
        assert (await half_open.receive()).data == GREETING
        await eventually_async(lambda: not node.consoles.viewers(uid), "the viewer to be given up")
        with pytest.raises(AssertionError, match="the viewer left"):
            await screen(host, uid).receive(1)


# Serial ports


async def test_the_first_writes_and_others_read_and_each_knows(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("serial") as ada, node.look("serial", user="bob") as bob:
        for seat, writes in ((ada, True), (bob, False)):
            await seat.is_told(SerialRole(writer=writes, holder="ada"))
            await seat.sees(BOOT_LINE)  # of the time before anybody looked
        host.write(uid, b"login: ")
        for seat in (ada, bob):
            await seat.sees(b"login: ")
        await bob.say(b"nobody hears this")
        await ada.say(b"root")
        line = host.machine.domains[uid].serial
        assert line is not None
        await eventually_async(lambda: line.typed, "the guest to hear it")
        assert line.typed == b"root"


async def test_the_pen_is_taken_over_and_passed_on_and_each_learns(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("serial") as ada, node.look("serial", user="ron", readOnly="true", takeOver="true") as ron:
        await ron.is_told(SerialRole(writer=False, holder="ada"))
        async with node.look("serial", user="bob", takeOver="true") as bob:
            for seat in (ada, ron, bob):
                await seat.is_told(SerialRole(writer=seat is bob, holder="bob"))
            await ada.say(b"nobody hears this")
            await bob.say(b"bob")
            line = host.machine.domains[uid].serial
            assert line is not None
            await eventually_async(lambda: line.typed, "the guest to hear it")
            assert line.typed == b"bob"
        await ada.is_told(SerialRole(writer=True, holder="ada"))
        await ron.is_told(SerialRole(writer=False, holder="ada"))


async def test_a_serial_port_can_be_somebody_s_alone(node: Site) -> None:
    await node.guest()
    async with node.look("serial") as ada:
        await ada.is_told(SerialRole(writer=True, holder="ada"))
        async with node.look("serial", user="eve", exclusive="true", takeOver="true") as eve:
            assert await ada.ending() == (CloseCode.TAKEN_OVER, "eve has taken it over")
            await eve.is_told(SerialRole(writer=True, holder="eve"))
            assert (await node.refused("serial", user="bob"))[1]["holder"] == "eve"


async def test_a_session_that_comes_again_has_its_pen_back_from_its_old_connection(node: Site) -> None:
    await node.guest()
    async with node.look("serial", session="shop/s-1") as old, node.look("serial", session="shop/s-1") as new:
        await new.is_told(SerialRole(writer=True, holder="ada"))
        await old.is_told(SerialRole(writer=False, holder="ada"))


async def test_a_guest_that_takes_nothing_holds_up_who_types_and_nobody_else(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("serial") as ada, node.look("serial", user="bob") as bob:
        await ada.is_told(SerialRole(writer=True, holder="ada"))
        line = host.machine.domains[uid].serial
        assert line is not None
        line.takes.clear()
        typing = asyncio.create_task(_type_without_end(ada))
        done, _ = await asyncio.wait([typing], timeout=2.0)
        assert not done  # nothing is kept for the guest
        host.write(uid, b"pixels")
        await bob.sees(b"pixels")
        line.takes.set()
        await typing
        await eventually_async(lambda: len(line.typed) == 64 << 20, "the guest to take it all")


async def _type_without_end(seat: Seat) -> None:
    for _ in range(4096):
        await seat.say(bytes(1 << 14))


# Ends


@pytest.mark.parametrize("what", ["vnc", "serial"])
async def test_a_guest_that_ends_ends_its_consoles(node: Site, what: str) -> None:
    uid = await node.guest()
    async with node.look(what) as ada:
        await eventually_async(lambda: node.consoles.viewers(uid), "the viewer")
        await node.subject.host.destroy(uid)
        assert await ada.ending() == (CloseCode.GUEST_OFF, "the guest is off")


@pytest.mark.parametrize("what", ["vnc", "serial"])
async def test_an_instance_that_is_being_deleted_is_gone_and_not_just_off(node: Site, what: str) -> None:
    uid = await node.guest()
    async with node.look(what) as ada:
        await eventually_async(lambda: node.consoles.viewers(uid), "the viewer")
        instance = node.instances[Key(NAMESPACE, "web-1")]
        metadata = instance.metadata.model_copy(update={"deletion_timestamp": "2026-11-21T10:15:00Z"})
        node.instances[Key(NAMESPACE, "web-1")] = instance.model_copy(update={"metadata": metadata})
        await node.subject.host.destroy(uid)
        assert await ada.ending() == (CloseCode.GONE, "the Instance was deleted")


@pytest.mark.parametrize(
    ("deleting", "ending"),
    [
        (True, (CloseCode.GONE, "the Instance was deleted")),
        (False, (CloseCode.MOVED, "the Instance is not on this node any more")),
    ],
    ids=["deleted", "moved"],
)
async def test_an_instance_that_leaves_the_node_ends_its_viewers(
    node: Site, deleting: bool, ending: tuple[int, str]
) -> None:
    uid = await node.guest()
    await node.guest("web-2")
    async with node.look("vnc") as ada, node.look("serial") as bob, node.look("vnc", "web-2") as other:
        await eventually_async(lambda: len(node.consoles.viewers(uid)) == 2, "both viewers")
        obj = node.instances.pop(Key(NAMESPACE, "web-1")).to_wire()
        if deleting:
            obj["metadata"]["deletionTimestamp"] = "2026-11-21T10:15:00Z"
        node.consoles.gone(obj)
        assert await ada.ending() == ending
        assert await bob.ending() == ending
        await other.sees(GREETING)


async def test_a_guest_that_ends_as_its_instance_leaves_may_be_elsewhere(node: Site) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)
        del node.instances[Key(NAMESPACE, "web-1")]
        await node.subject.host.destroy(uid)
        assert (await ada.ending())[0] == CloseCode.MOVED


async def test_without_libvirt_serial_lines_end_and_screens_go_on(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada, node.look("serial") as bob:
        await eventually_async(lambda: len(node.consoles.viewers(uid)) == 2, "both viewers")
        host.lose()
        assert await bob.ending() == (CloseCode.UNREACHABLE, "libvirt on the node does not answer")
        await screen(host, uid).send(b"pixels")
        await ada.sees(b"pixels")


async def test_a_screen_that_ends_while_its_guest_runs_can_be_had_again(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)
        screen(host, uid).end()
        assert await ada.ending() == (CloseCode.UNREACHABLE, "the guest runs, but its host has ended this console")
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)


async def test_an_agent_that_ends_tells_its_viewers_to_come_again(host: MemoryHost) -> None:
    subject = Subject(host, boot_disk=bytes(512))
    await subject.connect()
    async with site(subject) as node:
        uid = await node.guest()
        async with node.look("vnc") as ada, node.look("serial") as bob:
            await eventually_async(lambda: len(node.consoles.viewers(uid)) == 2, "both viewers")
            endings = [asyncio.create_task(seat.ending()) for seat in (ada, bob)]
            node.consoles.end()
            await node.endpoint.__aexit__()
            assert await asyncio.gather(*endings) == [(CloseCode.UNREACHABLE, "the agent is restarting")] * 2


async def test_a_crash_is_an_end_like_another(node: Site, host: MemoryHost) -> None:
    uid = await node.guest()
    async with node.look("vnc") as ada:
        await ada.sees(GREETING)
        host.end(uid, DomainState.CRASHED)
        assert (await ada.ending())[0] == CloseCode.GUEST_OFF


async def test_who_looks_since_when_is_known(node: Site) -> None:
    uid = await node.guest()
    async with node.look("vnc", exclusive="true"):
        (ada,) = await eventually_async(lambda: node.consoles.viewers(uid), "the viewer")
        assert (ada.user, ada.session, ada.exclusive) == ("ada", "shop/ada", True)
        assert ada.since <= datetime.now(UTC)
