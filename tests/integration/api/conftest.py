"""Objects of our kinds on the shared cluster, gone after the test."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import mutates
from hypernova_api.kinds import KINDS
from hypernova_api.meta import FINALIZER
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Object, Resource
from support.clusters import need_mutation

RESOURCES = {kind.kind: Resource.of(kind) for kind in KINDS}


class Objects:
    """Creates, patches and in the end removes objects of our kinds; namespaced ones in the test's namespace."""

    def __init__(self, client: Client, namespace: str, *, mutated: bool) -> None:
        self._client = client
        self.namespace = namespace
        self._mutated = mutated
        self._made: list[Object] = []

    async def create(self, obj: Object) -> Object:
        resource = RESOURCES[obj["kind"]]
        obj = copy.deepcopy(obj)
        if resource.namespaced:
            obj["metadata"]["namespace"] = self.namespace
        if obj["kind"] == "Instance" and not self._mutated:
            # Where the API server does not do it, the operator does, and there is none here.
            obj["metadata"].setdefault("finalizers", [FINALIZER])
        made = await self._client.create(resource, obj)
        self._made.append(made)
        return made

    async def patch(self, obj: Object, patch: dict[str, Any], subresource: str = "") -> Object:
        metadata = obj["metadata"]
        return await self._client.patch(
            RESOURCES[obj["kind"]], metadata["name"], patch, metadata.get("namespace", ""), subresource=subresource
        )

    async def delete(self, obj: Object) -> None:
        metadata = obj["metadata"]
        await self._client.delete(RESOURCES[obj["kind"]], metadata["name"], metadata.get("namespace", ""))

    async def remove_all(self) -> None:
        for obj in self._made:
            try:
                await self.delete(obj)
                # There is no agent here that would take the finalizer away.
                await self.patch(obj, {"metadata": {"finalizers": None}})
            except NotFound:
                continue


@pytest.fixture
def mutating(cluster: Cluster) -> None:
    """For tests of what MutatingAdmissionPolicy does: skips them before Kubernetes 1.36, where there is none."""
    need_mutation(cluster)


@pytest.fixture
async def objects(cluster: Cluster, client: Client, namespace: str) -> AsyncIterator[Objects]:
    objects = Objects(client, namespace, mutated=mutates(cluster.admin))
    yield objects
    await objects.remove_all()
