"""A real browser, Debian's Chromium without a window, and what tests read off the consoles' page in it.

Playwright's synchronous calls hold an event loop of their own: no coroutine test may run while a `chromium()` is open.
"""

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from support.bare_guest import Picture

CHROMIUM = "/usr/bin/chromium"

_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

_PATIENCE_MS = 60_000
"""A browser on a busy machine takes its time."""

_STATUS = (
    "Failed to load resource: the server responded with a status",
    "Failed to load resource: net::ERR_CONNECTION_REFUSED",
    "WebSocket connection to",
)
"""How Chromium begins to tell of refusals, which are the server's to give and the page's to explain."""


@dataclass(slots=True)
class Visit:
    """A page, and what a browser's developer tools would show of it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors, those of the Content-Security-Policy among them; warnings are advice on what a library does, e.g. noVNC,
    which reads its picture back each time a guest changes the size of its screen."""

    addresses: list[str] = field(default_factory=list)
    """All that was asked for."""

    def wait_for_state(self, state: str, seconds: float = 60) -> None:
        """Until the console is `connected`, `waiting`, `retrying`, `detached` or `ended`."""
        self.page.wait_for_selector(f'body[data-state="{state}"]', timeout=seconds * 1000)

    @property
    def reason(self) -> str:
        """Why it is not connected, e.g. `TicketUsed`."""
        return self.page.get_attribute("body", "data-reason") or ""

    def screen(self) -> Picture:
        """The guest's picture, as it stands on the page's canvas before it is scaled."""
        return picture_of(self.page.evaluate(_READ_CANVAS))

    def terminal(self) -> str:
        """The lines of the serial console that are in sight."""
        return str(
            self.page.evaluate(
                "[...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent).join('\\n')"
            )
        )


_READ_CANVAS = """async () => {
  const canvas = document.querySelector("#screen canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(new Blob([data]));
  });
  return { width: canvas.width, height: canvas.height, pixels: url.split(",")[1] };
}"""


def picture_of(drawn: dict[str, Any]) -> Picture:
    """What a script has read off a canvas: width, height, and pixels as RGBA in base64."""
    rgba = base64.b64decode(drawn["pixels"])
    rgb = bytearray(len(rgba) // 4 * 3)
    for channel in range(3):
        rgb[channel::3] = rgba[channel::4]
    return Picture(drawn["width"], drawn["height"], bytes(rgb))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; its pages share nothing."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visiting(browser: Browser, **context: Any) -> Iterator[Visit]:
    """A page in a profile of its own; `context` as for `Browser.new_context`, e.g. `viewport`, `color_scheme`.

    Raises:
        AssertionError: at the end, if the browser has complained about the page.
    """
    with browser.new_context(**context) as profile:
        page = profile.new_page()
        page.set_default_timeout(_PATIENCE_MS)
        visit = Visit(page)
        page.on("console", lambda message: _note(visit, message))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("request", lambda request: visit.addresses.append(request.url))
        page.on("websocket", lambda socket: visit.addresses.append(socket.url))
        yield visit
        assert visit.complaints == [], visit.complaints


def _note(visit: Visit, message: ConsoleMessage) -> None:
    if message.type == "error" and not message.text.startswith(_STATUS):
        visit.complaints.append(message.text)
