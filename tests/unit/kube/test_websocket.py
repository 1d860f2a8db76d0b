"""WebSockets to subresources against scripted answers: what a real API server cannot be made to say on demand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, Conflict, ServerError, Unauthorized, Unreachable
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Resource

GADGETS = Resource("example.com", "v1", "gadgets", "Gadget")
LONGEST = 1000


class Server:
    """Echoes what it gets over a WebSocket, after having refused so many times."""

    url: str

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.refusals: list[web.Response] = []
        self.closed: list[int | None] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.refusals:
            return self.refusals.pop(0)
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_bytes(message.data)
        self.closed.append(websocket.close_code)
        return websocket


def a_status(code: int, reason: str, message: str = "no") -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_get("/{path:.*}", server.handle)
    async with TestServer(application) as running:
        server.url = str(running.make_url("")).rstrip("/")
        yield server


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def client(server: Server, registry: CollectorRegistry, tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "token").write_text("first")
    path = tmp_path / "kubeconfig"
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server.url}}],
        "users": [{"name": "test", "user": {"tokenFile": str(tmp_path / "token")}}],
    }
    path.write_text(yaml.safe_dump(config))
    async with await Client.connect(path, metrics=Metrics(registry)) as client:
        yield client


def connect(client: Client, **params: str) -> Any:
    return client.websocket(GADGETS, "a", "shop", "serial", params, longest_message=LONGEST)


async def echoed(websocket: ClientWebSocketResponse, data: bytes) -> bytes:
    await websocket.send_bytes(data)
    answer: bytes = await websocket.receive_bytes()
    return answer


async def test_messages_go_both_ways_as_the_user_we_are(server, client):
    async with connect(client, readOnly="true") as websocket:
        assert await echoed(websocket, b"hello") == b"hello"
    (request,) = server.requests
    assert request.path == "/apis/example.com/v1/namespaces/shop/gadgets/a/serial"
    assert request.query == {"readOnly": "true"}
    assert request.headers["Authorization"] == "Bearer first"


async def test_the_other_side_sees_the_end_of_the_block_as_an_orderly_close(server, client):
    async with connect(client) as websocket:
        await echoed(websocket, b"hello")
    assert server.closed == [1000]


async def test_a_refusal_before_the_upgrade_is_the_error_that_its_body_tells(server, client):
    server.refusals = [a_status(409, "InUse", "alice has it")]
    with pytest.raises(Conflict, match="alice has it") as refused:
        async with connect(client):
            pass
    assert refused.value.reason == "InUse"


async def test_a_token_that_has_ended_is_read_anew_and_shown_again(server, client, tmp_path):
    server.refusals = [a_status(401, "Unauthorized")]
    (tmp_path / "token").write_text("second")
    async with connect(client) as websocket:
        assert await echoed(websocket, b"hello") == b"hello"
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


async def test_refused_again_it_is_unauthorized(server, client):
    server.refusals = [a_status(401, "Unauthorized"), a_status(401, "Unauthorized")]
    with pytest.raises(Unauthorized):
        async with connect(client):
            pass


async def test_credentials_are_not_carried_to_where_a_redirect_points(server, client):
    server.refusals = [web.Response(status=302, headers={"Location": "/elsewhere"})]
    with pytest.raises(ApiError, match="302"):
        async with connect(client):
            pass
    assert len(server.requests) == 1


async def test_an_answer_that_is_no_websocket_is_no_answer(server, client):
    server.refusals = [web.Response(text="hello")]
    with pytest.raises(Unreachable, match="gadgets/a/serial"):
        async with connect(client):
            pass


@pytest.mark.parametrize(("length", "code"), [(LONGEST, 0), (LONGEST + 1, 1009)])
async def test_a_message_is_taken_up_to_the_length_that_was_said(client, length, code):
    async with connect(client) as websocket:
        await websocket.send_bytes(b"x" * length)
        message = await websocket.receive()
        assert message.type is (WSMsgType.ERROR if code else WSMsgType.BINARY)
        assert (websocket.close_code or 0) == code


async def test_it_is_counted_with_the_answer(server, client, registry):
    server.refusals = [a_status(503, "ServiceUnavailable")]
    with pytest.raises(ServerError):
        async with connect(client):
            pass
    async with connect(client):
        pass

    def count(code: str) -> float | None:
        labels = {"verb": "connect", "resource": "gadgets/serial", "code": code}
        return registry.get_sample_value("hypernova_kube_requests_total", labels)

    assert (count("503"), count("101")) == (1, 1)
