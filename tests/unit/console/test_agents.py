import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from functools import partial

import pytest
from aiohttp import web

from hypernova_api.console import ConsoleType
from hypernova_console import agents as module
from hypernova_console.agents import LARGEST_SCREENSHOT, Agents
from hypernova_console.errors import Refused
from hypernova_console.instances import Place
from hypernova_console.pump import AgentSocket
from support.authority import Authority
from support.console_agent import ScriptedAgent
from support.console_sessions import INSTANCE, SESSION

AUTHORITY = Authority()


@pytest.fixture
async def agent() -> AsyncIterator[ScriptedAgent]:
    async with ScriptedAgent(AUTHORITY.server("node-a")) as agent:
        yield agent


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with Agents(AUTHORITY.client("hypernova-console"), connect_seconds=5, answer_seconds=10) as agents:
        yield agents


async def opened(opening: Awaitable[AgentSocket], agent: ScriptedAgent) -> None:
    await hang_up(await opening, agent.consoles.get_nowait())


async def hang_up(ours: AgentSocket, theirs: web.WebSocketResponse) -> None:
    await asyncio.gather(ours.close(), theirs.receive())


async def refusal_of(agents: Agents, place: Place) -> Refused:
    with pytest.raises(Refused) as caught:
        await agents.console(SESSION, place, exclusive=False, take_over=False)
    return caught.value


async def test_an_agent_is_told_which_guest_is_asked_for_by_whom(agent: ScriptedAgent, agents: Agents) -> None:
    await opened(agents.console(SESSION, agent.place, exclusive=False, take_over=False), agent)
    (asked,) = agent.asked
    assert asked.path == "/v1/namespaces/shop/instances/web-1/vnc"
    assert dict(asked.query) == {"uid": "instance-uid", "user": "ann@example.com", "session": "shop/web-1-0a1b"}


async def test_an_agent_is_told_how_the_console_is_asked_for(agent: ScriptedAgent, agents: Agents) -> None:
    session = replace(SESSION, type=ConsoleType.SERIAL, read_only=True)
    await opened(agents.console(session, agent.place, exclusive=True, take_over=True), agent)
    (asked,) = agent.asked
    assert asked.path.endswith("/serial")
    assert {key: asked.query.get(key) for key in ("readOnly", "exclusive", "takeOver")} == {
        "readOnly": "true",
        "exclusive": "true",
        "takeOver": "true",
    }


async def test_what_a_user_is_called_cannot_add_to_what_is_asked(agent: ScriptedAgent, agents: Agents) -> None:
    session = replace(SESSION, user=SESSION.user.model_copy(update={"username": "x&takeOver=true#?/ä"}))
    await opened(agents.console(session, agent.place, exclusive=False, take_over=False), agent)
    (asked,) = agent.asked
    assert asked.query["user"] == "x&takeOver=true#?/ä"
    assert "takeOver" not in asked.query


async def test_an_agent_that_says_no_is_passed_on(agent: ScriptedAgent, agents: Agents) -> None:
    agent.refusal = 409, json.dumps({"reason": "InUse", "message": "bob has it since 12:00"}).encode()
    refused = await refusal_of(agents, agent.place)
    assert (refused.status, refused.reason, refused.message) == (409, "InUse", "bob has it since 12:00")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(500, b"<html>", id="no JSON"),
        pytest.param(404, b"[]", id="no object"),
        pytest.param(404, b'{"reason": "NotHere"}', id="no message"),
        pytest.param(404, b'{"reason": "Not\\nHere", "message": "x"}', id="a reason of two lines"),
        pytest.param(204, b'{"reason": "Fine", "message": "x"}', id="a success of another kind"),
        pytest.param(500, b"x" * 1_000_000, id="no end"),
    ],
)
async def test_an_agent_that_makes_no_sense_is_unreachable(
    agent: ScriptedAgent, agents: Agents, status: int, body: bytes
) -> None:
    agent.refusal = status, body
    refused = await refusal_of(agents, agent.place)
    assert (refused.status, refused.reason) == (503, "HostUnreachable")
    assert "node-a" in refused.message
    assert len(refused.message) < 200


async def test_an_agent_cannot_send_the_proxy_elsewhere(agent: ScriptedAgent, agents: Agents) -> None:
    async with ScriptedAgent(AUTHORITY.server("node-b"), node="node-b") as other:
        agent.refusal = 302, b""
        agent.headers = {"Location": f"https://127.0.0.1:{other.place.port}/v1/namespaces/a/instances/b/vnc"}
        assert (await refusal_of(agents, agent.place)).reason == "HostUnreachable"
        assert other.asked == []
        assert len(agent.asked) == 1


async def test_the_certificate_of_another_node_is_not_taken(agent: ScriptedAgent, agents: Agents) -> None:
    refused = await refusal_of(agents, replace(agent.place, node_name="node-b"))
    assert (refused.status, refused.reason) == (503, "HostUnreachable")
    assert "node node-b" in refused.message
    assert "certificate" in refused.message
    assert agent.asked == []


async def test_a_certificate_of_another_authority_is_not_taken(agents: Agents) -> None:
    async with ScriptedAgent(Authority().server("node-a")) as stranger:
        assert "certificate" in (await refusal_of(agents, stranger.place)).message
        assert stranger.asked == []


async def test_an_agent_that_does_not_know_us_is_unreachable(agent: ScriptedAgent) -> None:
    context = Authority().client("hypernova-console")
    context.load_verify_locations(cadata=AUTHORITY.pem)
    async with Agents(context) as strangers:
        assert (await refusal_of(strangers, agent.place)).reason == "HostUnreachable"
    assert agent.asked == []


async def test_a_node_where_nobody_listens_is_unreachable(agent: ScriptedAgent, agents: Agents) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    refused = await refusal_of(agents, Place("node-a", "127.0.0.1", port))
    assert (refused.status, refused.reason) == (503, "HostUnreachable")
    assert refused.message == (
        f"The agent of node node-a at 127.0.0.1 port {port} cannot be reached: Connect call failed "
        f"('127.0.0.1', {port})."
    )


@pytest.mark.parametrize("what", ["handshake", "answer"])
async def test_a_node_that_stays_silent_is_not_waited_for_long(what: str) -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    context = AUTHORITY.server("node-a") if what == "answer" else None
    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=context)
    try:
        async with Agents(AUTHORITY.client("c"), connect_seconds=0.3, answer_seconds=0.6) as agents:
            refused = await refusal_of(agents, Place("node-a", "127.0.0.1", server.sockets[0].getsockname()[1]))
        assert (refused.status, refused.reason) == (503, "HostUnreachable")
        assert "does not answer" in refused.message
    finally:
        for writer in held:
            writer.transport.abort()
        server.close()


async def test_more_consoles_are_opened_at_once_than_a_pool_has_room_for(agent: ScriptedAgent, agents: Agents) -> None:
    open_one = partial(agents.console, SESSION, agent.place, exclusive=False, take_over=False)
    sockets = await asyncio.gather(*(open_one() for _ in range(120)))
    assert agent.consoles.qsize() == 120
    await asyncio.gather(*(hang_up(socket, agent.consoles.get_nowait()) for socket in sockets))


async def test_a_screenshot_is_the_agents_picture(agent: ScriptedAgent, agents: Agents) -> None:
    agent.picture = b"\x89PNG" + bytes(3_000_000)
    assert await agents.screenshot(agent.place, INSTANCE, SESSION.user) == agent.picture
    (asked,) = agent.asked
    assert asked.path == "/v1/namespaces/shop/instances/web-1/screenshot"
    assert dict(asked.query) == {"uid": "instance-uid", "user": "ann@example.com"}


async def test_a_screenshot_has_a_largest_size(
    agent: ScriptedAgent, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LARGEST_SCREENSHOT == 16 * 1024 * 1024
    monkeypatch.setattr(module, "LARGEST_SCREENSHOT", 1000)
    agent.picture = bytes(1001)
    with pytest.raises(Refused) as caught:
        await agents.screenshot(agent.place, INSTANCE, SESSION.user)
    assert (caught.value.status, caught.value.reason) == (503, "HostUnreachable")
    agent.picture = bytes(1000)
    assert len(await agents.screenshot(agent.place, INSTANCE, SESSION.user)) == 1000


async def test_a_screenshot_that_the_agent_refuses_is_refused_so(agent: ScriptedAgent, agents: Agents) -> None:
    agent.refusal = 409, b'{"reason": "GuestOff", "message": "web-1 is off"}'
    with pytest.raises(Refused, match="web-1 is off") as caught:
        await agents.screenshot(agent.place, INSTANCE, SESSION.user)
    assert (caught.value.status, caught.value.reason) == (409, "GuestOff")
