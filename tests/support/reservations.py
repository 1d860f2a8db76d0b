"""Reservation Pods where there is no kubelet: what the DaemonSet's controller and kubelet would write of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hack.devcluster.install import NAMESPACE
from hack.devcluster.serviceaccount import placeholder_pod
from hypernova_kube.client import Client
from hypernova_kube.resources import NODES, Object
from hypernova_operator.controllers.reservation import CONTAINER, SELECTOR, Requests, read
from hypernova_operator.controllers.reserving import PODS
from support.waiting import eventually_async

LABELS = dict(each.split("=") for each in SELECTOR.split(","))
SMALL = {"cpu": "1m", "memory": "16Mi"}


class ReservationPod:
    """One on a node."""

    def __init__(self, client: Client, node: str, name: str = "", labels: Mapping[str, str] = LABELS) -> None:
        self.name = name or f"hypernova-reservation-{node}"
        self.labels = dict(labels)
        self._client = client
        self._node = node

    async def create(self) -> None:
        """It is made, and bound to its node, which has room for Pods."""
        allocatable = {"status": {"allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"}}}
        await self._client.patch(NODES, self._node, allocatable, subresource="status")
        body = placeholder_pod("default", self._node)
        container = {"name": CONTAINER, "image": "placeholder", "resources": {"requests": SMALL}}
        spec = body["spec"] | {"containers": [container]}
        identity = {"apiVersion": "v1", "kind": "Pod"}
        metadata = {"name": self.name, "namespace": NAMESPACE, "labels": self.labels}
        await self._client.create(PODS, {**identity, "metadata": metadata, "spec": spec})

    async def run(self) -> None:
        """kubelet has admitted it, with what it requested."""
        started = {"name": CONTAINER, "image": "placeholder", "imageID": "", "restartCount": 0, "ready": True}
        await self.says(
            phase="Running",
            containerStatuses=[started | {"resources": {"requests": SMALL}, "allocatedResources": SMALL}],
        )

    async def says(self, **status: Any) -> None:
        """What kubelet writes."""
        await self._client.patch(PODS, self.name, {"status": status}, NAMESPACE, subresource="status")

    async def get(self) -> Object:
        return await self._client.get(PODS, self.name, NAMESPACE)

    async def requests(self, cpu: int, memory: int) -> None:
        """Return once it requests so much: thousandths of CPUs, and bytes."""

        async def look() -> bool:
            return read(await self.get()).requests == Requests(cpu, memory)

        await eventually_async(look, f"{self.name} to request {cpu}m and {memory} bytes")

    async def remove(self) -> None:
        await self._client.delete(PODS, self.name, NAMESPACE, grace_seconds=0)
