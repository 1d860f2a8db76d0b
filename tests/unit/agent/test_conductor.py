"""Asking the conductor: whatever is in the way has a reason and a sentence, and no one else's word is taken for it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from hypernova_agent.conductor import CONFIG_MAPS, Conductor
from hypernova_agent.errors import UserDataUnavailable
from hypernova_agent.settings import Settings
from hypernova_agent.user_data import InSecret
from hypernova_api.certificates import AUTHORITY
from hypernova_api.instance import USER_DATA_LIMIT
from hypernova_kube.client import Client
from hypernova_kube.process.listening import listen
from support.authority import Authority
from support.fake_api import FakeApi

NAMESPACE = "hypernova-system"
NAME = f"hypernova-operator.{NAMESPACE}.svc"
SOURCE = InSecret("shop", "web-1", "uid-1", "act-1", "act-uid")


class Ground:
    """A conductor that answers what a test wants, and all that an agent needs to ask it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.api = FakeApi()
        self.trust(self.authority.pem)
        self.token = folder / "token"
        self.token.write_text("token-1\n")
        self.asked: list[web.Request] = []
        self.answer: Callable[[], web.Response] = lambda: web.Response(body=b"\x1f\x8b#")

    def trust(self, pem: str) -> None:
        self.api.put(CONFIG_MAPS, {"metadata": {"name": AUTHORITY, "namespace": NAMESPACE}, "data": {"ca.crt": pem}})

    def agent(self, address: str) -> Conductor:
        settings = Settings(node_name="node-a", conductor_address=address, conductor_token_file=self.token)
        return Conductor(cast("Client", self.api.client()), settings)

    @asynccontextmanager
    async def served(
        self, name: str = NAME, version: Any = ssl.TLSVersion.TLSv1_3, off: timedelta = timedelta()
    ) -> AsyncIterator[Conductor]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = version
        self.authority.certify(context, name, off=off)
        application = web.Application()
        application.router.add_get("/{path:.*}", self._take)
        runner = web.AppRunner(application)
        port = await listen(runner, "127.0.0.1", 0, context)
        try:
            yield self.agent(f"127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return self.answer()


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


async def refused(conductor: Conductor) -> tuple[str, str]:
    with pytest.raises(UserDataUnavailable) as caught:
        await conductor.user_data(SOURCE)
    return caught.value.reason, str(caught.value)


async def test_the_bytes_are_taken_as_they_are_and_the_token_is_read_anew(ground: Ground) -> None:
    async with ground.served() as conductor:
        assert await conductor.user_data(SOURCE) == b"\x1f\x8b#"
        ground.token.write_text("token-2")
        await conductor.user_data(InSecret("shop", "web-1", "uid-1"))
    first, second = ground.asked
    assert first.path == "/v1/namespaces/shop/instances/web-1/user-data"
    assert dict(first.query) == {"uid": "uid-1", "action": "act-1", "actionUID": "act-uid"}
    assert dict(second.query) == {"uid": "uid-1"}
    assert [each.headers["Authorization"] for each in ground.asked] == ["Bearer token-1", "Bearer token-2"]


async def test_the_conductors_own_reason_and_sentence_are_passed_on(ground: Ground) -> None:
    told = {"reason": "UserDataNotFound", "message": "there is no Secret web-init"}
    ground.answer = lambda: web.json_response(told, status=404)
    async with ground.served() as conductor:
        assert await refused(conductor) == ("UserDataNotFound", "there is no Secret web-init")


STRANGE: dict[str, tuple[Callable[[], web.Response], str]] = {
    "no JSON": (lambda: web.Response(status=502, text="<html>"), "answered 502 without a reason"),
    "no object": (lambda: web.json_response([], status=500), "answered 500 without a reason"),
    "a reason that is no word": (
        lambda: web.json_response({"reason": "a b", "message": "x"}, status=500),
        "answered 500 without a reason",
    ),
    "a redirection": (
        lambda: web.Response(status=302, headers={"Location": "https://127.0.0.1:1/"}),
        "answered 302 without a reason",
    ),
    "user data without end": (lambda: web.Response(body=b"x" * (USER_DATA_LIMIT + 1)), "is over 65536 bytes"),
    "a refusal without end": (lambda: web.Response(status=500, body=b"x" * 5000), "is over 4096 bytes"),
}


@pytest.mark.parametrize(("answer", "words"), STRANGE.values(), ids=STRANGE)
async def test_a_strange_answer_is_none(ground: Ground, answer: Callable[[], web.Response], words: str) -> None:
    ground.answer = answer
    async with ground.served() as conductor:
        reason, message = await refused(conductor)
    assert reason == "ConductorUnreachable"
    assert words in message


async def test_the_largest_user_data_arrives(ground: Ground) -> None:
    ground.answer = lambda: web.Response(body=b"x" * USER_DATA_LIMIT)
    async with ground.served() as conductor:
        assert await conductor.user_data(SOURCE) == b"x" * USER_DATA_LIMIT


@pytest.mark.parametrize(
    ("off", "words"),
    [
        pytest.param(timedelta(days=2), "not yet valid", id="behind"),
        pytest.param(timedelta(days=-2), "expired", id="ahead"),
    ],
)
async def test_a_clock_that_differs_from_the_operators_is_said_to_be_set(
    ground: Ground, off: timedelta, words: str
) -> None:
    async with ground.served(off=off) as conductor:
        reason, message = await refused(conductor)
    assert reason == "ConductorUnreachable"
    assert words in message
    assert message.endswith("set the clock of this node, or of the one where the operator runs")
    assert ground.asked == []


async def test_nobody_is_told_the_token_who_is_not_the_conductor(ground: Ground) -> None:
    async with ground.served("node-a") as conductor:
        reason, message = await refused(conductor)
        assert reason == "ConductorUnreachable"
        assert "clock" not in message
    async with ground.served(version=ssl.TLSVersion.TLSv1_2) as conductor:
        assert (await refused(conductor))[0] == "ConductorUnreachable"
    async with ground.served() as conductor:
        ground.trust(Authority().pem)
        assert (await refused(conductor))[0] == "ConductorUnreachable"
    assert ground.asked == []


async def test_an_agent_that_was_told_of_no_conductor_says_so(ground: Ground) -> None:
    reason, message = await refused(ground.agent(""))
    assert reason == "ConductorUnknown"
    assert "--conductor-address" in message


async def test_a_conductor_that_is_away_is_named(ground: Ground) -> None:
    reason, message = await refused(ground.agent("127.0.0.1:1"))
    assert reason == "ConductorUnreachable"
    assert message.startswith("no answer from the conductor at 127.0.0.1:1: ")


async def test_without_a_token_there_is_nothing_to_show(ground: Ground) -> None:
    ground.token.unlink()
    assert (await refused(ground.agent("127.0.0.1:1")))[0] == "ConductorTokenMissing"


@pytest.mark.parametrize("pem", ["", "rubbish"])
async def test_nobody_is_trusted_before_there_is_an_authority(ground: Ground, pem: str) -> None:
    ground.trust(pem)
    reason, message = await refused(ground.agent("127.0.0.1:1"))
    assert reason == "ConductorUnreachable"
    assert "ConfigMap hypernova-ca of namespace hypernova-system" in message


@pytest.mark.parametrize(
    "address", ["conductor", "conductor:", ":9443", "a b:1", "https://x:1", "a:1/path", "::1:9443"]
)
def test_an_address_that_is_none_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(ValueError, match="--conductor-address"):
        Settings(node_name="node-a", conductor_address=address)


@pytest.mark.parametrize("address", ["", "192.0.2.7:9443", "[2001:db8::7]:9443", "hypernova-operator.hypernova.svc:1"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    assert Settings(node_name="node-a", conductor_address=address).conductor_address == address
