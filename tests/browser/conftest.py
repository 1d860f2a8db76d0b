"""One guest and one server for all tests of the page; one browser for those of a module."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hack import guest, web
from support import bare_guest, browsers, page_server
from support.bare_guest import BareGuest
from support.browsers import Visit
from support.page_server import PageServer


@pytest.fixture(scope="session")
def keys_guest() -> Iterator[BareGuest]:
    """Shows what is typed, and tells it on its serial line."""
    with (
        tempfile.TemporaryDirectory(prefix="hn.") as folder,
        bare_guest.running(guest.build().keys_sector, Path(folder)) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def _server(keys_guest: BareGuest) -> Iterator[PageServer]:
    with page_server.running(web.build(), keys_guest) as server:
        yield server


@pytest.fixture
def server(_server: PageServer) -> PageServer:
    _server.reset()
    return _server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser, server: PageServer) -> Iterator[Visit]:
    """A new browser profile, not yet anywhere; the test fails if the browser complains."""
    with browsers.visiting(chromium, viewport={"width": 1280, "height": 800}) as visit:
        yield visit
