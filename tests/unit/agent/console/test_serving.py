"""The endpoint is served when there is a certificate, whatever comes between, and nothing waits for it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from hypernova_agent.console.consoles import Consoles
from hypernova_agent.console.serving import Serving
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_api.hypervisor import Endpoint
from support.authority import Authority
from support.memory_host import MemoryHost
from support.waiting import eventually_async


class Identity:
    """One whose certificate comes when a test says so."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.runs = 0
        self.fails = False
        self._context = Authority().server("node-a")

    async def run(self) -> None:
        self.runs += 1
        if self.fails:
            self.fails = False
            raise ValueError("a name that no certificate can have")
        await asyncio.Event().wait()

    def server_context(self) -> ssl.SSLContext:
        return self._context


@contextlib.asynccontextmanager
async def serving(identity: Identity, port: int = 0) -> AsyncIterator[list[Endpoint]]:
    """What is told of where it is served."""
    told: list[Endpoint] = []
    settings = Settings("node-a", console_address="192.0.2.7", console_host="127.0.0.1", console_port=port)
    consoles = Consoles(MemoryHost(), lambda _: None, AgentMetrics())
    task = asyncio.create_task(Serving(identity, settings, consoles, told.append).run())
    try:
        yield told
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_it_is_served_once_there_is_a_certificate_and_told_where() -> None:
    identity = Identity()
    async with serving(identity) as told:
        await eventually_async(lambda: identity.runs, "the identity to run")
        assert told == []
        identity.ready.set()
        (place,) = await eventually_async(lambda: told, "the endpoint")
        assert place.address == "192.0.2.7"
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", place.port))
    socket.create_server(("127.0.0.1", place.port)).close()


async def test_a_port_that_is_taken_is_waited_for() -> None:
    identity = Identity()
    identity.ready.set()
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with serving(identity, other.getsockname()[1]) as told:
            await eventually_async(lambda: identity.runs, "the identity to run")
            assert told == []
            other.close()
            await eventually_async(lambda: told, "the endpoint")
            assert identity.runs == 1


async def test_an_identity_that_breaks_is_begun_anew_and_breaks_nothing_else() -> None:
    identity = Identity()
    identity.fails = True
    identity.ready.set()
    async with serving(identity) as told:
        await eventually_async(lambda: identity.runs == 2 and told, "a second run")
