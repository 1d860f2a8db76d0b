"""Consoles, as the console proxy serves them behind the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from hypernova_api.console import LONGEST_MESSAGE, SUBRESOURCES_GROUP, ConsoleTicket, ConsoleTicketSpec, ConsoleType
from hypernova_api.instance import Instance
from hypernova_api.meta import VERSION
from hypernova_cli.connection import Connection
from hypernova_cli.errors import proxied
from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, BadRequest
from hypernova_kube.resources import Resource

INSTANCES = Resource(SUBRESOURCES_GROUP, VERSION, Instance.plural, Instance.kind)
SCREENSHOT, TICKET = "screenshot", "ticket"


class Consoles:
    """Of the Instances of one namespace.

    Everything here can raise NoConsoleProxy, and ApiError with the proxy's own reason: GuestOff, InUse, ...
    """

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    @asynccontextmanager
    async def connected(self, name: str, type_: ConsoleType, params: Mapping[str, str]) -> AsyncIterator[Connection]:
        """A connection to a console."""
        opening = self._client.websocket(
            INSTANCES, name, self._namespace, type_.subresource, params, longest_message=LONGEST_MESSAGE
        )
        with _proxied():
            async with opening as websocket:
                yield Connection(websocket)

    async def check(self, name: str, type_: ConsoleType) -> None:
        """See whether the console may be connected to, without doing it."""
        try:
            with _proxied():
                await self._client.get_bytes(INSTANCES.path(self._namespace, name, type_.subresource))
        except BadRequest:
            return  # it has got to the proxy, which serves nothing but WebSockets there

    async def screenshot(self, name: str) -> bytes:
        """The screen as a PNG."""
        with _proxied():
            return await self._client.get_bytes(INSTANCES.path(self._namespace, name, SCREENSHOT))

    async def ticket(self, name: str, spec: ConsoleTicketSpec) -> ConsoleTicket:
        """A link for a browser."""
        wanted = ConsoleTicket(spec=spec).to_wire()
        with _proxied():
            answer = await self._client.create_at(INSTANCES, name, wanted, self._namespace, TICKET)
        return ConsoleTicket.model_validate(answer)


@contextmanager
def _proxied() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        if (told := proxied(error)) is not None:
            raise told from error
        raise
