"""`hypernova-console`: the process."""

from __future__ import annotations

import asyncio
import os
import sys

from prometheus_client import CollectorRegistry

from hypernova_api.certificates import CONSOLE_NAME, Signer
from hypernova_console.agents import Agents
from hypernova_console.aggregated.routes import Parts, application
from hypernova_console.aggregated.server import ApiServer
from hypernova_console.front_proxy import FrontProxy
from hypernova_console.instances import Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.relay import AgentRelay, AgentScreenshot
from hypernova_console.rights import Rights
from hypernova_console.sessions import Sessions
from hypernova_console.settings import Settings
from hypernova_console.web import routes
from hypernova_console.web.assets import Assets
from hypernova_console.web.power import Power
from hypernova_console.web.server import WebServer
from hypernova_kube.certificates import CLIENT_USAGES, SERVER_USAGES, Identity
from hypernova_kube.client import Client
from hypernova_kube.metrics import Metrics
from hypernova_kube.process.logs import configure, get_logger
from hypernova_kube.process.probes import Probes
from hypernova_kube.process.program import run
from hypernova_kube.process.settings import parse

log = get_logger(__name__)


def main() -> int:
    """The command: the console proxy until SIGTERM or SIGINT. Viewers then come again, to another replica."""
    settings = parse(Settings, sys.argv[1:], os.environ)
    configure(settings.log_level, settings.log_format)
    return run(_serve(settings), "console")


async def _serve(settings: Settings) -> None:
    registry = CollectorRegistry()
    async with await Client.connect(settings.kubeconfig, component="console", metrics=Metrics(registry)) as client:
        proxy = _Proxy(client, settings, ConsoleMetrics(registry))
        async with Probes(settings.probe_host, settings.probe_port, registry, list, proxy.not_ready) as probes:
            log.info("serving probes", port=probes.port)
            await proxy.run()


class _Proxy:
    """All parts, put together."""

    def __init__(self, client: Client, settings: Settings, metrics: ConsoleMetrics) -> None:
        self._client = client
        self._settings = settings
        self._assets = Assets.read(settings.assets)
        self._metrics = metrics
        self._serving = Identity(
            client,
            signer=Signer.CONSOLE_SERVING,
            common_name=CONSOLE_NAME,
            dns_names=[f"{CONSOLE_NAME}.{settings.namespace}.svc"],
            usages=SERVER_USAGES,
            namespace=settings.namespace,
        )
        self._to_agents = Identity(
            client,
            signer=Signer.CONSOLE_CLIENT,
            common_name=CONSOLE_NAME,
            dns_names=[CONSOLE_NAME],
            usages=CLIENT_USAGES,
            namespace=settings.namespace,
        )
        self._front_proxy = FrontProxy(client)
        self._instances = Instances(client)
        self._rights = Rights(client)
        self._sessions = Sessions(
            client,
            self._instances,
            self._rights,
            metrics,
            ticket_seconds=settings.ticket_seconds,
            session_seconds=settings.session_seconds,
            review_seconds=settings.review_seconds,
        )

    def not_ready(self) -> list[str]:
        """Why no viewer should be sent here now."""
        reasons = {
            "the cluster's Instances and Hypervisors are not known yet": self._instances.synced,
            "the ConsoleSessions are not known yet": self._sessions.synced,
            "the API server's front-proxy certificate is not known yet": self._front_proxy.ready,
            "no certificate to show to API servers yet: the operator signs it": self._serving.ready.is_set(),
            "no certificate to show to agents yet: the operator signs it": self._to_agents.ready.is_set(),
        }
        return [reason for reason, well in reasons.items() if not well]

    async def run(self) -> None:
        """Until it is cancelled; then no more viewers are let in, and those there are are told to come again."""
        settings = self._settings
        async with Agents(self._to_agents.client_context()) as agents:
            exclusive_vnc = settings.vnc_sharing == "Exclusive"
            relay = AgentRelay(self._sessions, agents, self._metrics, exclusive_vnc=exclusive_vnc)
            screenshot = AgentScreenshot(self._instances, agents)
            public_url = settings.public_url.rstrip("/")
            parts = Parts(
                front_proxy=self._front_proxy,
                instances=self._instances,
                sessions=self._sessions,
                relay=relay,
                screenshot=screenshot,
                metrics=self._metrics,
                public_url=public_url,
            )
            web_parts = routes.Parts(
                sessions=self._sessions,
                instances=self._instances,
                rights=self._rights,
                power=Power(self._client, self._rights),
                relay=relay,
                metrics=self._metrics,
                assets=self._assets,
                public_url=public_url,
            )
            context = self._front_proxy.context(self._serving.certify)
            async with (
                ApiServer(application(parts), settings.api_host, settings.api_port, context) as api,
                WebServer(
                    routes.application(web_parts), settings.web_host, settings.web_port, settings.web_certificate
                ) as web,
            ):
                log.info("serving API servers", port=api.port)
                log.info("serving browsers", port=web.port)
                try:
                    await self._watch()
                finally:
                    relay.stop()

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for part in (self._serving, self._to_agents, self._front_proxy, self._instances, self._sessions):
                group.create_task(part.run(), name=type(part).__name__)


if __name__ == "__main__":
    sys.exit(main())
