"""A link is opened: what becomes of the ticket, and what is said when it is refused."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from support.browsers import Visit
from support.page_server import TICKET, PageServer, Refusal

SECRET = TICKET.rpartition("/")[2]


def test_the_ticket_is_used_once_and_stays_in_neither_address_nor_history(visit: Visit, server: PageServer) -> None:
    visit.page.goto(server.link)
    visit.wait_for_state("connected")
    assert visit.page.url == server.session
    assert server.seen.redeemed == [TICKET]
    assert not [request for request in server.seen.requests if SECRET in request]
    visit.page.go_back()
    assert visit.page.url == "about:blank"


def test_the_ticket_leaves_the_address_before_it_is_answered(visit: Visit, server: PageServer) -> None:
    visit.page.route("**/api/redeem", lambda route: None)
    visit.page.goto(server.link)
    visit.page.wait_for_url(f"{server.origin}/")
    assert visit.page.evaluate("location.href") == f"{server.origin}/"


def test_nothing_is_asked_of_another_origin(visit: Visit, server: PageServer) -> None:
    visit.page.goto(server.link)
    visit.wait_for_state("connected")
    asked = {urlsplit(address).netloc for address in visit.addresses if not address.startswith("data:")}
    assert asked == {urlsplit(server.origin).netloc}
    assert any(address.startswith("ws:") for address in visit.addresses)


@pytest.mark.parametrize(
    ("status", "reason", "title"),
    [
        (401, "TicketUsed", "This link has been used"),
        (401, "TicketExpired", "This link has expired"),
        (401, "TicketUnknown", "This link is not valid"),
        (403, "Forbidden", "You may not use this console"),
        (410, "InstanceGone", "The Instance was deleted"),
    ],
)
def test_a_refused_ticket_says_why_and_how_to_get_a_new_one(
    visit: Visit, server: PageServer, status: int, reason: str, title: str
) -> None:
    server.script.ticket = Refusal(status, reason, "What the server <b>says</b>.")
    visit.page.goto(server.link)
    visit.wait_for_state("ended")
    assert visit.reason == reason
    assert visit.page.inner_text("#notice-title") == title
    assert visit.page.inner_text("#notice-detail") == "What the server <b>says</b>."
    assert visit.page.inner_text("#notice-command") == "kubectl hypernova vnc NAME"
    assert visit.page.title() == "Console"


def test_without_a_ticket_it_says_how_to_get_one(visit: Visit, server: PageServer) -> None:
    visit.page.goto(server.origin)
    visit.wait_for_state("ended")
    assert visit.reason == "TicketMissing"
    assert visit.page.inner_text("#notice-command") == "kubectl hypernova vnc NAME"
    assert server.seen.redeemed == []


def test_a_ticket_that_came_too_soon_after_others_can_be_tried_again(visit: Visit, server: PageServer) -> None:
    server.script.ticket = Refusal(429, "TooManyTries", "Wait a minute.")
    visit.page.goto(server.link)
    visit.wait_for_state("ended")
    server.script.ticket = None
    visit.page.get_by_role("button", name="Try again").click()
    visit.wait_for_state("connected")


def test_a_new_link_is_opened_where_the_old_one_was_refused(visit: Visit, server: PageServer) -> None:
    server.script.ticket = Refusal(401, "TicketExpired", "This ticket was good until 12:00:01 UTC.")
    visit.page.goto(server.link)
    visit.wait_for_state("ended")
    server.script.ticket = None
    visit.page.goto(server.link)
    visit.wait_for_state("connected")
    assert server.seen.redeemed == [TICKET, TICKET]


def test_a_session_of_another_browser_is_refused_with_a_sentence(visit: Visit, server: PageServer) -> None:
    server.script.info = Refusal(401, "SessionUnknown", "There is no such session here.")
    visit.page.goto(server.session)
    visit.wait_for_state("ended")
    assert visit.page.inner_text("#notice-title") == "This session is not open here"
    assert visit.page.is_hidden("#bar")


def test_without_javascript_it_says_so(chromium: Browser, server: PageServer) -> None:
    with chromium.new_context(java_script_enabled=False) as profile:
        page = profile.new_page()
        page.goto(server.link)
        assert page.get_by_role("heading", name="JavaScript is switched off").is_visible()
