"""Consoles end to end: API server, proxy, agent, libvirt and a guest, seen in Chromium and in a terminal."""

from __future__ import annotations

import itertools
import json
import os
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hack.stack import Stack
from support import browsers
from support.browsers import Visit
from support.console_user import ConsoleUser, ask, first_words, picture, redeem
from support.user import KEYS, LINUX, User
from support.waiting import eventually

REVIEW_SECONDS = "2"
_names = (f"user-{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def _consoles(stack: Stack) -> Iterator[None]:
    stack.start_console("--review-seconds", REVIEW_SECONDS)
    yield
    stack.stop_console()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    with browsers.visiting(chromium, viewport={"width": 1280, "height": 800}) as visit:
        yield visit


@pytest.fixture
def somebody(_consoles: None, stack: Stack) -> ConsoleUser:
    """Who may edit what is in the namespace, and so may use consoles."""
    return ConsoleUser(stack, next(_names)).grant("edit")


@pytest.fixture
def guest(user: User) -> User:
    """A user with a guest `web-1` that shows what is typed."""
    user.create("web-1", **KEYS)
    user.wait("web-1", "Running")
    user.wait_console("web-1", "HYPERNOVA-GUEST KEYS")
    return user


def opened(visit: Visit, link: str) -> Visit:
    visit.page.goto(link)
    visit.wait_for_state("connected")
    return visit


def sessions(user: User) -> list[str]:
    return user.kubectl("get", "consolesessions", "--output=name").split()


def test_a_link_shows_the_guests_own_screen_and_types_into_it(
    guest: User, somebody: ConsoleUser, visit: Visit, tmp_path: Path
) -> None:
    link = somebody.link("web-1")
    opened(visit, link)
    assert "ticket" not in visit.page.url
    # The cursor of text mode blinks: the two are taken again until it does not between them.
    eventually(
        lambda: picture(visit.page, somebody.screenshot("web-1")) == visit.screen(),
        "the picture that QEMU itself has",
        60,
    )
    visit.page.keyboard.type("typed in a browser")
    guest.wait_console("web-1", "typed in a browser")
    kept = Path(os.environ.get("HYPERNOVA_SCREENSHOTS", tmp_path)) / "console.png"
    visit.page.screenshot(path=kept)
    print(f"the page as it looks: {kept}")


def test_the_serial_page_reads_and_writes_the_guests_line(guest: User, somebody: ConsoleUser, visit: Visit) -> None:
    opened(visit, somebody.ticket("web-1", "Serial"))
    eventually(lambda: "HYPERNOVA-GUEST KEYS" in visit.terminal(), "what the guest wrote before anybody looked")
    visit.page.keyboard.type("by serial line")
    guest.wait_console("web-1", "by serial line")
    eventually(lambda: "by serial line" in visit.terminal(), "the guest's echo")


def test_a_terminal_logs_in_to_a_linux_guest_and_leaves_it_running(user: User, somebody: ConsoleUser) -> None:
    user.create("web-1", **LINUX)
    user.wait_console("web-1", "HYPERNOVA-GUEST READY")
    with somebody.terminal("console", "web-1") as terminal:
        terminal.wait("HYPERNOVA-GUEST READY")
        terminal.type(b"\r")
        terminal.wait("#")
        terminal.type(b"echo the answer is $((6 * 7))\r")
        terminal.wait("the answer is 42")
        terminal.type(b"\x1d")
        assert terminal.ended() == 0
    assert user.get("web-1")["status"]["phase"] == "Running"
    eventually(lambda: sessions(user) == [], "the session to be gone with its connection")


def test_a_ticket_begins_one_session_though_two_replicas_take_it_at_once(guest: User, somebody: ConsoleUser) -> None:
    stack = guest.stack
    replica = stack.console("console-2", "--review-seconds", REVIEW_SECONDS)
    replica.start()
    try:
        for _ in range(5):
            link = somebody.link("web-1")
            places = [stack.console_url(), stack.console_url("console-2")]
            with ThreadPoolExecutor(len(places)) as pool:
                answers = list(pool.map(partial(redeem, link), places))
            assert sorted(answer.status for answer in answers) == [200, 401]
            assert next(each.reason for each in answers if each.status == 401) == "TicketUsed"
        # Whoever has begun it goes on at any replica, also when the first is gone.
        (begun,) = [each for each in answers if each.status == 200]
        info = json.loads(begun.body)["url"] + "info"
        for at in places:
            assert ask(at, "GET", info, {"Cookie": begun.cookie}).status == 200
    finally:
        replica.stop()


def test_who_may_look_is_kubernetes_to_say_by_role_and_by_name(guest: User, somebody: ConsoleUser) -> None:
    viewer = ConsoleUser(guest.stack, next(_names)).grant("view")
    named = ConsoleUser(guest.stack, next(_names))
    guest.kubectl(
        *("create", "role", named.name, "--verb=get", "--resource-name=web-1"),
        "--resource=instances.subresources.compute.hypernova.dev/screenshot",
    )
    account = f"--serviceaccount=default:{named.name}"
    guest.kubectl("create", "rolebinding", named.name, f"--role={named.name}", account)
    eventually(lambda: named.may("get", "screenshot", "web-1"), "the role to be known")
    rights = [
        (each.may("get", "vnc"), each.may("get", "screenshot", "web-1"), each.may("get", "screenshot", "web-2"))
        for each in (somebody, viewer, named)
    ]
    assert rights == [(True, True, True), (False, False, False), (False, True, False)]

    assert named.screenshot("web-1").startswith(b"\x89PNG")
    refused = viewer.hypernova("vnc", "web-1", "--print-url")
    assert refused.returncode != 0
    assert "instances/ticket" in refused.stderr.decode()
    assert "Traceback" not in refused.stderr.decode()


def test_a_session_ends_at_once_when_somebody_ends_it(guest: User, somebody: ConsoleUser, visit: Visit) -> None:
    opened(visit, somebody.link("web-1"))
    (session,) = sessions(guest)
    guest.kubectl("delete", session)
    visit.wait_for_state("ended", 5)
    assert visit.reason == "Revoked"


def test_a_session_ends_when_its_user_loses_the_right(guest: User, somebody: ConsoleUser, visit: Visit) -> None:
    opened(visit, somebody.link("web-1"))
    somebody.withdraw()
    visit.wait_for_state("ended", 30)
    assert visit.reason == "Revoked"


def test_a_session_ends_with_its_instance(guest: User, somebody: ConsoleUser, visit: Visit) -> None:
    opened(visit, somebody.link("web-1"))
    guest.delete("web-1")
    visit.wait_for_state("ended", 30)
    eventually(lambda: sessions(guest) == [], "the session to be collected")


def test_the_page_waits_for_a_guest_that_is_off_and_comes_back_with_it(
    guest: User, somebody: ConsoleUser, visit: Visit
) -> None:
    opened(visit, somebody.link("web-1"))
    guest.patch("web-1", powerState="Stopped")
    visit.wait_for_state("waiting", 60)
    guest.patch("web-1", powerState="Running")
    visit.wait_for_state("connected", 60)
    visit.page.keyboard.type("back again")
    guest.wait_console("web-1", "back again")


@pytest.mark.parametrize("part", ["agent", "proxy"])
def test_the_page_comes_back_after_a_part_of_the_way_was_killed(
    guest: User, somebody: ConsoleUser, visit: Visit, part: str
) -> None:
    stack = guest.stack
    opened(visit, somebody.link("web-1"))
    program = stack.console() if part == "proxy" else stack.agent(guest.get("web-1")["status"]["nodeName"])
    program.stop(kill=True)
    visit.page.wait_for_selector('body:not([data-state="connected"])', timeout=60_000)
    program.start()
    visit.wait_for_state("connected", 90)
    visit.page.keyboard.type(f"after {part}")
    guest.wait_console("web-1", f"after {part}")


def test_an_agent_says_who_it_is_and_nothing_more_to_whoever_is_not_the_proxy(
    guest: User, somebody: ConsoleUser
) -> None:
    node = guest.get("web-1")["status"]["nodeName"]
    endpoint = json.loads(guest.kubectl("get", "hypervisor", node, "--output=json"))["status"]["console"]
    authority = guest.kubectl(
        *("get", "configmap", "hypernova-ca", "--namespace=hypernova-system"), r"--output=jsonpath={.data.ca\.crt}"
    )
    context = ssl.create_default_context(cadata=authority)
    assert first_words(context, (endpoint["address"], endpoint["port"]), node) == b""


def test_no_log_of_ours_has_a_secret_in_it(guest: User, somebody: ConsoleUser) -> None:
    link = somebody.link("web-1")
    secret = link.rpartition("/")[2]
    answer = redeem(link)
    assert answer.status == 200
    key = answer.cookie.partition("=")[2]
    assert redeem(link).reason == "TicketUsed"
    stack = guest.stack
    for program in (stack.console(), stack.operator(), stack.agent("node-a"), stack.agent("node-b")):
        for word in (secret, key):
            assert word not in program.log
