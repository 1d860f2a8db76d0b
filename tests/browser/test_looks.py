"""How the page looks, on a phone, a tablet and a wide screen, by day and by night.

Pictures of it are kept in the folder HYPERNOVA_SCREENSHOTS names, or one that is printed: for a person to look at.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from hypernova_api.console import CloseCode, SerialRole
from support import browsers
from support.browsers import Visit
from support.page_server import IN_USE, PageServer, Refusal
from support.waiting import eventually

SIZES: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
    },
    "tablet": {"viewport": {"width": 820, "height": 1180}, "has_touch": True, "is_mobile": True},
    "wide": {"viewport": {"width": 1600, "height": 900}},
}

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("HYPERNOVA_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"screenshots: {folder}")
    return folder


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visit(chromium: Browser, server: PageServer, size: str) -> Iterator[Visit]:
    server.script.actions = ("Reboot",)
    server.script.others = 1
    with browsers.visiting(chromium, **SIZES[size]) as visit:
        yield visit


def _screen(visit: Visit, server: PageServer) -> None:
    visit.page.goto(server.session)
    visit.wait_for_state("connected")


def _serial(visit: Visit, server: PageServer) -> None:
    server.script.type = "Serial"
    _screen(visit, server)
    for line in (
        "guest login: root",
        "root@guest:~# uptime",
        " 18:20:07 up 3 days,  4:05,  load average: 0.02, 0.05, 0.00",
    ):
        visit.page.keyboard.type(f"{line}\n")
    eventually(lambda: "0.00" in visit.terminal(), "the last line")
    server.say(SerialRole(writer=False, holder="bob@example.com"))
    expect(visit.page.locator("#role-text")).to_have_text("bob@example.com writes; you read along.")


def _clipboard(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    visit.page.get_by_role("button", name="Clipboard").click()
    visit.page.get_by_role("textbox", name="Text to send or copy").fill("echo hello")


def _power(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    visit.page.get_by_role("button", name="Power").click()


def _confirm(visit: Visit, server: PageServer) -> None:
    _power(visit, server)
    visit.page.get_by_role("menuitem").last.click()


def _keys(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    visit.page.get_by_role("button", name="Keys").click()


def _off(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    server.script.phase = "Stopped"
    server.end_streams(CloseCode.GUEST_OFF, "shop/web-1 is off.")
    visit.wait_for_state("waiting")


def _unreachable(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    server.script.stream = Refusal(503, "HostUnreachable", "node-a does not answer; it was last heard of 20 s ago.")
    server.end_streams(CloseCode.UNREACHABLE, "node-a does not answer; it was last heard of 20 s ago.")
    expect(visit.page.locator("#notice-when")).to_be_visible()


def _in_use(visit: Visit, server: PageServer) -> None:
    server.script.stream = IN_USE
    visit.page.goto(server.session)
    visit.wait_for_state("ended")


def _revoked(visit: Visit, server: PageServer) -> None:
    _screen(visit, server)
    server.end_streams(CloseCode.REVOKED, "carol@example.com deleted the ConsoleSession.")
    visit.wait_for_state("ended")


def _used(visit: Visit, server: PageServer) -> None:
    server.script.ticket = Refusal(401, "TicketUsed", "This ticket was used at 12:00:01 UTC.")
    visit.page.goto(server.link)
    visit.wait_for_state("ended")


SCENES: dict[str, Callable[[Visit, PageServer], None]] = {
    "screen": _screen,
    "serial": _serial,
    "keys": _keys,
    "clipboard": _clipboard,
    "power": _power,
    "confirm": _confirm,
    "off": _off,
    "unreachable": _unreachable,
    "in-use": _in_use,
    "revoked": _revoked,
    "ticket-used": _used,
}


@pytest.mark.parametrize("scene", SCENES)
def test_all_is_in_sight_and_legible(visit: Visit, server: PageServer, album: Path, scene: str, size: str) -> None:
    SCENES[scene](visit, server)
    for scheme in SCHEMES:
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.screenshot(path=album / f"{scene}-{size}-{scheme}.png", animations="disabled")
        assert visit.page.evaluate(_OUT_OF_SIGHT) == []
        assert visit.page.evaluate(_ILLEGIBLE) == []


_OUT_OF_SIGHT = """() => {
  const shown = [...document.querySelectorAll("button, h1, h2, #state")].filter((e) => e.checkVisibility());
  const outside = shown.filter((e) => {
    const { left, right, top, bottom, width } = e.getBoundingClientRect();
    return width > 2 && (left < -0.5 || right > innerWidth + 0.5 || top < -0.5 || bottom > innerHeight + 0.5);
  });
  const small = shown.filter((e) => e.matches("button") && matchMedia("(hover: none)").matches && e.offsetHeight < 32);
  const names = [...outside, ...small].map((e) => e.id || e.textContent);
  return document.scrollingElement.scrollWidth > innerWidth ? [...names, "the page itself"] : names;
}"""
"""What reaches out of the window, or is too small for a finger."""

_ILLEGIBLE = """() => {
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    paint.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
    }
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const elsewhere = element.closest("#screen, noscript, .unseen, .hint, :disabled");
    if (!texts.currentNode.data.trim() || !visible || elsewhere) continue;
    const grounds = [];
    for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
    const ground = over(["white", ...grounds]);
    const ink = over([`rgb(${ground})`, getComputedStyle(element).color]);
    const [a, b] = [light(ground), light(ink)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) found.push(`${texts.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return found;
}"""
"""Texts with less contrast than WCAG's AA wants of small ones."""
