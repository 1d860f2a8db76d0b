"""The agent's console endpoint, with guests behind it, and a console proxy that asks it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from hypernova_agent import names
from hypernova_agent.console.consoles import Consoles
from hypernova_agent.console.endpoint import Endpoint
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.xml.guest import domain_xml
from hypernova_api.certificates import CONSOLE_NAME
from hypernova_api.console import SerialRole
from hypernova_api.instance import Instance
from hypernova_kube.resources import Key, Object
from support.authority import Authority
from support.builders import an_instance, stored
from support.host_contract import Subject

NODE = "node-a"
NAMESPACE = "shop"
GREETING = b"RFB 003.008\n"
HELLO = GREETING + b"\x01\x01"
"""What a viewer says first: version, no authentication, that he shares."""


@dataclass(slots=True)
class Seat:
    """A viewer's end of a console."""

    socket: aiohttp.ClientWebSocketResponse
    seen: bytearray = field(default_factory=bytearray)
    roles: list[SerialRole] = field(default_factory=list)

    async def say(self, data: bytes) -> None:
        await self.socket.send_bytes(data)

    async def sees(self, words: bytes) -> None:
        """Wait until these have come."""
        async with asyncio.timeout(30):
            while words not in self.seen:
                await self._take()

    async def sees_more(self) -> None:
        """Wait for the next message; what it brings is not kept."""
        async with asyncio.timeout(30):
            await self.socket.receive()

    async def is_told(self, role: SerialRole) -> None:
        """Wait until this is his role, told last."""
        async with asyncio.timeout(30):
            while not self.roles or self.roles[-1] != role:
                await self._take()

    async def ending(self) -> tuple[int | None, str]:
        """Code and reason that it ends with."""
        async with asyncio.timeout(30):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    return message.data, message.extra or ""
                if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self.socket.close_code, ""

    async def _take(self) -> None:
        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            self.roles.append(SerialRole.model_validate_json(message.data))
        else:
            assert message.type is aiohttp.WSMsgType.BINARY, (message, bytes(self.seen), self.roles)
            self.seen += message.data


@dataclass(slots=True)
class Site:
    """A node's endpoint."""

    subject: Subject
    authority: Authority
    consoles: Consoles
    endpoint: Endpoint
    metrics: AgentMetrics
    instances: dict[Key, Instance]
    http: aiohttp.ClientSession

    def bind(self, name: str, uid: str, **metadata: Any) -> Instance:
        """An Instance of this node."""
        obj: Object = stored(an_instance(name, NAMESPACE, **metadata))
        obj["metadata"]["uid"] = uid
        instance = self.instances[Key(NAMESPACE, name)] = Instance.parse(obj)
        return instance

    async def guest(self, name: str = "web-1") -> str:
        """The UID of an Instance whose guest runs, with its log where an agent would have it."""
        config = await self.subject.guest()
        uid, host = config.owner.uid, self.subject.host
        await host.define(domain_xml(replace(config, console_log=f"{host.pool_path}/{names.console_log(uid)}")))
        await host.start(uid)
        self.bind(name, uid)
        return uid

    async def clear(self) -> None:
        """Take away the guests' logs; the rest is the subject's."""
        for instance in self.instances.values():
            for log in names.console_logs(instance.metadata.uid):
                await self.subject.host.delete_volume(log)

    def url(self, what: str, name: str = "web-1", **query: str) -> str:
        asked = {"user": "ada", "session": f"{NAMESPACE}/{query.get('user', 'ada')}"} | query
        uid = asked.pop("uid", "") or self.instances[Key(NAMESPACE, name)].metadata.uid
        words = "&".join(f"{key}={value}" for key, value in ({"uid": uid} | asked).items())
        return f"https://127.0.0.1:{self.endpoint.port}/v1/namespaces/{NAMESPACE}/instances/{name}/{what}?{words}"

    @contextlib.asynccontextmanager
    async def look(self, what: str, name: str = "web-1", **query: str) -> AsyncIterator[Seat]:
        """A viewer of what the guest shows."""
        async with self.http.ws_connect(self.url(what, name, **query), max_msg_size=0) as socket:
            yield Seat(socket)

    async def refused(self, what: str, name: str = "web-1", **query: str) -> tuple[int, Object]:
        """Status and body of an answer that is an error."""
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        headers |= {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} if what != "screenshot" else {}
        async with self.http.get(self.url(what, name, **query), headers=headers) as answer:
            return answer.status, await answer.json()

    def proxy(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        """Another client, with a certificate of its own."""
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


@contextlib.asynccontextmanager
async def site(subject: Subject) -> AsyncIterator[Site]:
    """An endpoint on a host, with a certificate for NODE; its client is the console proxy."""
    authority, metrics = Authority(), AgentMetrics()
    instances: dict[Key, Instance] = {}
    consoles = Consoles(subject.host, instances.get, metrics)
    connector = aiohttp.TCPConnector(ssl=authority.client(CONSOLE_NAME), limit=0)
    async with (
        Endpoint(consoles, authority.server(NODE), "127.0.0.1", 0) as endpoint,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        try:
            yield Site(subject, authority, consoles, endpoint, metrics, instances, http)
        finally:
            consoles.end()
