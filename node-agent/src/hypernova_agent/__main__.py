"""`hypernova-agent`: the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from prometheus_client import CollectorRegistry

from hypernova_agent import names
from hypernova_agent.hypervisor_status import AGENT_VERSION
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_api.quantity import Quantity
from hypernova_kube.client import Client
from hypernova_kube.errors import NoCredentials
from hypernova_kube.metrics import Metrics
from hypernova_kube.process.logs import configure, get_logger
from hypernova_kube.process.probes import Probes
from hypernova_kube.process.settings import parse

log = get_logger(__name__)


def main() -> int:
    """The command: the agent of one node until SIGTERM or SIGINT. Guests run on whatever becomes of it."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        arguments = arguments[1:]
    settings = parse(Settings, arguments, os.environ)
    try:
        Quantity(settings.reserved_memory)
    except ValueError as error:
        sys.exit(f"hypernova-agent: --reserved-memory: {error}")
    configure(settings.log_level, settings.log_format)
    status = 0
    try:
        asyncio.run(_run(settings))
    except* NoCredentials as group:
        log.error("no credentials", error=group.exceptions[0])
        status = 1
    return status


async def _run(settings: Settings) -> None:
    serving = asyncio.create_task(_serve(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    log.info("starting", component="agent", version=AGENT_VERSION, node=settings.node_name)
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    log.info("stopped", component="agent")


async def _serve(settings: Settings) -> None:
    registry = CollectorRegistry()
    metrics = AgentMetrics(registry)
    host = LibvirtHost(settings.libvirt_uri, pool=names.POOL, network=names.NETWORK)
    async with (
        await Client.connect(settings.kubeconfig, component="agent", metrics=Metrics(registry)) as client,
        new_session() as session,
    ):
        sync = Sync(settings, client, host, ImageStore(host, session, metrics), metrics)
        async with Probes(settings.probe_host, settings.probe_port, registry, list, sync.not_ready) as probes:
            log.info("serving", port=probes.port)
            await sync.run()


if __name__ == "__main__":
    sys.exit(main())
