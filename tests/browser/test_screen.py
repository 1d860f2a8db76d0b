"""The page of a guest's screen, with a real guest."""

import itertools
import re

import pytest
from playwright.sync_api import Browser, expect

from support import browsers
from support.bare_guest import BareGuest
from support.browsers import Visit
from support.page_server import PageServer
from support.waiting import eventually

_words = (f"w{number}x" for number in itertools.count(1))

# RFB client messages that are no input: how to draw, what to draw, keep drawing.
SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, CONTINUOUS_UPDATES = 0, 2, 3, 150
# ... and noVNC's answer to what QEMU's clipboard can do: ClientCutText, its length negative, that is, an extension.
CLIPBOARD_ABILITIES = b"\6\0\0\0\xff"


@pytest.fixture
def word() -> str:
    """What no other test has typed."""
    return next(_words)


@pytest.fixture
def opened(visit: Visit, server: PageServer) -> Visit:
    server.script.actions = ("Reboot",)
    return _open(visit, server)


def _open(visit: Visit, server: PageServer) -> Visit:
    visit.page.goto(server.session)
    visit.wait_for_state("connected")
    return visit


def _heard(guest: BareGuest, text: str) -> None:
    eventually(lambda: text in guest.said, f"{text!r} on the guest's serial line")


def test_the_guests_own_picture_is_drawn(opened: Visit, keys_guest: BareGuest) -> None:
    # The cursor of text mode blinks: the two are taken again until it does not between them.
    eventually(lambda: opened.screen() == keys_guest.screen(), "the picture that QEMU itself has")
    assert any(opened.screen().pixels)


def test_keys_reach_the_guest(opened: Visit, keys_guest: BareGuest, word: str) -> None:
    opened.page.keyboard.type(word)
    _heard(keys_guest, word)


def test_the_page_says_what_it_shows_to_whom_and_for_how_long(visit: Visit, server: PageServer) -> None:
    server.script.others = 2
    _open(visit, server)
    assert visit.page.title() == "shop/web-1 · screen"
    bar = visit.page.locator("#bar")
    for text in ("shop/web-1", "Connected", "Running", "alice@example.com", "2 other viewers", "8 h left"):
        expect(bar).to_contain_text(text)
    assert visit.page.get_by_role("application", name="Screen of shop/web-1").is_visible()


def test_ctrl_alt_del_restarts_the_guest(opened: Visit, keys_guest: BareGuest) -> None:
    boots = keys_guest.said.count("HYPERNOVA-GUEST KEYS")
    opened.page.get_by_role("button", name="Ctrl-Alt-Del").click()
    eventually(lambda: keys_guest.said.count("HYPERNOVA-GUEST KEYS") == boots + 1, "the guest's restart")


def test_a_key_of_the_menu_is_sent_and_the_screen_has_the_keyboard_again(
    opened: Visit, keys_guest: BareGuest, word: str
) -> None:
    opened.page.get_by_role("button", name="Keys").click()
    opened.page.keyboard.press("ArrowDown")
    opened.page.get_by_role("menuitem", name="Tab", exact=True).click()
    opened.page.keyboard.type(word)
    _heard(keys_guest, f"\t{word}")


def test_text_is_typed_into_a_guest_that_has_no_clipboard(opened: Visit, keys_guest: BareGuest, word: str) -> None:
    opened.page.get_by_role("button", name="Clipboard").click()
    opened.page.get_by_role("textbox", name="Text to send or copy").fill(
        f"Echo {word} | (Wc) ~ Größe?".replace("öß", "os")
    )
    opened.page.get_by_role("button", name="Type into guest").click()
    _heard(keys_guest, f"Echo {word} | (Wc) ~ Grose?")


def test_a_phones_keyboard_types_too(chromium: Browser, server: PageServer, keys_guest: BareGuest, word: str) -> None:
    with browsers.visiting(chromium, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True) as visit:
        _open(visit, server)
        visit.page.get_by_role("button", name="Keyboard").tap()
        visit.page.keyboard.insert_text(word)
        visit.page.keyboard.insert_text("Q")
        visit.page.keyboard.press("Backspace")
        visit.page.keyboard.insert_text("z")
        _heard(keys_guest, f"{word}Q\bz")


def test_view_only_sends_nothing_until_it_is_switched_off(
    opened: Visit, server: PageServer, keys_guest: BareGuest, word: str
) -> None:
    opened.page.get_by_role("button", name="View only").click()
    del server.seen.messages[:]
    canvas = opened.page.locator("#screen canvas")
    canvas.click()
    opened.page.keyboard.type("unheard")
    assert opened.page.get_by_role("button", name="Ctrl-Alt-Del").is_disabled()
    opened.page.get_by_role("button", name="View only").click()
    canvas.click()
    opened.page.keyboard.type(word)
    _heard(keys_guest, word)
    assert "unheard" not in keys_guest.said


def test_a_link_for_viewing_only_cannot_be_used_for_more(visit: Visit, server: PageServer) -> None:
    server.script.read_only = True
    _open(visit, server)
    switch = visit.page.get_by_role("button", name="View only")
    assert switch.is_disabled()
    assert switch.get_attribute("aria-pressed") == "true"
    visit.page.locator("#screen canvas").click()
    visit.page.keyboard.type("unheard")
    visit.page.reload()  # whatever it sends has come before it goes
    visit.wait_for_state("connected")
    sent = {
        message[0]
        for message in server.seen.messages
        if len(message) > 1 and not message.startswith((b"RFB", CLIPBOARD_ABILITIES))
    }
    assert sent <= {SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, CONTINUOUS_UPDATES}
    assert UPDATE_REQUEST in sent


def test_power_is_offered_only_to_who_may(visit: Visit, server: PageServer) -> None:
    _open(visit, server)
    expect(visit.page.get_by_role("button", name="Power")).to_have_count(0)


@pytest.mark.parametrize(
    ("item", "verb", "kind"), [("Reboot", "Reboot", "Soft"), ("Hard reboot", "Cut the power", "Hard")]
)
def test_a_reboot_is_asked_for_once_it_is_confirmed(
    opened: Visit, server: PageServer, item: str, verb: str, kind: str
) -> None:
    page = opened.page
    for answer in ("Cancel", verb):
        page.get_by_role("button", name="Power").click()
        page.get_by_role("menuitem", name=re.compile(f"^{item}")).click()
        page.get_by_role("dialog").get_by_role("button", name=answer).click()
    expect(page.locator("#toast")).to_have_text("The reboot was asked for.")
    assert server.seen.actions == [{"type": "Reboot", "reboot": {"type": kind}}]


def test_the_keyboard_finds_its_way_out_of_the_screen_and_back(opened: Visit, keys_guest: BareGuest, word: str) -> None:
    page = opened.page
    canvas = page.locator("#screen canvas")
    expect(canvas).to_be_focused()
    page.keyboard.press("Control+Alt+Home")
    expect(page.get_by_role("button", name="Ctrl-Alt-Del")).to_be_focused()
    for name in ("Keys", "Clipboard", "Fit to window", "Full screen", "View only", "Power", "Session"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name=re.compile("^Disconnect"))).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Session")).to_be_focused()
    page.keyboard.press("Tab")
    expect(canvas).to_be_focused()
    page.keyboard.type(word)
    _heard(keys_guest, word)


def test_the_picture_fits_the_window_or_is_shown_pixel_for_pixel(opened: Visit) -> None:
    canvas = opened.page.locator("#screen canvas")
    fitted = canvas.bounding_box()
    stage = opened.page.locator("#screen").bounding_box()
    assert fitted
    assert stage
    assert max(fitted["width"] / stage["width"], fitted["height"] / stage["height"]) == pytest.approx(1, abs=0.01)
    opened.page.get_by_role("button", name="Fit to window").click()
    plain = canvas.bounding_box()
    assert plain
    assert (plain["width"], plain["height"]) == (opened.screen().width, opened.screen().height)


def test_full_screen_is_entered_and_left(opened: Visit) -> None:
    button = opened.page.locator("#full-screen")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert opened.page.evaluate("document.fullscreenElement !== null")
    opened.page.keyboard.press("Control+Alt+Home")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_who_disconnects_can_connect_again(opened: Visit, server: PageServer) -> None:
    opened.page.get_by_role("button", name="Session").click()
    opened.page.get_by_role("menuitem", name=re.compile("^Disconnect")).click()
    opened.wait_for_state("detached")
    eventually(lambda: server.open_streams == 0, "the stream's end")
    opened.page.get_by_role("button", name="Connect", exact=True).click()
    opened.wait_for_state("connected")
    expect(opened.page.locator("#screen canvas")).to_be_focused()


def test_who_ends_the_session_has_ended_it(opened: Visit, server: PageServer) -> None:
    opened.page.get_by_role("button", name="Session").click()
    opened.page.get_by_role("menuitem", name=re.compile("^End session")).click()
    opened.page.get_by_role("dialog").get_by_role("button", name="End session").click()
    opened.wait_for_state("ended")
    assert opened.page.inner_text("#notice-title") == "You have ended the session"
    assert server.seen.ended == 1
    assert opened.page.inner_text("#notice-command") == "kubectl hypernova vnc web-1 -n shop"
