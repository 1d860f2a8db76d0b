"""Who asks: the API server's headers, read; and nobody else's word."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from hypernova_console.errors import Refused
from hypernova_console.front_proxy import CONFIG_MAPS, NAME, NAMESPACE, FrontProxy, Trust
from support.authority import Authority
from support.fake_api import FakeApi
from support.waiting import eventually_async

DATA = {
    "client-ca-file": "not for us",
    "requestheader-client-ca-file": "PEM",
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-uid-headers": '["X-Remote-Uid"]',
    "requestheader-group-headers": '["X-Remote-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
}
TRUST = Trust.parse(DATA)


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def certificate(*common_names: str) -> dict[str, object]:
    return {"subject": tuple((("commonName", name),) for name in common_names)}


def test_a_user_is_read_with_all_groups_and_extras():
    user = TRUST.user(
        headers(
            ("X-Remote-User", "alice"),
            ("X-Remote-Uid", "7"),
            ("X-Remote-Group", "ops"),
            ("x-remote-group", "system:authenticated"),
            ("X-Remote-Extra-Scopes", "vm"),
            ("X-Remote-Extra-Scopes", "net"),
            ("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "JTI=1"),
        )
    )
    assert (user.username, user.uid, user.groups) == ("alice", "7", ["ops", "system:authenticated"])
    assert user.extra == {"scopes": ["vm", "net"], "authentication.kubernetes.io/credential-id": ["JTI=1"]}


def test_the_first_header_that_names_somebody_counts():
    trust = Trust.parse(DATA | {"requestheader-username-headers": '["X-User", "X-Remote-User"]'})
    assert trust.user(headers(("X-Remote-User", "alice"))).username == "alice"
    assert trust.user(headers(("X-Remote-User", "alice"), ("X-User", "bob"))).username == "bob"
    assert trust.user(headers(("X-Remote-User", "alice"), ("X-User", ""))).username == "alice"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "nobody is named"),
        ([("X-Remote-User", "")], "nobody is named"),
        ([("X-Remote-Group", "system:masters")], "nobody is named"),
        ([("X-Remote-User", "a" * 1025)], "at most 1024 characters"),
        ([("X-Remote-User", "alice"), *[("X-Remote-Group", f"g{n}") for n in range(1025)]], "at most 1024 items"),
        ([("X-Remote-User", b"\xff".decode(errors="surrogateescape"))], "surrogates|unicode"),
    ],
    ids=["nothing", "no name", "only groups", "a name too long", "too many groups", "no UTF-8"],
)
def test_what_names_nobody_or_too_much_is_refused(said: list[tuple[str, str]], why: str):
    with pytest.raises(ValueError, match=why):
        TRUST.user(headers(*said))


def test_headers_that_only_look_alike_say_nothing():
    user = TRUST.user(headers(("X-Remote-User", "alice"), ("X-Remote-Groups", "system:masters"), ("X-Remote", "root")))
    assert (user.username, user.groups, user.extra) == ("alice", [], {})


def test_only_the_allowed_names_are_the_api_server():
    assert TRUST.admits(certificate("front-proxy-client"))
    assert not TRUST.admits(certificate("alice"))
    assert not TRUST.admits(certificate())
    assert not TRUST.admits({})
    anybody = Trust.parse(DATA | {"requestheader-allowed-names": "[]"})
    assert anybody.admits(certificate("alice"))
    assert not anybody.admits({})


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("requestheader-client-ca-file", None, "no key requestheader-client-ca-file"),
        ("requestheader-username-headers", '"X-Remote-User"', "requestheader-username-headers is no list of names"),
        ("requestheader-group-headers", "[1]", "requestheader-group-headers is no list of names"),
        ("requestheader-allowed-names", "?", "Expecting value"),
    ],
)
def test_a_config_map_that_does_not_say_all_is_not_guessed_at(key: str, value: str | None, why: str):
    data = {each: text for each, text in (DATA | {key: value}).items() if text is not None}
    with pytest.raises(ValueError, match=why):
        Trust.parse(data)


def test_an_older_api_server_sends_no_uid():
    trust = Trust.parse({key: value for key, value in DATA.items() if "uid" not in key})
    assert trust.user(headers(("X-Remote-User", "alice"), ("X-Remote-Uid", "7"))).uid == ""


class Served:
    """A listener of a proxy, and who may be its API server."""

    def __init__(self, api: FakeApi, front_proxy: FrontProxy, server: Authority, port: int) -> None:
        self.api, self.front_proxy, self.server, self.port = api, front_proxy, server, port

    def believe(self, authority: Authority) -> None:
        data = DATA | {"requestheader-client-ca-file": authority.pem}
        self.api.put(CONFIG_MAPS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": data})

    async def ask(self, shown: Authority | None, name: str = "front-proxy-client") -> str:
        """Who we are taken for, as alice's API server with a certificate of that authority; or why not."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if shown is None else shown.client(name)
        context.load_verify_locations(cadata=self.server.pem)
        async with aiohttp.ClientSession(headers={"X-Remote-User": "alice"}) as session:
            try:
                async with session.get(f"https://127.0.0.1:{self.port}/", ssl=context) as answer:
                    return await answer.text()
            except (aiohttp.ClientError, ssl.SSLError):
                return "cut off"


@asynccontextmanager
async def served():
    api, server = FakeApi(), Authority()
    front_proxy = FrontProxy(api.client())

    async def who(request: web.Request) -> web.Response:
        try:
            return web.Response(text=front_proxy.user(request).username)
        except Refused as refusal:
            return web.Response(text=refusal.reason, status=refusal.status)

    app = web.Application()
    app.router.add_get("/", who)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    running = asyncio.create_task(front_proxy.run())
    try:
        context = front_proxy.context(lambda context: server.certify(context, "hypernova-console"))
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield Served(api, front_proxy, server, runner.addresses[0][1])
    finally:
        running.cancel()
        await runner.cleanup()


async def test_until_it_is_known_who_the_api_server_is_nobody_is():
    async with served() as proxy:
        assert await proxy.ask(None) == "Unauthorized"
        assert await proxy.ask(Authority()) == "cut off"
        assert not proxy.front_proxy.ready


async def test_only_the_front_proxy_certificate_is_believed():
    async with served() as proxy:
        authority = Authority()
        proxy.believe(authority)
        await eventually_async(lambda: proxy.front_proxy.ready, "the ConfigMap")
        assert await proxy.ask(authority) == "alice"
        assert await proxy.ask(authority, "somebody-else") == "Unauthorized"
        assert await proxy.ask(None) == "Unauthorized"
        assert await proxy.ask(Authority()) == "cut off"
        assert await proxy.ask(proxy.server) == "cut off"


async def test_a_new_authority_takes_the_place_of_the_old_one():
    async with served() as proxy:
        old, new = Authority(), Authority()
        proxy.believe(old)
        await eventually_async(lambda: proxy.front_proxy.ready, "the ConfigMap")
        assert await proxy.ask(old) == "alice"
        proxy.believe(new)

        async def is_new() -> bool:
            return await proxy.ask(new) == "alice"

        await eventually_async(is_new, "the new authority")
        assert await proxy.ask(old) == "cut off"


async def test_a_broken_config_map_changes_nothing(caplog: pytest.LogCaptureFixture):
    async with served() as proxy:
        authority = Authority()
        proxy.believe(authority)
        await eventually_async(lambda: proxy.front_proxy.ready, "the ConfigMap")
        proxy.api.put(CONFIG_MAPS, {"metadata": {"name": NAME, "namespace": NAMESPACE}, "data": {}})
        proxy.api.drop(CONFIG_MAPS, next(key for (_, key) in proxy.api.stored))
        await eventually_async(lambda: caplog.text.count("certificate not known") == 2, "both to be seen")
        assert await proxy.ask(authority) == "alice"
