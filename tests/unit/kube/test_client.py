"""The client against scripted answers: what a real API server cannot be made to say on demand."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from hypernova_kube.client import Client, PatchType
from hypernova_kube.credentials import log_in_from, namespace_of
from hypernova_kube.errors import (
    Expired,
    NoCredentials,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import LEASES, NODES, Object, Resource

GADGETS = Resource("example.com", "v1", "gadgets", "Gadget")

CA = """\
-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUCnm4OTAuAQhGRR1G2nwAe7UTC/QwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHdGVzdC1jYTAgFw0yNjExMjEwODM3NDNaGA8yMTI2MTAyODA4
Mzc0M1owEjEQMA4GA1UEAwwHdGVzdC1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABDThALTsFVqFZUclc6ihEX05gi/PQxugsnfUnYpCjKPdut7bljNW8luqP5OI
A2Rzjkw9+Pi3zNNOaqNHAQMSJ3ejUzBRMB0GA1UdDgQWBBQtbFk0sdCND1TgtfVl
xuSEfomvCDAfBgNVHSMEGDAWgBQtbFk0sdCND1TgtfVlxuSEfomvCDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIDCUT9/Vh4AV/Ad52qR/r8Kz7qxq
TEK90NcH3/lizTgnAiEAkaca3fN4YWzOlOl5qmFg2ZM00BCQATfObdjq8YgaGWA=
-----END CERTIFICATE-----
"""
"""A certificate that is good for nothing but being read."""

Answer = Callable[[web.Request], web.StreamResponse] | web.Response


class Server:
    """Answers each request with the next of `answers` (the last one stays), and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[str] = []
        self.answers: list[Answer] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.text())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request) if callable(answer) else web.json_response(answer)

    def will_answer(self, *answers: Answer | Object) -> None:
        self.answers = list(answers)


def refusing(code: int, reason: str, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        body = {"kind": "Status", "code": code, "reason": reason, "message": reason}
        return web.json_response(
            body, status=code, headers={key.replace("_", "-"): value for key, value in headers.items()}
        )

    return answer


def streaming(*chunks: bytes, cut: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if cut:
            request.transport.abort()
        return response

    return answer


def a_page(*names: str, go_on: str = "", version: str = "7") -> Object:
    metadata = {"resourceVersion": version, "continue": go_on}
    return {"kind": "List", "metadata": metadata, "items": [an_item(name) for name in names]}


def an_item(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", "managedFields": [{"manager": "kubectl"}]}}


def names(items: list[Object]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def a_kubeconfig(folder: Path, url: str, user: Object) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def two_contexts(folder: Path, url: str) -> Path:
    """A kubeconfig with the contexts `test`, the current one, and `other`, of another user in another namespace."""
    path = a_kubeconfig(folder, url, {"token": "of the one"})
    config = yaml.safe_load(path.read_text())
    config["contexts"].append({"name": "other", "context": {"cluster": "test", "user": "other", "namespace": "shop"}})
    config["users"].append({"name": "other", "user": {"token": "of the other"}})
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
async def server():
    server = Server()
    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(application) as running:
        server.url = str(running.make_url("")).rstrip("/")
        yield server


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
async def client(server, registry, tmp_path):
    (tmp_path / "token").write_text("first\n")
    kubeconfig = a_kubeconfig(tmp_path, server.url, {"tokenFile": str(tmp_path / "token")})
    async with await Client.connect(kubeconfig, component="test", metrics=Metrics(registry)) as client:
        yield client


async def test_requests_say_who_asks(server, client):
    server.will_answer(an_item("a"))
    await client.get(GADGETS, "a", "shop")
    headers = server.requests[0].headers
    assert headers["User-Agent"].startswith("hypernova-test/")
    assert headers["Authorization"] == "Bearer first"
    assert server.requests[0].path == "/apis/example.com/v1/namespaces/shop/gadgets/a"


async def test_requests_are_counted_by_verb_resource_and_code(server, client, registry):
    server.will_answer(an_item("a"), refusing(404, "NotFound"))
    await client.get(GADGETS, "a", "shop")
    with pytest.raises(NotFound):
        await client.patch(GADGETS, "a", {}, "shop", subresource="status")

    def count(**labels):
        return registry.get_sample_value("hypernova_kube_requests_total", labels)

    assert count(verb="get", resource="gadgets", code="200") == 1
    assert count(verb="patch", resource="gadgets/status", code="404") == 1


class TestList:
    async def test_pages_are_read_to_the_end(self, server, client):
        server.will_answer(a_page("a", "b", go_on="x"), a_page("c", go_on="y"), a_page("d"))
        listing = await client.list(GADGETS, namespace="shop", label_selector="app=web", page_size=2)
        assert names(listing.items) == list("abcd")
        assert listing.resource_version == "7"
        queries = [dict(request.query) for request in server.requests]
        assert queries == [
            {"labelSelector": "app=web", "limit": "2"},
            {"labelSelector": "app=web", "limit": "2", "continue": "x"},
            {"labelSelector": "app=web", "limit": "2", "continue": "y"},
        ]

    async def test_items_get_the_kind_that_the_server_leaves_out_and_lose_what_nobody_reads(self, server, client):
        server.will_answer(a_page("a"))
        (item,) = (await client.list(GADGETS)).items
        assert (item["apiVersion"], item["kind"]) == ("example.com/v1", "Gadget")
        assert "managedFields" not in item["metadata"]

    async def test_an_empty_list_may_come_as_null(self, server, client):
        server.will_answer({**a_page(), "items": None})
        assert (await client.list_metadata(GADGETS)).items == []

    async def test_a_list_that_expires_between_pages_starts_over(self, server, client):
        server.will_answer(a_page("a", go_on="x"), refusing(410, "Expired"), a_page("a", "b"))
        assert names((await client.list(GADGETS)).items) == ["a", "b"]

    async def test_in_the_end_it_is_read_without_pages(self, server, client):
        server.will_answer(
            a_page("a", go_on="x"),
            refusing(410, "Expired"),
            a_page("a", go_on="y"),
            refusing(410, "Expired"),
            a_page("b"),
        )
        assert names((await client.list(GADGETS)).items) == ["b"]
        assert "limit" not in server.requests[-1].query

    async def test_metadata_alone_can_be_asked_for(self, server, client):
        server.will_answer(a_page("a"))
        assert names((await client.list_metadata(GADGETS)).items) == ["a"]
        assert "as=PartialObjectMetadataList" in server.requests[0].headers["Accept"]


class TestStream:
    @staticmethod
    def the_end(**annotations: str) -> bytes:
        return TestWatch.an_event("BOOKMARK", {"metadata": {"resourceVersion": "9", "annotations": annotations}})

    @staticmethod
    async def read(client):
        return [(event.type, event.object["metadata"].get("name")) async for event in client.stream(GADGETS)]

    async def test_it_ends_with_a_bookmark_when_all_have_come(self, server, client):
        one, other = (TestWatch.an_event("ADDED", an_item(name)) for name in "ab")
        end = self.the_end(**{"k8s.io/initial-events-end": "true"})
        server.will_answer(streaming(one + self.the_end() + other + end + one))
        assert await self.read(client) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", None)]
        assert server.requests[0].query["sendInitialEvents"] == "true"

    async def test_what_breaks_off_is_not_taken_for_all(self, server, client):
        server.will_answer(streaming(TestWatch.an_event("ADDED", an_item("a"))))
        with pytest.raises(Unreachable):
            await self.read(client)

    async def test_a_server_that_does_not_stream_is_asked_for_a_list(self, server, client):
        server.will_answer(refusing(422, "Invalid"), a_page("a", "b"))
        assert await self.read(client) == [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", None)]

    async def test_the_version_of_a_kind_is_had_without_reading_all(self, server, client):
        server.will_answer(a_page("a", go_on="x"))
        assert await client.current_version(GADGETS) == int(a_page()["metadata"]["resourceVersion"])
        assert server.requests[0].query["limit"] == "1"

    async def test_who_may_see_one_object_alone_has_the_version_too(self, server, client):
        server.will_answer(a_page("a"))
        await client.current_version(GADGETS, namespace="hn", field_selector="metadata.name=a")
        assert "/namespaces/hn/" in server.requests[0].path
        assert server.requests[0].query["fieldSelector"] == "metadata.name=a"


class TestWatch:
    @staticmethod
    def an_event(kind: str, obj: Object) -> bytes:
        return json.dumps({"type": kind, "object": obj}).encode() + b"\n"

    @staticmethod
    async def read(client, **options):
        return [event async for event in client.watch(GADGETS, resource_version="7", **options)]

    async def test_events_come_whole_however_the_network_cuts_them(self, server, client):
        stream = b"".join(self.an_event("ADDED", an_item(name)) for name in "abc")
        server.will_answer(streaming(stream[:5], stream[5:100], stream[100:101], stream[101:]))
        events = await self.read(client)
        assert [(event.type, event.object["metadata"]["name"]) for event in events] == [
            ("ADDED", "a"),
            ("ADDED", "b"),
            ("ADDED", "c"),
        ]
        assert "managedFields" not in events[0].object["metadata"]

    async def test_the_server_is_told_from_where_and_for_how_long(self, server, client):
        server.will_answer(streaming())
        await self.read(client, field_selector="status.nodeName=a", timeout_seconds=243.7)
        assert dict(server.requests[0].query) == {
            "watch": "true",
            "resourceVersion": "7",
            "timeoutSeconds": "244",
            "allowWatchBookmarks": "true",
            "fieldSelector": "status.nodeName=a",
        }

    async def test_an_event_of_many_megabytes_is_read(self, server, client):
        item = {**an_item("big"), "data": "x" * 10_000_000}
        server.will_answer(streaming(self.an_event("ADDED", item)))
        (event,) = await self.read(client)
        assert len(event.object["data"]) == 10_000_000

    async def test_a_line_without_end_is_given_up(self, server, client):
        server.will_answer(streaming(b"x" * 17 * 1024 * 1024))
        with pytest.raises(Unreachable, match="bytes"):
            await self.read(client)

    async def test_an_error_event_is_raised(self, server, client):
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 7 (99)"}
        server.will_answer(streaming(self.an_event("ADDED", an_item("a")), self.an_event("ERROR", status)))
        with pytest.raises(Expired, match="too old resource version"):
            await self.read(client)

    async def test_a_cut_connection_is_not_the_end_of_a_watch(self, server, client):
        server.will_answer(streaming(self.an_event("ADDED", an_item("a")), cut=True))
        with pytest.raises(Unreachable):
            await self.read(client)


class TestSheddingServer:
    async def test_a_429_is_waited_out(self, server, client):
        server.will_answer(refusing(429, "TooManyRequests", Retry_After="0.01"), an_item("a"))
        assert (await client.patch(GADGETS, "a", {}, "shop"))["metadata"]["name"] == "a"

    async def test_but_not_for_ever(self, server, client):
        server.will_answer(refusing(429, "TooManyRequests", Retry_After="0.01"))
        with pytest.raises(TooManyRequests) as refused:
            await client.get(GADGETS, "a", "shop")
        assert refused.value.retry_after == 0.01
        assert len(server.requests) == 4

    async def test_a_create_is_left_to_its_caller(self, server, client):
        server.will_answer(refusing(429, "TooManyRequests", Retry_After="0.01"), an_item("a"))
        with pytest.raises(TooManyRequests):
            await client.create(GADGETS, an_item("a"))


class TestCredentials:
    async def test_an_expired_token_is_read_anew_and_the_request_repeated(self, server, client, tmp_path):
        server.will_answer(refusing(401, "Unauthorized"), an_item("a"))
        (tmp_path / "token").write_text("second")
        await client.get(GADGETS, "a", "shop")
        assert [request.headers["Authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]

    async def test_a_token_that_stays_refused_is_an_error_after_one_more_try(self, server, client):
        server.will_answer(refusing(401, "Unauthorized"))
        with pytest.raises(Unauthorized):
            await client.get(GADGETS, "a", "shop")
        assert len(server.requests) == 2

    async def test_a_create_refused_for_its_token_is_repeated_too(self, server, client):
        server.will_answer(refusing(401, "Unauthorized"), an_item("a"))
        await client.create(GADGETS, an_item("a"))
        assert len(server.requests) == 2

    async def test_a_watch_logs_in_again_too(self, server, client, tmp_path):
        server.will_answer(refusing(401, "Unauthorized"), streaming())
        (tmp_path / "token").write_text("second")
        assert [event async for event in client.watch(GADGETS, resource_version="7")] == []

    async def test_many_refused_together_log_in_once(self, server, tmp_path):
        runs = tmp_path / "runs"
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/bin/sh",
            "args": [
                "-c",
                f"echo run >> {runs}; echo '"
                + json.dumps(
                    {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "kind": "ExecCredential",
                        "status": {"token": "made"},
                    }
                )
                + "'",
            ],
        }

        refused = 0

        async def answer(request: web.Request) -> web.Response:
            nonlocal refused
            if refused < 10:
                refused += 1
                return await refusing(401, "Unauthorized")(request)
            return web.json_response(an_item("a"))

        server.will_answer(answer)
        kubeconfig = a_kubeconfig(tmp_path, server.url, {"exec": plugin})
        async with await Client.connect(kubeconfig) as client:
            await asyncio.gather(*(client.get(GADGETS, "a", "shop") for _ in range(10)))
        assert runs.read_text() == "run\n" * 2
        assert server.requests[-1].headers["Authorization"] == "Bearer made"

    async def test_a_pod_uses_its_service_account_as_it_is_at_each_login(self, tmp_path):
        (tmp_path / "token").write_text("of the pod")
        (tmp_path / "ca.crt").write_text(CA)
        environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
        log_in = log_in_from(None, environ, tmp_path)
        login = await log_in()
        assert login.server == "https://[fd00::1]:443"
        assert await login.authorization() == "bearer of the pod"
        (tmp_path / "token").write_text("renewed")
        assert await (await log_in()).authorization() == "bearer renewed"
        assert login.tls.cert_store_stats()["x509_ca"] == 1

    async def test_the_kubeconfig_of_the_environment_comes_before_the_pods_service_account(self, server, tmp_path):
        kubeconfig = a_kubeconfig(tmp_path, server.url, {"token": "of the file"})
        environ = {
            "KUBECONFIG": str(kubeconfig),
            "KUBERNETES_SERVICE_HOST": "10.96.0.1",
            "KUBERNETES_SERVICE_PORT": "1",
        }
        login = await log_in_from(None, environ)()
        assert await login.authorization() == "Bearer of the file"

    @pytest.mark.parametrize("content", [None, "", "]", "a: 1", "[]", "current-context: nowhere\ncontexts: []"])
    async def test_a_kubeconfig_that_is_none_says_so(self, tmp_path, content):
        path = tmp_path / "kubeconfig"
        if content is not None:
            path.write_text(content)
        with pytest.raises(NoCredentials, match=f"kubeconfig {path}"):
            await Client.connect(path)

    async def test_a_context_that_is_named_is_used_instead_of_the_current_one(self, server, tmp_path):
        server.will_answer(an_item("a"))
        async with await Client.connect(two_contexts(tmp_path, server.url), context="other") as client:
            await client.get(GADGETS, "a", "shop")
        assert server.requests[0].headers["Authorization"] == "Bearer of the other"

    async def test_a_context_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(NoCredentials, match="nowhere"):
            await Client.connect(two_contexts(tmp_path, "http://127.0.0.1:1"), context="nowhere")

    @pytest.mark.parametrize(("context", "namespace"), [("", "default"), ("test", "default"), ("other", "shop")])
    def test_the_namespace_is_the_contexts(self, tmp_path, context, namespace):
        kubeconfig = two_contexts(tmp_path, "http://127.0.0.1:1")
        assert namespace_of(kubeconfig, context=context) == namespace
        assert namespace_of(None, {"KUBECONFIG": f"/nowhere:{kubeconfig}"}, context=context) == namespace

    def test_the_namespace_of_a_context_that_is_not_there_is_none_of_ours(self, tmp_path):
        with pytest.raises(NoCredentials, match="nowhere"):
            namespace_of(two_contexts(tmp_path, "http://127.0.0.1:1"), context="nowhere")

    def test_in_a_pod_the_namespace_is_the_pods(self, tmp_path):
        environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "1"}
        assert namespace_of(None, environ, tmp_path) == "default"
        (tmp_path / "namespace").write_text("shop")
        assert namespace_of(None, environ, tmp_path) == "shop"

    async def test_a_pod_without_a_token_says_so(self, tmp_path):
        environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "1"}
        with pytest.raises(NoCredentials, match=str(tmp_path)):
            await log_in_from(None, environ, tmp_path)()


class TestVerbs:
    async def test_a_subresource_is_asked_by_post_and_its_answer_comes_back(self, server, client):
        server.will_answer({"kind": "Ticket", "status": {"url": "x"}})
        answer = await client.create_at(GADGETS, "a", {"kind": "Ticket"}, "shop", "ticket")
        assert answer["status"] == {"url": "x"}
        assert (server.requests[0].method, server.bodies[0]) == ("POST", '{"kind":"Ticket"}')
        assert server.requests[0].path == "/apis/example.com/v1/namespaces/shop/gadgets/a/ticket"

    async def test_what_is_no_text_comes_as_its_bytes(self, server, client):
        async def picture(_: web.Request) -> web.Response:
            return web.Response(body=b"\x89PNG\xff", content_type="image/png")

        server.will_answer(picture)
        assert await client.get_bytes("/picture", {"scale": "1"}) == b"\x89PNG\xff"
        assert server.requests[0].query == {"scale": "1"}

    @pytest.mark.parametrize(
        ("kind", "patch", "content_type", "query"),
        [
            (PatchType.MERGE, {"spec": {"a": 1}}, "application/merge-patch+json", {}),
            (PatchType.JSON, [{"op": "test", "path": "/a", "value": 1}], "application/json-patch+json", {}),
            (
                PatchType.APPLY,
                {"kind": "Gadget"},
                "application/apply-patch+yaml",
                {"fieldManager": "me", "force": "true"},
            ),
        ],
    )
    async def test_a_patch_says_what_it_is(self, server, client, kind, patch, content_type, query):
        server.will_answer(an_item("a"))
        manager = query.get("fieldManager", "")
        await client.patch(GADGETS, "a", patch, "shop", subresource="status", kind=kind, field_manager=manager)
        (request,) = server.requests
        assert request.method == "PATCH"
        assert request.path == "/apis/example.com/v1/namespaces/shop/gadgets/a/status"
        assert request.headers["Content-Type"] == content_type
        assert dict(request.query) == query
        assert json.loads(server.bodies[0]) == patch

    async def test_a_delete_can_name_the_very_object(self, server, client):
        server.will_answer({"kind": "Status"})
        await client.delete(GADGETS, "a", "shop", uid="u", grace_seconds=0)
        body = json.loads(server.bodies[0])
        assert (body["preconditions"], body["gracePeriodSeconds"]) == ({"uid": "u"}, 0)

    async def test_raw_text_is_given_as_it_is(self, server, client):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="ok")

        server.will_answer(answer)
        assert await client.get_raw("/readyz") == "ok"

    async def test_a_server_error_with_a_foreign_body_is_an_error(self, server, client):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(status=502, text="<h1>Bad Gateway</h1>")

        server.will_answer(answer)
        with pytest.raises(ServerError, match="Bad Gateway"):
            await client.get(NODES, "a")

    @pytest.mark.parametrize("text", ["<h1>Welcome</h1>", "[]", ""])
    async def test_an_answer_of_something_that_is_no_api_server_is_unreachable(self, server, client, text):
        async def answer(_: web.Request) -> web.Response:
            return web.Response(text=text)

        server.will_answer(answer)
        with pytest.raises(Unreachable, match="the answer is no"):
            await client.get(NODES, "a")
        server.will_answer(streaming(text.encode() + b"\n"))
        with pytest.raises(Unreachable, match="the answer is no"):
            await anext(client.watch(NODES, resource_version="1"))

    async def test_nobody_at_home_is_unreachable(self, tmp_path, unused_tcp_port):
        kubeconfig = a_kubeconfig(tmp_path, f"http://127.0.0.1:{unused_tcp_port}", {})
        async with await Client.connect(kubeconfig) as client:
            with pytest.raises(Unreachable, match="GET /apis/coordination"):
                await client.list(LEASES)
