import asyncio
import http.cookies
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from yarl import URL

from hypernova_api.console import ConsoleType
from hypernova_console.errors import Refused
from hypernova_console.instances import Place
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.rights import Permission
from hypernova_console.session import Session
from hypernova_console.web import guard
from hypernova_console.web.assets import Assets
from hypernova_console.web.power import Power
from hypernova_console.web.routes import COOKIE, Parts, application
from hypernova_console.web.server import WebServer
from hypernova_kube.errors import Forbidden, Unreachable
from hypernova_kube.resources import Object, Resource
from support.console_sessions import INSTANCE, KEY, SESSION, TICKET, ScriptedSessions
from support.waiting import eventually_async

PUBLIC = "https://console.example.com"
PATH = "/session/shop/web-1-0a1b/"
OURS = {"Origin": PUBLIC}
HELD = {"Cookie": f"{COOKIE}={KEY}"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass
class Rights:
    denied: set[str] = field(default_factory=set)
    """Verbs."""
    error: Exception | None = None

    async def may(self, user: object, permission: Permission) -> bool:
        if self.error:
            raise self.error
        return permission.verb not in self.denied


@dataclass
class Client:
    made: list[Object] = field(default_factory=list)
    error: Exception | None = None

    async def create(self, resource: Resource, obj: Object) -> Object:
        if self.error:
            raise self.error
        self.made.append(obj)
        return {**obj, "metadata": {**obj["metadata"], "name": obj["metadata"]["generateName"] + "x1"}}


@dataclass
class Instances:
    there: bool = True

    async def current(self, key: object, uid: str = "") -> object:
        return INSTANCE if self.there and (key, uid) == (INSTANCE.key, INSTANCE.uid) else None


@dataclass
class Relay:
    refusal: Refused | None = None
    took_over: list[bool] = field(default_factory=list)

    async def __call__(self, request: web.Request, session: Session, *, take_over: bool) -> web.StreamResponse:
        if self.refusal:
            raise self.refusal
        self.took_over.append(take_over)
        viewer = web.WebSocketResponse()
        await viewer.prepare(request)
        await viewer.send_bytes(b"RFB 003.008\n")
        await viewer.close()
        return viewer


class Browser:
    """The web door with scripted parts, and a way to ask it that follows nothing and keeps no cookies."""

    def __init__(self, assets: Assets, public_url: str = PUBLIC) -> None:
        self.sessions = ScriptedSessions(Place("node-a", "127.0.0.1", 1))
        self.rights, self.client, self.instances, self.relay = Rights(), Client(), Instances(), Relay()
        self.metrics = ConsoleMetrics()
        power = Power(self.client, self.rights)
        parts = Parts(self.sessions, self.instances, self.rights, power, self.relay, self.metrics, assets, public_url)
        self.application = application(parts)
        self.port = 0
        self.http: aiohttp.ClientSession

    def url(self, path: str) -> URL:
        return URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        async with self.http.get(self.url(path), headers=headers, allow_redirects=False) as response:
            await response.read()
            return response

    async def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json", **(OURS if headers is None else headers)}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url(path), data=data, headers=headers, allow_redirects=False) as response:
            await response.read()
            return response


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Assets:
    folder = tmp_path_factory.mktemp("assets")
    (folder / "secret.txt").write_text("not below novnc or xterm")
    for part, name in (("novnc/core", "rfb.js"), ("xterm", "xterm.mjs"), ("xterm", "LICENSE")):
        (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / part / name).write_text(f"// {name}")
    (folder / "novnc/link.js").symlink_to(folder / "secret.txt")
    return Assets.read(folder)


@pytest.fixture
async def browser(assets: Assets) -> AsyncIterator[Browser]:
    browser = Browser(assets)
    async with (
        WebServer(browser.application, "127.0.0.1", 0) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        browser.port, browser.http = server.port, http
        yield browser


async def refusal_in(response: aiohttp.ClientResponse) -> tuple[int, str]:
    content = await response.json()
    assert set(content) == {"reason", "message"}
    return response.status, content["reason"]


# The page, and what it is made of.


@pytest.mark.parametrize("path", ["/", PATH])
async def test_the_page_is_the_same_everywhere_and_says_what_it_is(browser: Browser, path: str) -> None:
    response = await browser.get(path)
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<title>" in await response.text()


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("js/main.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("novnc/core/rfb.js", "text/javascript; charset=utf-8"),
        ("xterm/xterm.mjs", "text/javascript; charset=utf-8"),
        ("xterm/LICENSE", "text/plain; charset=utf-8"),
    ],
)
async def test_assets_say_what_they_are(browser: Browser, path: str, type_: str) -> None:
    response = await browser.get(f"/static/{path}")
    assert (response.status, response.headers["Content-Type"]) == (200, type_)


async def test_an_asset_that_a_browser_has_is_not_sent_again(browser: Browser) -> None:
    first = await browser.get("/static/js/main.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = await browser.get("/static/js/main.js", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.text()) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../__main__.py",
        "/static/../../pyproject.toml",
        "/static/%2e%2e/__main__.py",
        "/static/..%2f__main__.py",
        "/static/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static/js/..%5c..%5c__main__.py",
        "/static/js/%252e%252e/%252e%252e/__main__.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/novnc/../secret.txt",
        "/static/novnc/%2e%2e/secret.txt",
        "/static/novnc/link.js",
        "/static/js/main.js%00.svg",
        "/static/js",
        "/static/js/",
        "/static/",
        "/static/index.html",
        "/static/novnc/core/RFB.js",
        "//etc/passwd",
    ],
)
async def test_no_path_leads_to_another_file(browser: Browser, path: str) -> None:
    # Sent as it stands: clients tidy paths up.
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ", 2)[1] == b"404", answer[:300]


def test_a_proxy_without_the_pages_assets_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="novnc"):
        Assets.read(tmp_path)


# What every answer has.


async def test_every_answer_of_every_route_has_the_same_headers(browser: Browser) -> None:
    asked = 0
    for route in browser.application.router.routes():
        assert route.resource is not None
        path = route.resource.canonical.format(namespace="shop", name="web-1-0a1b", path="js/main.js")
        for headers in ({}, HELD, {**HELD, **OURS}):
            async with browser.http.request(
                route.method, browser.url(path), headers=headers, json={}, allow_redirects=False
            ) as response:
                assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, (route, response.status)
                kept = path in ("/", PATH) or path.startswith("/static/")
                assert response.headers["Cache-Control"] == ("no-cache" if kept else "no-store"), route
                assert "aiohttp" not in response.headers["Server"]
                asked += 1
    assert asked >= 8 * 3


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/", 405)])
async def test_what_there_is_not_is_refused_like_all_else(
    browser: Browser, method: str, path: str, status: int
) -> None:
    async with browser.http.request(method, browser.url(path), headers=OURS) as response:
        assert (await refusal_in(response))[0] == status
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


async def test_a_fault_of_ours_is_told_without_what_it_was(browser: Browser) -> None:
    browser.rights.error = RuntimeError("the secret of secrets")
    response = await browser.get(f"{PATH}info", **HELD)
    assert await refusal_in(response) == (500, "InternalError")
    assert "secret" not in await response.text()


async def test_refusals_are_counted(browser: Browser) -> None:
    await browser.get(f"{PATH}info")
    assert browser.metrics.refusals.labels("web", "SessionUnknown")._value.get() == 1


# Tickets.


async def test_a_ticket_begins_a_session_whose_key_is_in_a_cookie_for_its_path_alone(browser: Browser) -> None:
    response = await browser.post("/api/redeem", {"ticket": TICKET})
    assert (response.status, await response.json()) == (200, {"session": "shop/web-1-0a1b", "url": PATH})
    (text,) = response.headers.getall("Set-Cookie")
    cookie = http.cookies.SimpleCookie(text)[COOKIE]
    assert cookie.value == KEY
    assert (cookie["path"], cookie["samesite"], cookie["httponly"], cookie["secure"]) == (PATH, "Strict", True, True)
    assert cookie["domain"] == ""
    assert 0 < int(cookie["max-age"]) <= 8 * 3600
    assert KEY not in await response.text()


async def test_a_cookie_over_plain_http_is_not_marked_secure(assets: Assets) -> None:
    browser = Browser(assets, "http://127.0.0.1:8080")
    async with (
        WebServer(browser.application, "127.0.0.1", 0) as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        browser.port, browser.http = server.port, session
        response = await browser.post("/api/redeem", {"ticket": TICKET}, {"Origin": "http://127.0.0.1:8080"})
        assert "Secure" not in response.headers["Set-Cookie"]
        assert "HttpOnly" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "TicketUnknown"),
        (401, "TicketUsed"),
        (401, "TicketExpired"),
        (403, "Forbidden"),
        (410, "InstanceGone"),
        (429, "TooManyTries"),
        (503, "Unavailable"),
    ],
)
async def test_a_ticket_is_refused_as_the_sessions_say_and_no_cookie_comes(
    browser: Browser, status: int, reason: str
) -> None:
    browser.sessions.refusals["redeem"] = Refused(status, reason, "no", retry_after=4.0 if status == 429 else 0.0)
    response = await browser.post("/api/redeem", {"ticket": TICKET})
    assert await refusal_in(response) == (status, reason)
    assert "Set-Cookie" not in response.headers
    assert response.headers.get("Retry-After") == ("4" if status == 429 else None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{", 400, id="no JSON"),
        pytest.param([TICKET], 400, id="no object"),
        pytest.param({"ticket": 7}, 400, id="no text"),
        pytest.param({"ticket": TICKET, "user": "root"}, 400, id="more than is asked for"),
        pytest.param({"ticket": "x" * 513}, 400, id="longer than any ticket"),
        pytest.param({"ticket": "x" * guard.LONGEST_BODY}, 413, id="longer than any body"),
        pytest.param(b'{"ticket": ' + b"[" * 3000, 400, id="deep"),
    ],
)
async def test_what_is_no_ticket_is_not_looked_at(browser: Browser, body: Any, status: int) -> None:
    response = await browser.post("/api/redeem", body)
    assert (await refusal_in(response))[0] == status
    assert browser.sessions.redeemed == []


async def test_a_body_that_does_not_come_is_not_waited_for_long(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    writer.write(
        f"POST /api/redeem HTTP/1.1\r\nHost: x\r\nOrigin: {PUBLIC}\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\n\r\n{".encode()
    )
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()


# Other sites.


@pytest.mark.parametrize("path", ["/api/redeem", f"{PATH}actions", f"{PATH}end"])
@pytest.mark.parametrize(
    "origin",
    [None, "https://evil.example", "null", "https://console.example.com.evil.example", "file://console.example.com"],
)
async def test_a_post_of_another_site_is_refused(browser: Browser, path: str, origin: str | None) -> None:
    headers = {**HELD, **({"Origin": origin} if origin else {})}
    assert await refusal_in(await browser.post(path, {"ticket": TICKET}, headers)) == (403, "WrongOrigin")
    assert browser.sessions.redeemed == []
    assert not browser.sessions.over


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
async def test_a_websocket_of_another_site_is_refused(browser: Browser, origin: str | None) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.http.ws_connect(browser.url(f"{PATH}stream"), headers=HELD, origin=origin)
    assert caught.value.status == 403
    assert browser.relay.took_over == []


async def test_the_requests_own_host_is_no_other_site(browser: Browser) -> None:
    own = {"Origin": f"http://127.0.0.1:{browser.port}"}
    assert (await browser.post("/api/redeem", {"ticket": TICKET}, own)).status == 200


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_what_a_form_could_send_is_not_taken(browser: Browser, type_: str) -> None:
    response = await browser.post("/api/redeem", {"ticket": TICKET}, {**OURS, "Content-Type": type_})
    assert await refusal_in(response) == (415, "UnsupportedMediaType")


# Sessions.


@pytest.mark.parametrize("path", ["info", "stream"])
@pytest.mark.parametrize(
    ("session", "headers"),
    [
        pytest.param(PATH, {}, id="no cookie"),
        pytest.param(PATH, {"Cookie": f"{COOKIE}="}, id="an empty one"),
        pytest.param(PATH, {"Cookie": f"{COOKIE}={'x' * 43}"}, id="a guess"),
        pytest.param("/session/shop/another/", HELD, id="that of another session"),
        pytest.param("/session/other/web-1-0a1b/", HELD, id="that of another namespace"),
        pytest.param("/session/SHOP/web-1-0a1b/", HELD, id="a name that cannot be"),
        pytest.param("/session/shop/%2e%2e%2fx/", HELD, id="a path in a name"),
    ],
)
async def test_a_session_is_for_who_has_its_key(
    browser: Browser, path: str, session: str, headers: dict[str, str]
) -> None:
    assert await refusal_in(await browser.get(f"{session}{path}", **headers)) == (401, "SessionUnknown")


async def test_info_says_what_the_page_shows(browser: Browser) -> None:
    browser.sessions.viewers = 3
    response = await browser.get(f"{PATH}info", **HELD)
    assert await response.json() == {
        "instance": {"namespace": "shop", "name": "web-1", "phase": "Running", "message": "All is well."},
        "type": "VNC",
        "readOnly": False,
        "user": "ann@example.com",
        "expiresAt": SESSION.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "connected": 2,
        "actions": ["Reboot"],
    }


async def test_info_is_not_for_whom_the_console_is_not_for_any_more(browser: Browser) -> None:
    browser.rights.denied = {"get"}
    assert await refusal_in(await browser.get(f"{PATH}info", **HELD)) == (403, "Forbidden")
    browser.rights.denied, browser.instances.there = set(), False
    assert await refusal_in(await browser.get(f"{PATH}info", **HELD)) == (410, "InstanceGone")
    browser.rights.error = Unreachable("down")
    assert await refusal_in(await browser.get(f"{PATH}info", **HELD)) == (503, "Unavailable")


@pytest.mark.parametrize("query", ["", "?takeOver=true"])
async def test_the_stream_is_the_console(browser: Browser, query: str) -> None:
    async with browser.http.ws_connect(browser.url(f"{PATH}stream{query}"), headers=HELD, origin=PUBLIC) as viewer:
        assert (await viewer.receive())[:2] == (WSMsgType.BINARY, b"RFB 003.008\n")
    assert browser.relay.took_over == [query != ""]


async def test_a_stream_is_refused_with_json_before_the_upgrade(browser: Browser) -> None:
    browser.relay.refusal = Refused(409, "InUse", "bob has it")
    assert await refusal_in(await browser.get(f"{PATH}stream", **HELD)) == (409, "InUse")


async def test_a_session_ends_when_its_page_says_so_and_takes_its_cookie_along(browser: Browser) -> None:
    response = await browser.post(f"{PATH}end", {}, {**OURS, **HELD})
    assert (response.status, await response.json()) == (200, {})
    assert browser.sessions.over
    cookie = http.cookies.SimpleCookie(response.headers["Set-Cookie"])[COOKIE]
    assert (cookie.value, cookie["path"], cookie["max-age"]) == ("", PATH, "0")
    assert await refusal_in(await browser.get(f"{PATH}info", **HELD)) == (401, "SessionUnknown")


# The power button.


@pytest.mark.parametrize("how", ["Soft", "Hard"])
async def test_the_power_button_makes_an_action_in_the_users_name(browser: Browser, how: str) -> None:
    response = await browser.post(f"{PATH}actions", {"type": "Reboot", "reboot": {"type": how}}, {**OURS, **HELD})
    assert (response.status, await response.json()) == (201, {"name": "web-1-reboot-x1"})
    (made,) = browser.client.made
    assert made["kind"] == "InstanceAction"
    assert made["metadata"] == {
        "generateName": "web-1-reboot-",
        "namespace": "shop",
        "annotations": {"compute.hypernova.dev/requested-by": "ann@example.com"},
    }
    assert made["spec"]["instance"] == "web-1"
    assert made["spec"]["type"] == "Reboot"
    assert made["spec"]["reboot"] == {"type": how}


async def test_who_may_not_act_is_offered_nothing_and_refused(browser: Browser) -> None:
    browser.rights.denied = {"create"}
    assert (await (await browser.get(f"{PATH}info", **HELD)).json())["actions"] == []
    response = await browser.post(f"{PATH}actions", {"type": "Reboot"}, {**OURS, **HELD})
    assert await refusal_in(response) == (403, "Forbidden")
    assert browser.client.made == []


async def test_who_may_only_look_cannot_act(browser: Browser) -> None:
    browser.sessions.change(read_only=True, type=ConsoleType.SERIAL)
    assert (await (await browser.get(f"{PATH}info", **HELD)).json())["actions"] == []
    response = await browser.post(f"{PATH}actions", {"type": "Reboot"}, {**OURS, **HELD})
    assert await refusal_in(response) == (403, "Forbidden")


@pytest.mark.parametrize(
    "body",
    [{}, {"type": "Rebuild"}, {"type": "Reboot", "reboot": {"type": "Now"}}, {"type": "Reboot", "instance": "x"}],
)
async def test_nothing_else_can_be_done_by_the_power_button(browser: Browser, body: dict[str, Any]) -> None:
    response = await browser.post(f"{PATH}actions", body, {**OURS, **HELD})
    assert await refusal_in(response) == (400, "BadRequest")
    assert browser.client.made == []


async def test_an_action_that_the_api_server_refuses_is_refused_so(browser: Browser) -> None:
    browser.client.error = Forbidden(403, "Forbidden", "quota of actions is used up")
    response = await browser.post(f"{PATH}actions", {"type": "Reboot"}, {**OURS, **HELD})
    assert (await response.json())["message"] == "quota of actions is used up"
    browser.client.error = Unreachable("down")
    response = await browser.post(f"{PATH}actions", {"type": "Reboot"}, {**OURS, **HELD})
    assert await refusal_in(response) == (503, "Unavailable")


async def test_a_guest_made_anew_under_the_name_is_not_acted_on(browser: Browser) -> None:
    browser.instances.there = False
    response = await browser.post(f"{PATH}actions", {"type": "Reboot"}, {**OURS, **HELD})
    assert await refusal_in(response) == (410, "InstanceGone")
    assert browser.client.made == []


# Those who only keep connections.


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", id="half a header"),
        pytest.param(b"GET /static/icon.svg HTTP/1.1\r\nHost: x\r\n\r\n", id="all, and nothing more"),
    ],
)
async def test_a_connection_that_asks_for_nothing_more_is_cut(assets: Assets, said: bytes) -> None:
    async with WebServer(Browser(assets).application, "127.0.0.1", 0, idle_seconds=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(said)
        async with asyncio.timeout(20):
            await reader.read()
        writer.close()


async def test_a_header_that_comes_a_byte_at_a_time_is_not_waited_for(assets: Assets) -> None:
    async with WebServer(Browser(assets).application, "127.0.0.1", 0, idle_seconds=0.5) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as slow:
            slow.setblocking(False)

            def dribble() -> bool:
                try:
                    slow.send(b"x")
                except ConnectionError:
                    return True
                return False

            await eventually_async(dribble, "the end of a connection that dribbles", seconds=20)


@pytest.mark.parametrize("length", [9000, 100_000])
async def test_a_header_has_a_longest_length(browser: Browser, length: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * length + b"\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"400"
    writer.close()
