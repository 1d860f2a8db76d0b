"""A cluster as a GitOps tool finds it: agents whose hosts are in memory, and the directories of examples/gitops."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import yaml

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_agent import names
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Object, Resource
from support.memory_host import Machine, MemoryHost, MemoryVolume
from support.operators import RESOURCES
from support.waiting import eventually_async

GITOPS = Path(__file__).parents[2] / "examples/gitops"
EVERYTHING = RESOURCES | {
    "RoleBinding": Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    "ServiceAccount": Resource("", "v1", "serviceaccounts", "ServiceAccount"),
}
"""Kinds in the directories, and more."""


class Town:
    """The cluster as a GitOps tool and those who look on see it."""

    def __init__(self, cluster: Cluster, client: Client, machines: dict[str, Machine]) -> None:
        self._cluster = cluster
        self.client = client
        self.machines = machines

    async def kubectl(self, *arguments: str, given: str = "") -> str:
        """kubectl in a thread: agents go on meanwhile, in this event loop."""
        return await asyncio.to_thread(self._cluster.kubectl, *arguments, input=given)

    def account(self, namespace: str, name: str) -> Path:
        """The kubeconfig of a ServiceAccount."""
        return self._cluster.service_account_kubeconfig(namespace, name)

    async def objects(self, part: str) -> list[Object]:
        """What kustomize makes of a directory, e.g. `production/project`."""
        return [*yaml.safe_load_all(await self.kubectl("kustomize", str(self.folder(part))))]

    @staticmethod
    def folder(part: str) -> Path:
        """Where a directory is."""
        return GITOPS / part

    async def apply(self, parts: list[str], *how: str) -> None:
        """kubectl apply of directories, with these flags."""
        for part in parts:
            await self.kubectl("apply", *how, f"--kustomize={self.folder(part)}")

    def domains(self) -> set[str]:
        """UIDs of the domains on all hosts."""
        return {uid for machine in self.machines.values() for uid in machine.domains}

    async def stored(self, obj: Object) -> Object | None:
        """The object as it is in the cluster; None if it is not."""
        metadata = obj["metadata"]
        with suppress(NotFound):
            return await self.client.get(EVERYTHING[obj["kind"]], metadata["name"], metadata.get("namespace", ""))
        return None

    async def get(self, obj: Object) -> Object:
        """The object as it is in the cluster, where it has to be."""
        found = await self.stored(obj)
        assert found is not None, named(obj)
        return found

    async def revisions(self, objects: list[Object]) -> dict[str, str]:
        """The resourceVersion of each that is there, by kind and name."""
        there = [(obj, await self.stored(obj)) for obj in objects]
        return {named(obj): found["metadata"]["resourceVersion"] for obj, found in there if found is not None}

    async def settled(self, objects: list[Object], seconds: float = 90) -> None:
        """Return once every Instance is as asked for, and what is told of the others is about that."""
        last: dict[str, Object] = {}
        instances = sum(obj["kind"] == "Instance" for obj in objects)

        async def check() -> bool:
            for obj in objects:
                if obj["kind"] in RESOURCES:
                    last[named(obj)] = (await self.stored(obj) or {}).get("status", {})
            return all(_says(obj, last[named(obj)], instances) for obj in objects if obj["kind"] in RESOURCES)

        try:
            await eventually_async(check, "everything to be as asked for", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; statuses: {json.dumps(last, indent=1)}") from None

    async def gone(self, obj: Object, seconds: float = 60) -> None:
        """Return once there is no such object."""

        async def check() -> bool:
            return await self.stored(obj) is None

        await eventually_async(check, f"{obj['kind']} {obj['metadata']['name']} to be gone", seconds)

    async def clear(self, *parts: str) -> None:
        """Delete what is of directories, and see it gone."""
        for part in parts:
            objects = await self.objects(part)
            listed = yaml.safe_dump_all(objects)
            await self.kubectl("delete", "--ignore-not-found", "--wait=false", "--filename=-", given=listed)
            for obj in objects:
                await self.gone(obj)


def named(obj: Object) -> str:
    """Kind and name."""
    return f"{obj['kind']}/{obj['metadata']['name']}"


def _says(obj: Object, status: Object, instances: int) -> bool:
    """Whether a status tells that the object is as asked for, there being so many Instances."""
    match obj["kind"]:
        case "Instance":
            return condition(status, "Ready") == "True"
        case "ComputeQuota":
            return status.get("used", {}).get("instances") == instances
        case "AvailabilityZone":
            return condition(status, "Available") == "True"
        case "HostAggregate":
            return condition(status, "Ready") == "True"
        case "InstanceGroup":
            return condition(status, "Satisfied") != ""
    return True


def condition(status: Object, type_: str) -> str:
    """What a condition says; empty if there is none."""
    return next((each["status"] for each in status.get("conditions", []) if each["type"] == type_), "")


@asynccontextmanager
async def an_agent(cluster: Cluster, node: str) -> AsyncIterator[Machine]:
    """The agent of a node, with its own rights; its host has the examples' Images already."""
    kubeconfig = cluster.service_account_kubeconfig(NAMESPACE, "hypernova-node-agent", node=node)
    machine = Machine(volumes=dict(volume for image in example_images() for volume in volumes(image)), obedient=True)
    host = MemoryHost(machine)
    async with await Client.connect(kubeconfig, component="agent") as own, new_session() as session:
        metrics = AgentMetrics()
        sync = Sync(Settings(node_name=node), own, host, ImageStore(host, session, metrics), metrics)
        running = asyncio.create_task(sync.run())
        yield machine
        running.cancel()
        await asyncio.wait({running})


def example_images() -> list[Object]:
    """Images of the examples."""
    files = GITOPS.glob("base/*/images.yaml")
    return [obj for file in files for obj in yaml.safe_load_all(file.read_text()) if obj["kind"] == "Image"]


def volumes(image: Object) -> list[tuple[str, MemoryVolume]]:
    """An Image in a pool, complete."""
    sha256 = image["spec"]["source"]["sha256"]
    marker = json.dumps({"format": image["spec"]["format"], "virtualSize": 1 << 20, "source": "x"}).encode()
    return [(names.image(sha256), MemoryVolume()), (names.image_marker(sha256), MemoryVolume(marker))]
