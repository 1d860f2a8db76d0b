"""The console proxy as a process: its real relay, to the player by mTLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import cast

from aiohttp import web

from hypernova_api.console import ConsoleType, ConsoleUser
from hypernova_console.agents import Agents
from hypernova_console.instances import InstanceRecord, Place
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.relay import AgentRelay
from hypernova_console.sessions import Ending, Session, Sessions
from hypernova_console.web.server import WebServer
from hypernova_kube.resources import Key

NODE = "node-a"
PATH = "/session/shop/s-1/stream"

_SESSION = Session(
    key=Key("shop", "s-1"),
    uid="1",
    instance=Key("shop", "web-1"),
    instance_uid="2",
    type=ConsoleType.VNC,
    read_only=False,
    user=ConsoleUser(username="ann"),
    expires_at=datetime.now(UTC) + timedelta(hours=8),
)


class _Sight:
    def __init__(self, place: Place) -> None:
        self.instance = InstanceRecord(_SESSION.instance, "2", NODE, "Running", "", False)
        self.place = place

    async def ended(self) -> Ending:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


class _Sessions:
    """One session, which lasts."""

    def __init__(self, port: int) -> None:
        self._sight = _Sight(Place(NODE, "127.0.0.1", port))

    @asynccontextmanager
    async def sight(self, session: Session) -> AsyncIterator[_Sight]:
        yield self._sight


def serve(agent_port: int, context: ssl.SSLContext, told: Connection) -> None:
    """Serve for ever; tells its port first."""
    asyncio.run(_serve(agent_port, context, told))


async def _serve(agent_port: int, context: ssl.SSLContext, told: Connection) -> None:
    async with Agents(context) as agents:
        relay = AgentRelay(cast("Sessions", _Sessions(agent_port)), agents, ConsoleMetrics())

        async def stream(request: web.Request) -> web.StreamResponse:
            return await relay(request, _SESSION, take_over=False)

        application = web.Application()
        application.router.add_get(PATH, stream)
        async with WebServer(application, "127.0.0.1", 0) as server:
            told.send(server.port)
            await asyncio.Event().wait()
