"""`hypernova-agent`: the process."""

from __future__ import annotations

import os
import sys

from prometheus_client import CollectorRegistry

from hypernova_agent import names
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_kube.client import Client
from hypernova_kube.metrics import Metrics
from hypernova_kube.process.logs import configure, get_logger
from hypernova_kube.process.probes import Probes
from hypernova_kube.process.program import run
from hypernova_kube.process.settings import parse

log = get_logger(__name__)


def main() -> int:
    """The command: the agent of one node until SIGTERM or SIGINT. Guests run on whatever becomes of it."""
    settings = parse(Settings, sys.argv[1:], os.environ)
    configure(settings.log_level, settings.log_format)
    return run(_serve(settings), "agent")


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
            log.info("serving probes", port=probes.port, node=settings.node_name)
            await sync.run()


if __name__ == "__main__":
    sys.exit(main())
