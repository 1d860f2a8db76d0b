"""Has the endpoint served as long as the agent runs, and its place told. Nothing of the agent waits for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from hypernova_agent.console.consoles import Consoles
from hypernova_agent.console.endpoint import Endpoint
from hypernova_agent.settings import Settings
from hypernova_api import hypervisor
from hypernova_api.certificates import AGENT_ACCOUNT, Signer
from hypernova_kube.backoff import Backoff
from hypernova_kube.certificates import SERVER_USAGES, Identity
from hypernova_kube.client import Client
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)

_LONGEST_BACKOFF = 60.0


class Certified(Protocol):
    """What is needed of a `hypernova_kube.certificates.Identity`."""

    @property
    def ready(self) -> asyncio.Event: ...

    async def run(self) -> None: ...

    def server_context(self) -> ssl.SSLContext: ...


def agent_identity(client: Client, settings: Settings) -> Identity:
    """An agent's: good for its node's name alone, which is what proxies look for at whatever address the node has."""
    return Identity(
        client,
        signer=Signer.AGENT_SERVING,
        common_name=AGENT_ACCOUNT,
        dns_names=[settings.node_name],
        usages=SERVER_USAGES,
        namespace=settings.namespace,
    )


class Serving:
    """Gets the agent its certificate, and serves the endpoint from then on."""

    def __init__(
        self, identity: Certified, settings: Settings, consoles: Consoles, tell: Callable[[hypervisor.Endpoint], None]
    ) -> None:
        """An endpoint that is not served yet; `run()` does.

        Args:
            identity: gets the certificate.
            settings: where to listen, and what others dial.
            consoles: what is served.
            tell: told where, when it is served.
        """
        self._settings = settings
        self._consoles = consoles
        self._tell = tell
        self._identity = identity
        self._backoff = Backoff(cap=_LONGEST_BACKOFF)

    async def run(self) -> None:
        """For ever; end it by cancelling. Viewers are told why they end.

        Whatever goes wrong is logged and tried again: guests do not depend on their consoles.
        """
        while True:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._identity.run())
                    group.create_task(self._serve())
            except* Exception as errors:
                wait = self._backoff.next("identity")
                log.error("consoles not served", error=errors.exceptions[0], retry_in_s=wait)
            await asyncio.sleep(wait)

    async def _serve(self) -> None:
        await self._identity.ready.wait()
        while True:
            try:
                await self._serve_once()
            except OSError as error:
                wait = self._backoff.next("port")
                log.error("consoles not served", port=self._settings.console_port, error=error, retry_in_s=wait)
                await asyncio.sleep(wait)

    async def _serve_once(self) -> None:
        settings = self._settings
        context = self._identity.server_context()
        async with Endpoint(self._consoles, context, settings.console_host, settings.console_port) as endpoint:
            log.info("serving consoles", address=settings.console_address, port=endpoint.port)
            self._tell(hypervisor.Endpoint(address=settings.console_address, port=endpoint.port))
            try:
                await asyncio.Event().wait()
            finally:
                self._consoles.end()
