"""Instances offered as fast as the API server takes them, or at a rate, and when each was seen running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from hypernova_api.flavor import Flavor
from hypernova_api.image import Image
from hypernova_api.instance import Instance
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from hypernova_kube.resources import NODES, Object, Resource

INSTANCES = Resource.of(Instance)
NAMESPACE = "default"
_AT_ONCE = 20
"""Creates under way at once: more only wait in the API server."""
_WAIT_SECONDS = 900.0


@dataclass(slots=True)
class Run:
    """When (seconds, monotonic) each Instance was asked for, and when it was seen running, by name."""

    asked: dict[str, float] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the first asked for to the last running."""
        return max(self.running.values()) - min(self.asked.values())

    def latencies(self) -> list[float]:
        """Milliseconds from asked for to running, of each."""
        return [1000 * (at - self.asked[name]) for name, at in self.running.items()]


class Load:
    """Creates Instances of one flavor and one image, as a user."""

    def __init__(self, client: Client, image_sha256: str) -> None:
        self._client = client
        self._sha256 = image_sha256
        self._made = 0

    async def prepare(self, nodes: list[str]) -> None:
        """Make flavor and image, and the nodes, labelled as hypervisors."""
        # The address is never asked: every node has the image.
        image = {"source": {"url": "http://127.0.0.1/bench.raw", "sha256": self._sha256}, "format": "raw"}
        await self._client.create(Resource.of(Flavor), _object("Flavor", "bench", {"vcpus": 1, "memory": "16Mi"}))
        await self._client.create(Resource.of(Image), _object("Image", "bench", image, NAMESPACE))
        await _each(nodes, self._create_node)

    async def create(self, count: int, *, rate: float = 0.0) -> Run:
        """Create that many, `rate` a second (0: as fast as it goes), and wait until all run."""
        names = [f"bench-{self._made + number:05d}" for number in range(count)]
        self._made += count
        version = (await self._client.list_metadata(INSTANCES)).resource_version
        run = Run()
        begun = time.monotonic()

        async def one(name: str) -> None:
            run.asked[name] = time.monotonic()
            await self._client.create(INSTANCES, an_instance(name))

        async def in_turn(number: int, name: str) -> None:
            await asyncio.sleep(begun + number / rate - time.monotonic())
            await one(name)

        watching = asyncio.create_task(self._watch(version, run, set(names)))
        if rate:  # offered whatever the API server does
            await asyncio.gather(*(in_turn(number, name) for number, name in enumerate(names)))
        else:
            await _each(names, one)
        await asyncio.wait_for(watching, _WAIT_SECONDS)
        return run

    async def delete_all(self) -> float:
        """Delete all, and wait until none is left; returns after how many seconds."""
        listing = await self._client.list_metadata(INSTANCES)
        left = {obj["metadata"]["name"] for obj in listing.items}
        events = self._client.watch(INSTANCES, resource_version=listing.resource_version, timeout_seconds=_WAIT_SECONDS)
        begun = time.monotonic()

        async def gone() -> None:
            async with aclosing(events):
                async for event in events:
                    if event.type == "DELETED":
                        left.discard(event.object["metadata"]["name"])
                        if not left:
                            return

        watching = asyncio.create_task(gone())
        await _each(list(left), self._delete)
        await asyncio.wait_for(watching, _WAIT_SECONDS)
        return time.monotonic() - begun

    async def _watch(self, version: str, run: Run, waiting: set[str]) -> None:
        events = self._client.watch(
            INSTANCES,
            resource_version=version,
            field_selector="status.phase=Running",
            timeout_seconds=_WAIT_SECONDS,
        )
        async with aclosing(events):
            async for event in events:
                name = event.object["metadata"].get("name", "")
                if name in waiting:
                    waiting.discard(name)
                    run.running[name] = time.monotonic()
                    if not waiting:
                        return

    async def _create_node(self, name: str) -> None:
        metadata = {"name": name, "labels": {HYPERVISOR_LABEL: "true"}}
        await self._client.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})

    async def _delete(self, name: str) -> None:
        await self._client.delete(INSTANCES, name, NAMESPACE)


def an_instance(name: str) -> Object:
    """What a user writes."""
    spec = {"flavor": "bench", "image": {"name": "bench"}, "terminationGracePeriodSeconds": 0}
    return _object("Instance", name, spec, NAMESPACE)


async def _each(names: list[str], act: Callable[[str], Awaitable[None]]) -> None:
    """Do it for each, some at once."""
    left = iter(names)

    async def worker() -> None:
        for name in left:
            await act(name)

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))


def _object(kind: str, name: str, spec: Mapping[str, object], namespace: str = "") -> Object:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": "compute.hypernova.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
