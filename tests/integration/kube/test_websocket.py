"""WebSockets to an aggregated API server, through a real API server."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType

from hypernova_api.console import LONGEST_MESSAGE, SUBRESOURCES_GROUP, CloseCode
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, Forbidden, NotFound
from hypernova_kube.resources import Resource
from support.console_api import PNG, ConsoleApi, a_console_api, a_refusal

CONSOLES = Resource(SUBRESOURCES_GROUP, "v1alpha1", "instances", "Instance")


@pytest.fixture
async def api(cluster, client, tmp_path) -> AsyncIterator[ConsoleApi]:
    async with a_console_api(cluster, client, tmp_path) as api:
        yield api


def connect(client: Client, **params: str):
    return client.websocket(CONSOLES, "web-1", "shop", "serial", params, longest_message=LONGEST_MESSAGE)


async def test_bytes_go_both_ways_and_the_aggregated_server_knows_who_asks(api, client):
    async with connect(client, readOnly="true") as ours:
        theirs = await api.viewer()
        await theirs.send_bytes(b"login: ")
        assert await ours.receive_bytes() == b"login: "
        longest = b"x" * LONGEST_MESSAGE
        await ours.send_bytes(b"root")
        assert await theirs.receive_bytes() == b"root"
        await theirs.send_bytes(longest)
        assert await ours.receive_bytes() == longest
    assert api.asked == [("admin", "shop/instances/web-1/serial", {"readOnly": "true"})]


async def test_the_close_code_and_its_reason_come_through(api, client):
    async with connect(client) as ours:
        theirs = await api.viewer()
        await theirs.close(code=CloseCode.TAKEN_OVER, message=b"bob has taken it over")
        message = await ours.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, CloseCode.TAKEN_OVER)
        assert message.extra == "bob has taken it over"


async def test_what_the_aggregated_server_refuses_before_the_upgrade_is_told_in_its_words(api, client):
    api.refusals["serial"] = a_refusal(409, "InUse", "alice has it")
    with pytest.raises(Conflict, match="alice has it") as refused:
        async with connect(client):
            pass
    assert refused.value.reason == "InUse"


async def test_who_lacks_the_right_is_refused_by_the_api_server(api, cluster, namespace):
    kubeconfig = cluster.service_account_kubeconfig(namespace, "poor")
    async with await Client.connect(kubeconfig) as poor:
        with pytest.raises(Forbidden, match='cannot get resource "instances/serial"'):
            async with connect(poor):
                pass
    assert api.asked == []


async def test_without_an_aggregated_server_there_is_no_such_path(client):
    with pytest.raises(NotFound) as missing:
        async with connect(client):
            pass
    assert missing.value.reason == ""


async def test_a_subresource_takes_posts_and_answers_with_bytes(api, client):
    answer = await client.create_at(CONSOLES, "web-1", {"spec": {"type": "VNC"}}, "shop", "ticket")
    assert answer["status"]["session"] == "s-1"
    assert await client.get_bytes(CONSOLES.path("shop", "web-1", "screenshot")) == PNG
