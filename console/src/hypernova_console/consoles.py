"""What both doors, the API and the web, ask to pass a guest's console on."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from hypernova_api.console import ConsoleUser
from hypernova_console.instances import InstanceRecord
from hypernova_console.sessions import Session


class Relay(Protocol):
    """Passes a console on between a viewer and the node that has the guest."""

    async def __call__(self, request: web.Request, session: Session, *, take_over: bool) -> web.StreamResponse:
        """Upgrade the request to a WebSocket, and return when that has ended, whoever ended it.

        Args:
            request: the viewer's, with `Upgrade: websocket`.
            session: begun, and the viewer's own. It is not ended with the connection: the door knows whether it may
                come again.
            take_over: whether others who are in the way lose the console.

        Raises:
            Refused: before the upgrade.
        """


class Screenshot(Protocol):
    """Takes a picture of a guest's screen."""

    async def __call__(self, instance: InstanceRecord, user: ConsoleUser) -> bytes:
        """A PNG.

        Raises:
            Refused: there is none to be had, and why.
        """
