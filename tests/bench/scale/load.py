"""Instances offered as fast as the API server takes them, or at a rate, and when each was seen running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hypernova_api.flavor import Flavor
from hypernova_api.image import Image
from hypernova_api.instance import Instance
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from hypernova_kube.reflector import Change, Reflector
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
        waiting, all_run = set(names), asyncio.Event()
        run = Run()

        def changed(change: Change) -> None:
            if change.key.name in waiting:
                waiting.discard(change.key.name)
                run.running[change.key.name] = time.monotonic()
                if not waiting:
                    all_run.set()

        async def one(name: str) -> None:
            run.asked[name] = time.monotonic()
            await self._client.create(INSTANCES, an_instance(name))

        async def in_turn(number: int, name: str) -> None:
            await asyncio.sleep(begun + number / rate - time.monotonic())
            await one(name)

        async with self._reflector(changed, "status.phase=Running"):
            begun = time.monotonic()
            if rate:  # offered whatever the API server does
                await asyncio.gather(*(in_turn(number, name) for number, name in enumerate(names)))
            else:
                await _each(names, one)
            await asyncio.wait_for(all_run.wait(), _WAIT_SECONDS)
        return run

    async def delete_all(self) -> float:
        """Delete all, and wait until none is left; returns after how many seconds."""
        left = set()
        none_left = asyncio.Event()

        def changed(change: Change) -> None:
            if change.new is not None:
                left.add(change.key.name)
            else:
                left.discard(change.key.name)
                if not left:
                    none_left.set()

        async with self._reflector(changed):
            begun = time.monotonic()
            await _each(list(left), self._delete)
            await asyncio.wait_for(none_left.wait(), _WAIT_SECONDS)
            return time.monotonic() - begun

    @asynccontextmanager
    async def _reflector(self, changed: Callable[[Change], None], field_selector: str = "") -> AsyncIterator[None]:
        """Has changes told, from what is there now on."""
        reflector = Reflector(self._client, INSTANCES, changed, field_selector=field_selector)
        running = asyncio.create_task(reflector.run())
        try:
            await reflector.synced.wait()
            yield
        finally:
            running.cancel()

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
