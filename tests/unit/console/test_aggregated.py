"""The aggregated API's documents and routes, for an API server that is played."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from hypernova_api.console import SUBRESOURCES_GROUP, CloseCode, ConsoleUser
from hypernova_console.aggregated import discovery, openapi
from hypernova_console.aggregated.routes import LONGEST_BODY, Parts, application
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord
from hypernova_console.session import SESSIONS
from hypernova_console.sessions import Session
from support.console_replicas import ALICE, Replica, World, a_world
from support.waiting import eventually_async

INSTANCE = f"/apis/{SUBRESOURCES_GROUP}/v1alpha1/namespaces/shop/instances/web-1"
PNG = b"\x89PNG"


def test_discovery_says_the_same_in_both_forms():
    listed = {each["name"]: (each["kind"], each["verbs"]) for each in discovery.api_resource_list()["resources"]}
    ((group,),) = [discovery.api_group_discovery_list()["items"]]
    (instances,) = group["versions"][0]["resources"]
    nested = {"instances": (instances["responseKind"]["kind"], instances["verbs"])} | {
        f"instances/{each['subresource']}": (each["responseKind"]["kind"], each["verbs"])
        for each in instances["subresources"]
    }
    assert listed == nested
    assert group["metadata"]["name"] == discovery.api_group()["name"] == SUBRESOURCES_GROUP


@pytest.mark.parametrize("document", [openapi.version_2(), openapi.version_3()], ids=["2", "3"])
def test_openapi_has_each_subresource_with_what_it_refers_to(document: dict[str, object]):
    text = json.dumps(document)
    assert {path.rpartition("/")[2] for path in document["paths"]} == {each.name for each in discovery.SUBRESOURCES}
    definitions = document.get("definitions") or document["components"]["schemas"]
    references = {part.split('"')[0].rpartition("/")[2] for part in text.split('"$ref": "')[1:]}
    assert references == set(definitions)
    ids = [operation["operationId"] for path in document["paths"].values() for operation in _operations(path)]
    assert len(set(ids)) == len(ids) == len(discovery.SUBRESOURCES)


def _operations(path: dict[str, object]) -> list[dict[str, object]]:
    return [each for method, each in path.items() if method in ("get", "post")]


def test_an_openapi_document_that_is_another_has_another_hash():
    assert openapi.etag(openapi.version_3()) in str(openapi.version_3_index())
    assert openapi.etag(openapi.version_2()) == openapi.etag(openapi.version_2())
    assert openapi.etag(openapi.version_2()) != openapi.etag(openapi.version_3())


class PlayedFrontProxy:
    """Believes everybody, until told not to."""

    def __init__(self) -> None:
        self.refuses = False

    def user(self, request: web.BaseRequest) -> ConsoleUser:
        if self.refuses:
            raise Refused(401, "Unauthorized", "only the API server may ask here")
        return ALICE


class Api:
    """The application, and what stands behind it."""

    def __init__(self, world: World, replica: Replica, client: TestClient, front_proxy: PlayedFrontProxy) -> None:
        self.world, self.replica, self.client, self.front_proxy = world, replica, client, front_proxy

    async def no(self, method: str, path: str, **request: object) -> tuple[int, str, str]:
        """Code, reason and message of the Status that is answered."""
        async with self.client.request(method, path, **request) as answer:
            status = await answer.json()
            assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.status)
            return status["code"], status["reason"], status["message"]


@asynccontextmanager
async def an_api(relay: object = None) -> AsyncIterator[Api]:
    async def echo(request: web.Request, session: Session, *, take_over: bool) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"{session.type} {session.read_only} {take_over}")
        await socket.close(code=CloseCode.GUEST_OFF, message=b"off")
        return socket

    async def screenshot(instance: InstanceRecord, user: ConsoleUser) -> bytes:
        return PNG

    async with a_world() as world:
        replica, front_proxy = await world.replica(), PlayedFrontProxy()
        parts = Parts(
            front_proxy=front_proxy,
            instances=replica.instances,
            sessions=replica.sessions,
            relay=relay or echo,
            screenshot=screenshot,
            metrics=replica.metrics,
            public_url="https://console.example.com",
        )
        async with TestClient(TestServer(application(parts))) as client:
            yield Api(world, replica, client, front_proxy)


async def test_nobody_whom_the_api_server_does_not_name_sees_anything():
    async with an_api() as api:
        api.front_proxy.refuses = True
        for method, path in (
            ("GET", "/apis"),
            ("GET", "/openapi/v2"),
            ("GET", "/nothing"),
            ("GET", f"{INSTANCE}/vnc"),
            ("POST", f"{INSTANCE}/ticket"),
        ):
            assert (await api.no(method, path))[:2] == (401, "Unauthorized")
        assert api.world.sessions() == []


async def test_the_api_server_gets_discovery_in_the_form_it_asks_for():
    async with an_api() as api:
        async with api.client.get("/apis", headers={"Accept": f"{discovery.AGGREGATED},application/json"}) as answer:
            assert answer.headers["Content-Type"] == discovery.AGGREGATED
            assert (await answer.json(content_type=None))["kind"] == "APIGroupDiscoveryList"
        async with api.client.get("/apis", headers={"Accept": "application/json"}) as answer:
            assert (await answer.json())["kind"] == "APIGroupList"


async def test_a_document_is_sent_once():
    async with an_api() as api:
        async with api.client.get("/openapi/v2") as answer:
            tag = answer.headers["ETag"]
        async with api.client.get("/openapi/v2", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")


async def test_a_console_has_a_session_for_as_long_as_it_is_open():
    async with an_api() as api:
        async with api.client.ws_connect(f"{INSTANCE}/serial?readOnly=true&takeOver=true") as viewer:
            assert await viewer.receive_str() == "Serial True True"
            message = await viewer.receive()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, CloseCode.GUEST_OFF, "off")
        await eventually_async(lambda: not api.world.sessions(), "the session to go")
        (created,) = [
            event for plural, event in api.world.api.history if plural == SESSIONS.plural and event.type == "ADDED"
        ]
        assert created.object["spec"]["user"]["username"] == "alice"


async def test_a_console_that_fails_leaves_no_session_and_no_secrets_behind(caplog: pytest.LogCaptureFixture):
    async def broken(request: web.Request, session: Session, *, take_over: bool) -> web.StreamResponse:
        raise RuntimeError("out of order")

    async with an_api(broken) as api:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
        code, reason, message = await api.no("GET", f"{INSTANCE}/vnc", headers=upgrade)
        assert (code, reason) == (500, "InternalError")
        assert "out of order" not in message
        assert "out of order" in caplog.text
        assert api.world.sessions() == []


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        (f"{INSTANCE}/vnc", 400, "BadRequest"),
        (f"{INSTANCE}/nothing", 404, "NotFound"),
        (INSTANCE, 404, "NotFound"),
        (f"{INSTANCE}%2Fserial/vnc", 404, "NotFound"),
        (INSTANCE.replace("shop", "..%2Fshop") + "/screenshot", 404, "NotFound"),
        (INSTANCE.replace("web-1", "WEB") + "/screenshot", 404, "NotFound"),
        (INSTANCE.replace("web-1", "web-2") + "/screenshot", 404, "NotFound"),
        (f"{INSTANCE}/ticket", 405, "MethodNotAllowed"),
    ],
)
async def test_every_no_is_a_status(path: str, code: int, reason: str):
    async with an_api() as api:
        assert (await api.no("GET", path))[:2] == (code, reason)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[]", 422, "no ConsoleTicket"),
        (b'{"kind": "Pod"}', 422, "kind: Input should be 'ConsoleTicket'"),
        (b'{"spec": {"type": "Screen"}}', 422, "spec.type: Input should be 'VNC' or 'Serial'"),
        (b'{"spec": {"readOnly": "perhaps"}}', 422, "spec.readOnly"),
        (b"\xff", 400, "no JSON"),
        (b" " * (LONGEST_BODY + 1), 413, "Request Entity Too Large"),
    ],
    ids=["broken", "a list", "another kind", "no such type", "no boolean", "no text", "too long"],
)
async def test_what_is_no_ticket_request_makes_none(body: bytes, code: int, said: str):
    async with an_api() as api:
        status, _, message = await api.no("POST", f"{INSTANCE}/ticket", data=body)
        assert status == code
        assert said in message
        assert api.world.sessions() == []


@pytest.mark.parametrize(
    ("body", "type_", "read_only"),
    [(b"", "VNC", False), (b"{}", "VNC", False), (b'{"spec": {"type": "Serial", "readOnly": true}}', "Serial", True)],
)
async def test_a_ticket_request_may_leave_all_to_us(body: bytes, type_: str, read_only: bool):
    async with an_api() as api:
        async with api.client.post(f"{INSTANCE}/ticket", data=body) as answer:
            ticket = await answer.json()
            assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
        assert ticket["spec"] == {"type": type_, "readOnly": read_only}
        assert ticket["apiVersion"] == "subresources.compute.hypernova.dev/v1alpha1"
        shown = ticket["status"]["url"].removeprefix("https://console.example.com/#ticket=")
        session, _ = await api.replica.sessions.redeem(shown, peer="10.0.0.1")
        assert (session.key.name, session.read_only) == (ticket["status"]["session"], read_only)


async def test_who_asks_for_too_many_tickets_is_told_when_to_come_again():
    async with an_api() as api:
        offered = 0
        while (answer := await api.client.post(f"{INSTANCE}/ticket")).status == 201:
            offered += 1
            assert offered < 100
        assert offered >= 30  # and one more for each second that it took
        async with answer:
            status = await answer.json()
            assert (answer.status, status["reason"], answer.headers["Retry-After"]) == (429, "TooManyTickets", "1")
            assert status["details"] == {"retryAfterSeconds": 1}
