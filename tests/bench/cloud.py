"""Instances of boot-sector guests, created and watched as a user would."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import aclosing
from dataclasses import dataclass

from hypernova_api.flavor import Flavor
from hypernova_api.image import Image
from hypernova_api.instance import Instance
from hypernova_kube.client import Client
from hypernova_kube.resources import Resource

INSTANCES = Resource.of(Instance)
BATCH_SECONDS = 600.0


@dataclass(slots=True)
class Run:
    """When (seconds, monotonic) one Instance was created by us, seen bound, and seen running."""

    created: float
    bound: float = math.nan
    running: float = math.nan


class Cloud:
    """Instances of one flavor and one image in the namespace default."""

    def __init__(self, client: Client, image_url: str, image_sha256: str) -> None:
        self.names: list[str] = []
        self._client = client
        self._source = {"url": image_url, "sha256": image_sha256}

    async def prepare(self) -> None:
        """Make the flavor and the image."""
        flavor = {"vcpus": 1, "memory": "16Mi"}
        image = {"source": self._source, "format": "raw"}
        await self._client.create(Resource.of(Flavor), _object("Flavor", "bench", flavor))
        await self._client.create(Resource.of(Image), _object("Image", "bench", image, "default"))

    async def create(self, count: int) -> list[Run]:
        """Create that many at once and wait until all run."""
        names = [f"bench-{len(self.names) + i}" for i in range(count)]
        self.names += names
        version = (await self._client.list(INSTANCES)).resource_version
        runs: dict[str, Run] = {}
        watching = asyncio.create_task(self._watch(version, runs, waiting=set(names)))
        await asyncio.gather(*(self._create(name, runs) for name in names))
        await asyncio.wait_for(watching, BATCH_SECONDS)
        return list(runs.values())

    async def uid(self, name: str) -> str:
        """The UID of an Instance."""
        return str((await self._client.get(INSTANCES, name, "default"))["metadata"]["uid"])

    async def phase(self, name: str, phase: str) -> float:
        """When (seconds, monotonic) an Instance is next seen in a phase."""
        listed = await self._client.list(INSTANCES)
        if any(o["metadata"]["name"] == name and o.get("status", {}).get("phase") == phase for o in listed.items):
            return time.monotonic()
        events = self._client.watch(INSTANCES, resource_version=listed.resource_version, timeout_seconds=BATCH_SECONDS)
        async with asyncio.timeout(BATCH_SECONDS), aclosing(events):
            async for event in events:
                seen = event.object
                if seen["metadata"].get("name") == name and seen.get("status", {}).get("phase") == phase:
                    return time.monotonic()
        raise TimeoutError(f"{name} is not {phase}")

    async def delete_all(self) -> None:
        """Delete all and wait until none is left."""
        await self.delete(list(self.names))

    async def delete(self, names: list[str]) -> None:
        """Delete some and wait until they are gone."""
        version = (await self._client.list(INSTANCES)).resource_version
        waiting = set(names)
        events = self._client.watch(INSTANCES, resource_version=version, timeout_seconds=BATCH_SECONDS)
        for name in names:
            await self._client.delete(INSTANCES, name, "default")
        async with asyncio.timeout(BATCH_SECONDS), aclosing(events):
            async for event in events:
                if event.type == "DELETED":
                    waiting.discard(event.object["metadata"]["name"])
                    if not waiting:
                        break
        self.names = [name for name in self.names if name not in names]

    async def _create(self, name: str, runs: dict[str, Run]) -> None:
        spec = {"flavor": "bench", "image": {"name": "bench"}, "terminationGracePeriodSeconds": 0}
        runs[name] = Run(time.monotonic())
        await self._client.create(INSTANCES, _object("Instance", name, spec, "default"))

    async def _watch(self, version: str, runs: dict[str, Run], waiting: set[str]) -> None:
        events = self._client.watch(INSTANCES, resource_version=version, timeout_seconds=BATCH_SECONDS)
        async with aclosing(events):
            async for event in events:
                name, status = event.object["metadata"].get("name"), event.object.get("status", {})
                if name not in waiting:
                    continue
                if status.get("nodeName") and math.isnan(runs[name].bound):
                    runs[name].bound = time.monotonic()
                if status.get("phase") == "Running":
                    runs[name].running = time.monotonic()
                    waiting.discard(name)
                    if not waiting:
                        return


def _object(kind: str, name: str, spec: dict[str, object], namespace: str = "") -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": "compute.hypernova.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
