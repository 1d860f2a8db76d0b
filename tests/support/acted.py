"""Instances and InstanceActions whose statuses a test writes, as operator and agent would."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import Object
from support.builders import a_condition, an_instance
from support.operators import RESOURCES
from support.waiting import eventually_async

INSTANCES, ACTIONS = RESOURCES["Instance"], RESOURCES["InstanceAction"]


class Acted:
    """Of one namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def instance(self, name: str = "web-1", **parts: Any) -> Object:
        """A new Instance."""
        return await self._client.create(INSTANCES, an_instance(name, self._namespace, **parts))

    async def get(self, name: str = "web-1") -> Object:
        return await self._client.get(INSTANCES, name, self._namespace)

    async def becomes(self, phase: str, name: str = "web-1", *conditions: Object, **status: Any) -> None:
        """Write the Instance's status, about what it asks for now: Ready, unless other conditions are given."""
        generation = (await self.get(name))["metadata"]["generation"]
        told = [
            condition | {"observedGeneration": generation}
            for condition in conditions or (a_condition("Ready", True, phase),)
        ]
        status = {"phase": phase, "observedGeneration": generation, "conditions": told} | status
        await self._client.patch(INSTANCES, name, {"status": status}, self._namespace, subresource="status")

    async def asked(self, power_state: str, name: str = "web-1") -> None:
        """Return once the Instance's spec has that powerState."""

        async def check() -> bool:
            return (await self.get(name))["spec"].get("powerState") == power_state

        await eventually_async(check, f"{name} to be asked to be {power_state}", 90)

    async def action(self, seen: int = 0) -> Object:
        """The next InstanceAction somebody creates, after so many."""

        async def check() -> Object | None:
            actions = (await self._client.list(ACTIONS, namespace=self._namespace)).items
            actions.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
            return actions[seen] if len(actions) > seen else None

        return await eventually_async(check, "an InstanceAction", 90)

    async def actions(self) -> list[Object]:
        return (await self._client.list(ACTIONS, namespace=self._namespace)).items

    async def report(self, action: Object, phase: str, *conditions: Object, **status: Any) -> None:
        """Write the action's status."""
        patch = {"status": {"phase": phase, "conditions": list(conditions)} | status}
        await self._client.patch(ACTIONS, action["metadata"]["name"], patch, self._namespace, subresource="status")

    async def clear(self) -> None:
        """Remove all, finalizers or not."""
        for resource in (ACTIONS, INSTANCES):
            for obj in (await self._client.list(resource, namespace=self._namespace)).items:
                name = obj["metadata"]["name"]
                with suppress(NotFound):
                    await self._client.delete(resource, name, self._namespace)
                    await self._client.patch(resource, name, {"metadata": {"finalizers": None}}, self._namespace)
