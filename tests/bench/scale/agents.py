"""Simulated hypervisors: the agent's own `Sync`, on hosts in memory, many in one process.

Each has all that a real agent has: a token of its node, its client with its own connections, two watches, a heartbeat
every 10 s. They share the metrics. The one image is in every pool, under the names the image store gives it, as on a
node that has run it before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client import CollectorRegistry

from hypernova_agent import names
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_kube.client import Client
from hypernova_kube.credentials import log_in_from
from hypernova_kube.metrics import Metrics
from hypernova_kube.process.logs import configure
from hypernova_kube.process.probes import Probes
from hypernova_kube.transport import Transport
from tests.support.memory_host import Machine, MemoryHost, MemoryVolume

IMAGE = bytes(512)
START_SECONDS = 10.0
"""Over which they are started, a heartbeat's interval: theirs then come evenly, as those of nodes do."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    kubeconfigs: Path
    """A folder with one for each node, `NODE.yaml`."""

    namespace: str
    probe_host: str
    probe_port: int
    hosts: int
    image_sha256: str


def node_name(number: int) -> str:
    """The node of the hypervisor of that number."""
    return f"sim-{number:05d}"


def machine_with_image(sha256: str) -> Machine:
    """A machine whose pool holds the image, complete."""
    marker = json.dumps({"format": "raw", "virtualSize": len(IMAGE)}).encode()
    return Machine(volumes={names.image(sha256): MemoryVolume(IMAGE), names.image_marker(sha256): MemoryVolume(marker)})


async def run(options: Options) -> None:
    """All of them, until SIGTERM."""
    registry = CollectorRegistry()
    metrics, kube_metrics = AgentMetrics(registry), Metrics(registry)

    async def one(number: int) -> None:
        await asyncio.sleep(START_SECONDS * number / options.hosts)
        host = MemoryHost(machine_with_image(options.image_sha256))
        settings = Settings(node_name=node_name(number), namespace=options.namespace)
        log_in = log_in_from(options.kubeconfigs / f"{settings.node_name}.yaml")
        client = Client(Transport(log_in, await log_in(), "hypernova-agent/bench", kube_metrics), kube_metrics)
        async with client, aiohttp.ClientSession() as session:
            sync = Sync(settings, client, host, ImageStore(host, session, metrics), metrics)
            await sync.run()

    def nothing_wrong() -> list[str]:
        return []

    async with Probes(options.probe_host, options.probe_port, registry, nothing_wrong, nothing_wrong):
        everything = asyncio.gather(*(one(number) for number in range(options.hosts)))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, everything.cancel)
        try:
            await everything
        except asyncio.CancelledError:
            return


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfigs", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--probe-host", required=True)
    parser.add_argument("--probe-port", type=int, required=True)
    parser.add_argument("--hosts", type=int, required=True)
    parser.add_argument("--image-sha256", required=True)
    configure("info")
    asyncio.run(run(Options(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
