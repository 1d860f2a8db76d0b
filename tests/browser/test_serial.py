"""The page of a serial line, with a real guest that says what it hears."""

import re

import pytest
from playwright.sync_api import Browser, expect

from hypernova_api.console import CloseCode, SerialRole
from support import browsers
from support.bare_guest import BareGuest
from support.browsers import Visit
from support.page_server import PageServer
from support.waiting import eventually


@pytest.fixture
def opened(visit: Visit, server: PageServer) -> Visit:
    server.script.type = "Serial"
    visit.page.goto(server.session)
    visit.wait_for_state("connected")
    return visit


def _shows(visit: Visit, text: str) -> None:
    eventually(lambda: text in visit.terminal(), f"{text!r} in the terminal")


_STYLES = """words => Object.fromEntries(words.map(word => {
  const cells = [...document.querySelectorAll(".xterm-rows span")].findLast(cells => cells.textContent.includes(word));
  const { color, fontWeight } = getComputedStyle(cells);
  return [word, [color, fontWeight]];
}))"""
"""How words look: xterm.js makes the elements of a line anew whenever it changes, so they are read at once."""


def test_what_is_typed_reaches_the_guest_and_comes_back(opened: Visit, keys_guest: BareGuest) -> None:
    opened.page.keyboard.type("First Line")
    opened.page.keyboard.press("Enter")
    _shows(opened, "First Line")
    assert "First Line" in keys_guest.said
    assert opened.page.title() == "shop/web-1 · serial console"


def test_the_guests_colours_are_drawn_under_the_strict_policy(chromium: Browser, server: PageServer) -> None:
    server.script.type = "Serial"
    with browsers.visiting(chromium, color_scheme="dark") as visit:
        visit.page.goto(server.session)
        visit.wait_for_state("connected")
        paste = "document.querySelector('.xterm-helper-textarea')"
        # The guest sends back what it gets: a colour of 24 bits, one of the palette, bold.
        visit.page.locator(".xterm-helper-textarea").focus()
        for text in ("\x1b[38;2;255;120;0mORANGE", "\x1b[0;32mGREEN", "\x1b[0;1mBOLD\x1b[0m"):
            visit.page.evaluate(
                f"text => {paste}.dispatchEvent(new InputEvent('input', {{data: text, inputType: 'insertText'}}))", text
            )
        _shows(visit, "BOLD")
        colours = visit.page.evaluate(_STYLES, ["ORANGE", "GREEN", "BOLD"])
        assert colours["ORANGE"][0] == "rgb(255, 120, 0)"
        assert colours["GREEN"][0] == "rgb(78, 154, 6)"
        assert colours["BOLD"][1] == "700"


def test_a_reader_is_told_who_writes_and_takes_over_by_choice(visit: Visit, server: PageServer) -> None:
    server.script.type = "Serial"
    server.script.role = SerialRole(writer=False, holder="bob")
    visit.page.goto(server.session)
    visit.wait_for_state("connected")
    expect(visit.page.locator("#role-text")).to_have_text("bob writes; you read along.")
    assert visit.page.get_by_role("button", name="Keys").is_disabled()
    server.script.role = SerialRole(writer=True, holder="alice")
    visit.page.get_by_role("button", name="Take over").click()
    expect(visit.page.locator("#role")).to_be_hidden()
    visit.wait_for_state("connected")
    assert server.seen.took_over == 1


def test_a_writer_whose_pen_is_taken_is_told_and_types_in_vain(opened: Visit, server: PageServer) -> None:
    server.say(SerialRole(writer=False, holder="bob"))
    expect(opened.page.locator("#role-text")).to_have_text("bob writes; you read along.")
    opened.page.keyboard.type("unheard")
    server.say(SerialRole(writer=True, holder="alice"))
    expect(opened.page.locator("#role")).to_be_hidden()
    opened.page.keyboard.type("heard again")
    _shows(opened, "heard again")
    assert b"".join(server.seen.messages) == b"heard again"


def test_view_only_sends_nothing(opened: Visit, server: PageServer) -> None:
    opened.page.get_by_role("button", name="View only").click()
    opened.page.locator(".xterm-screen").click()
    opened.page.keyboard.type("unheard")
    opened.page.get_by_role("button", name="View only").click()
    opened.page.locator(".xterm-screen").click()
    opened.page.keyboard.type("heard again")
    _shows(opened, "heard again")
    assert b"".join(server.seen.messages) == b"heard again"


def test_keys_that_browsers_keep_are_sent_from_the_menu(opened: Visit, server: PageServer) -> None:
    opened.page.get_by_role("button", name="Keys").click()
    opened.page.get_by_role("menuitem", name="Ctrl + W").click()
    eventually(lambda: b"".join(server.seen.messages) == b"\x17", "the control character")


def test_text_goes_both_ways_through_the_clipboards_panel(opened: Visit) -> None:
    page = opened.page
    page.get_by_role("button", name="Clipboard").click()
    page.get_by_role("textbox", name="Text to send or copy").fill("pasted words")
    page.get_by_role("button", name="Send to guest").click()
    _shows(opened, "pasted words")
    page.locator(".xterm-screen").dblclick(position={"x": 20, "y": 8})
    page.get_by_role("button", name="Clipboard").click()
    expect(page.get_by_role("textbox", name="Text to send or copy")).to_have_value("pasted")


def test_what_was_said_stays_to_be_read_when_the_guest_is_off(opened: Visit, server: PageServer) -> None:
    opened.page.keyboard.type("last words")
    _shows(opened, "last words")
    server.script.phase = "Stopped"
    server.end_streams(CloseCode.GUEST_OFF, "shop/web-1 is off.")
    opened.wait_for_state("waiting")
    _shows(opened, "last words")
    server.script.phase = "Running"
    opened.wait_for_state("connected")


def test_the_keyboard_finds_its_way_out_of_the_terminal(opened: Visit) -> None:
    expect(opened.page.locator(".xterm-helper-textarea")).to_be_focused()
    opened.page.keyboard.press("Tab")
    expect(opened.page.locator(".xterm-helper-textarea")).to_be_focused()
    opened.page.keyboard.press("Control+Alt+Home")
    expect(opened.page.get_by_role("button", name="Keys")).to_be_focused()


def test_who_ends_the_session_is_told_how_to_come_again(opened: Visit) -> None:
    opened.page.get_by_role("button", name="Session").click()
    opened.page.get_by_role("menuitem", name=re.compile("^End session")).click()
    opened.page.get_by_role("dialog").get_by_role("button", name="End session").click()
    opened.wait_for_state("ended")
    assert opened.page.inner_text("#notice-command") == "kubectl hypernova console web-1 -n shop"
