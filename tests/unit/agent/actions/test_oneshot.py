"""Actions that are one call: what they answer, what they say when it fails, how much of a log they show."""

import json
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.actions.oneshot import perform, shown
from hypernova_agent.actions.report import Done, Failed
from hypernova_agent.console.log import console_tail
from hypernova_agent.host import Definition, DomainState, HostUnreachable
from hypernova_api.action import GuestInfo, InstanceAction
from support.builders import an_action, stored
from support.guests import OWNER, UID
from support.machine import Machine, MemoryDomain, MemoryVolume
from support.memory_host import MemoryHost
from support.virtual_time import now, virtual_time

HASH = "$6$salt$hash"


def an_admitted_action(type_: str, **spec: Any) -> InstanceAction:
    return InstanceAction.parse(stored(an_action(type_, **spec)))


async def a_running_guest(**manners: Any) -> MemoryHost:
    host = MemoryHost(Machine(**manners))
    host.machine.domains[UID] = MemoryDomain(
        OWNER, "", Definition(), names.console_log(UID), state=DomainState.RUNNING, running=Definition()
    )
    await host.connect(lambda uid: None, lambda why: None)
    return host


def guest(host: MemoryHost) -> MemoryDomain:
    return host.machine.domains[UID]


async def test_an_nmi_is_sent() -> None:
    host = await a_running_guest()
    assert await perform(host, an_admitted_action("InjectNMI"), UID) == Done()
    assert guest(host).nmis == 1


async def test_a_password_is_set_as_shadow_keeps_it() -> None:
    host = await a_running_guest(has_agent=True)
    action = an_admitted_action("SetPassword", setPassword={"user": "ops", "hash": HASH})
    assert await perform(host, action, UID) == Done()
    assert guest(host).passwords == {"ops": HASH}


async def test_what_the_guest_tells_is_shown() -> None:
    host = await a_running_guest(has_agent=True, guest_info=GuestInfo(hostname="web-1", os="Debian"))
    result = await perform(host, an_admitted_action("GetGuestInfo"), UID)
    assert isinstance(result, Done)
    assert result.output["guestInfo"]["hostname"] == "web-1"


@pytest.mark.parametrize("type_", ["SetPassword", "GetGuestInfo"])
async def test_a_guest_without_agent_is_said_what_it_lacks(type_: str) -> None:
    spec = {"setPassword": {"hash": HASH}} if type_ == "SetPassword" else {}
    result = await perform(await a_running_guest(), an_admitted_action(type_, **spec), UID)
    assert isinstance(result, Failed)
    assert result.reason == "GuestAgentUnavailable"
    assert result.message.endswith("have qemu-guest-agent installed and running in the guest")


async def test_what_the_host_refuses_is_said_in_its_words() -> None:
    host = await a_running_guest(fails={"inject_nmi"})
    result = await perform(host, an_admitted_action("InjectNMI"), UID)
    assert result == Failed("HostError", "internal error: inject_nmi does not work today")


async def test_a_host_that_is_lost_leaves_it_open() -> None:
    host = await a_running_guest()
    host.lose()
    with pytest.raises(HostUnreachable):
        await perform(host, an_admitted_action("InjectNMI"), UID)


@virtual_time
async def test_a_guest_that_does_not_answer_is_given_up() -> None:
    host = await a_running_guest(has_agent=True, seconds=10_000)
    result = await perform(host, an_admitted_action("GetGuestInfo"), UID)
    assert isinstance(result, Failed)
    assert result.reason == "TimedOut"
    assert now() == 30


def with_log(host: MemoryHost, *parts: bytes) -> None:
    """A console log; the newest part first."""
    for name, content in zip(names.console_logs(UID), parts, strict=False):
        host.machine.volumes[name] = MemoryVolume(content)


@pytest.mark.parametrize(
    ("parts", "length", "expected"),
    [
        ((), 10, b""),
        ((b"short",), 10, b"short"),
        ((b"0123456789ABC",), 10, b"3456789ABC"),
        ((b"new", b"older"), 6, b"dernew"),
        ((b"new", b"old", b"oldest"), 100, b"oldestoldnew"),
        ((b"", b"before the rotation"), 8, b"rotation"),
        ((b"x" * (3 << 20) + b"end",), 5, b"xxend"),
        ((b"y" * (1 << 20),), 4, b"yyyy"),
    ],
    ids=["no-log", "short", "cut", "rotated", "all-parts", "just-rotated", "long", "exactly-one-piece"],
)
async def test_a_log_is_read_from_its_end_over_its_parts(
    parts: tuple[bytes, ...], length: int, expected: bytes
) -> None:
    host = await a_running_guest()
    with_log(host, *parts)
    assert await console_tail(host, UID, length) == expected


async def test_the_default_is_the_last_16_kib() -> None:
    host = await a_running_guest()
    with_log(host, b"a" * 20_000)
    result = await perform(host, an_admitted_action("GetConsoleLog"), UID)
    assert result == Done({"consoleLog": "a" * 16384})


def test_what_is_no_text_is_shown_as_far_as_it_can_be() -> None:
    assert shown(b"ok\0\0 \xff\xc3\xa4\xc3") == "ok \ufffdä\ufffd"


@pytest.mark.parametrize("byte", [b"a", b"\x01", b"<", b"\xff", b"\xf0"], ids=repr)
def test_the_largest_log_fits_into_an_object_whatever_it_is_made_of(byte: bytes) -> None:
    text = shown(byte * 262144 + b"end")
    assert text.endswith("end")
    written = json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")
    assert 130_000 < len(written.encode()) <= 1.1 * (1 << 20)
