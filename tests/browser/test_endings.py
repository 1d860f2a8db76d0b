"""The stream ends: the page comes again by itself where that helps, and says why where it does not."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from hypernova_api.console import CloseCode
from support.browsers import Visit
from support.page_server import GUEST_OFF, IN_USE, PATH, PageServer, Refusal
from support.waiting import eventually


@pytest.fixture
def opened(visit: Visit, server: PageServer) -> Visit:
    visit.page.goto(server.session)
    visit.wait_for_state("connected")
    return visit


def _streams_asked_for(server: PageServer) -> int:
    return sum(request.startswith(f"GET {PATH}stream") for request in server.seen.requests)


def test_a_guest_that_goes_off_is_waited_for(opened: Visit, server: PageServer) -> None:
    server.script.phase, server.script.message = "Stopped", "Stopped by bob."
    server.end_streams(CloseCode.GUEST_OFF, "shop/web-1 is off.")
    opened.wait_for_state("waiting")
    expect(opened.page.locator("#notice-title")).to_have_text("The Instance is stopped.")
    expect(opened.page.locator("#notice-detail")).to_have_text("Stopped by bob.")
    asked = _streams_asked_for(server)
    looked = len(server.seen.requests)
    eventually(lambda: len(server.seen.requests) > looked + 1, "the page's looking again")
    assert _streams_asked_for(server) == asked
    server.script.phase = "Running"
    opened.wait_for_state("connected")
    assert opened.page.is_hidden("#notice")


def test_a_reboot_is_waited_for(opened: Visit, server: PageServer) -> None:
    server.script.stream = GUEST_OFF
    server.end_streams(CloseCode.GUEST_OFF, "shop/web-1 is off.")
    opened.wait_for_state("waiting")
    expect(opened.page.locator("#notice-detail")).to_have_text("shop/web-1 is off.")
    asked = _streams_asked_for(server)
    eventually(lambda: _streams_asked_for(server) > asked, "another try")
    server.script.stream = None
    opened.wait_for_state("connected")


@pytest.mark.parametrize(
    ("code", "reason"),
    [(CloseCode.MOVED, "Moved"), (CloseCode.UNREACHABLE, "HostUnreachable"), (1001, "ConnectionLost")],
)
def test_what_passes_is_tried_again(opened: Visit, server: PageServer, code: int, reason: str) -> None:
    server.script.stream = Refusal(503, "HostUnreachable", "node-a does not answer.")
    server.end_streams(code, "So it is.")
    opened.wait_for_state("retrying")
    assert opened.reason in (reason, "HostUnreachable")
    server.script.stream = None
    opened.wait_for_state("connected")


def test_a_proxy_that_dies_is_left_for_another(opened: Visit, server: PageServer) -> None:
    server.script.info = Refusal(502, "", "")
    server.cut_streams()
    opened.wait_for_state("retrying")
    assert opened.reason == "ConnectionLost"
    opened.page.get_by_role("button", name="Try now").click()
    server.script.info = None
    opened.wait_for_state("connected")


@pytest.mark.parametrize(
    ("code", "reason", "title"),
    [
        (CloseCode.GONE, "InstanceGone", "The Instance was deleted"),
        (CloseCode.REVOKED, "Revoked", "The session was ended"),
        (CloseCode.EXPIRED, "SessionExpired", "The time of this session is up"),
    ],
)
def test_what_is_final_is_explained_and_not_tried_again(
    opened: Visit, server: PageServer, code: int, reason: str, title: str
) -> None:
    asked = _streams_asked_for(server)
    server.end_streams(code, "carol ended it.")
    opened.wait_for_state("ended")
    assert opened.reason == reason
    assert opened.page.inner_text("#notice-title") == title
    assert opened.page.inner_text("#notice-detail") == "carol ended it."
    assert opened.page.inner_text("#notice-command") == "kubectl hypernova vnc web-1 -n shop"
    assert opened.page.get_by_role("button", name="Power").count() == 0
    assert opened.page.evaluate("document.activeElement.id") == "notice-title"
    assert _streams_asked_for(server) == asked


def test_who_was_taken_over_learns_by_whom_and_can_take_it_back(opened: Visit, server: PageServer) -> None:
    server.end_streams(CloseCode.TAKEN_OVER, "bob has taken over.")
    opened.wait_for_state("ended")
    assert opened.reason == "TakenOver"
    assert opened.page.inner_text("#notice-detail") == "bob has taken over."
    opened.page.get_by_role("button", name="Take over").click()
    opened.wait_for_state("connected")
    assert server.seen.took_over == 1


def test_a_console_in_use_is_taken_over_by_choice_only(visit: Visit, server: PageServer) -> None:
    server.script.stream = IN_USE
    visit.page.goto(server.session)
    visit.wait_for_state("ended")
    assert visit.reason == "InUse"
    assert visit.page.inner_text("#notice-detail") == IN_USE.message
    assert server.seen.took_over == 0
    visit.page.get_by_role("button", name="Take over").click()
    visit.wait_for_state("connected")
    assert server.seen.took_over == 1


def test_a_guest_that_is_off_from_the_start_is_waited_for(visit: Visit, server: PageServer) -> None:
    server.script.phase = "Building"
    visit.page.goto(server.session)
    visit.wait_for_state("waiting")
    expect(visit.page.locator("#notice-title")).to_have_text("The Instance is being built.")
    server.script.phase = "Running"
    visit.wait_for_state("connected")


def test_who_waits_may_disconnect(opened: Visit, server: PageServer) -> None:
    server.script.phase = "Stopped"
    server.end_streams(CloseCode.GUEST_OFF, "shop/web-1 is off.")
    opened.wait_for_state("waiting")
    opened.page.get_by_role("button", name="Session").click()
    opened.page.locator("#detach").click()
    opened.wait_for_state("detached")


def test_the_end_of_the_session_is_announced_in_time(visit: Visit, server: PageServer) -> None:
    server.script.lasts = timedelta(minutes=4)
    visit.page.goto(server.session)
    visit.wait_for_state("connected")
    expect(visit.page.locator("#left")).to_have_class("soon")
    expect(visit.page.locator("#left")).to_contain_text("min left")
