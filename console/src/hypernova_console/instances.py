"""Instances and where their consoles are: what the proxy knows of the cluster, kept up to date by watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypernova_api.hypervisor import Endpoint, Hypervisor
from hypernova_api.instance import Instance
from hypernova_console.errors import Refused
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, NotFound
from hypernova_kube.reflector import Change, Reflector, identity
from hypernova_kube.resources import Key, Object, Resource, key_of

INSTANCES = Resource.of(Instance)
HYPERVISORS = Resource.of(Hypervisor)


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What is kept of an Instance."""

    key: Key
    uid: str
    node_name: str
    """Empty until it is bound to one."""

    phase: str
    message: str
    """Of its condition Ready; empty where there is none."""

    deleting: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The agent that passes on the consoles of a node's guests."""

    node_name: str
    """Which its certificate must name."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class _Host:
    """What is kept of a Hypervisor."""

    console: Endpoint | None
    trouble: str
    """Why its agent does not answer, as a sentence; empty if it does."""


class Instances:
    """All Instances and Hypervisors of the cluster, a few hundred bytes of each."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._records: dict[Key, InstanceRecord] = {}
        self._hosts: dict[str, _Host] = {}
        self._listeners: list[Callable[[Change], None]] = []
        # Of what they keep themselves, nobody reads more than who it is.
        self._instances = Reflector(client, INSTANCES, self._on_instance, keep=identity)
        self._hypervisors = Reflector(client, HYPERVISORS, self._on_hypervisor, keep=identity)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._instances.run(), name="instances")
            group.create_task(self._hypervisors.run(), name="hypervisors")

    @property
    def synced(self) -> bool:
        """Whether all that there was at the beginning is known."""
        return self._instances.synced.is_set() and self._hypervisors.synced.is_set()

    def listen(self, on_change: Callable[[Change], None]) -> None:
        """Have every Change of an Instance told, after it is known here."""
        self._listeners.append(on_change)

    def find(self, key: Key) -> InstanceRecord | None:
        """The Instance of that name, as the watch last told."""
        return self._records.get(key)

    async def current(self, key: Key, uid: str = "") -> InstanceRecord | None:
        """The Instance of that name, and of that UID if one is given.

        What the watch has not told is asked for: it may have been made just now.

        Raises:
            Refused: 503 Unavailable.
        """
        known = self._records.get(key)
        if known is not None and uid in ("", known.uid):
            return known
        try:
            found = record_of(await self._client.get(INSTANCES, key.name, key.namespace))
        except NotFound:
            return None
        except KubeError as error:
            raise Refused(503, "Unavailable", f"the API server does not tell of Instance {key}: {error}") from error
        return found if uid in ("", found.uid) else None

    def place(self, instance: InstanceRecord) -> Place:
        """Where its console is now.

        Raises:
            Refused: 409 GuestOff (not bound to a node yet), 503 HostUnreachable.
        """
        node = instance.node_name
        if not node:
            raise Refused(409, "GuestOff", f"Instance {instance.key} has no node yet: {instance.message or 'wait'}")
        host = self._hosts.get(node)
        if host is None:
            raise Refused(503, "HostUnreachable", f"node {node} has no Hypervisor: an administrator may know why")
        if host.trouble:
            raise Refused(503, "HostUnreachable", f"node {node} does not answer: {host.trouble}")
        if host.console is None:
            raise Refused(503, "HostUnreachable", f"the agent of node {node} offers no consoles (yet): try again")
        return Place(node, host.console.address, host.console.port)

    def _on_instance(self, change: Change) -> None:
        if change.new is None:
            self._records.pop(change.key, None)
        else:
            self._records[change.key] = record_of(change.new)
        for listener in self._listeners:
            listener(change)

    def _on_hypervisor(self, change: Change) -> None:
        if change.new is None:
            self._hosts.pop(change.key.name, None)
        else:
            self._hosts[change.key.name] = _host_of(change.new)


def record_of(obj: Object) -> InstanceRecord:
    """What is kept of an Instance; pure. Read by hand: there are many, and of each only this matters."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    return InstanceRecord(
        key_of(obj),
        metadata["uid"],
        status.get("nodeName") or "",
        status.get("phase") or "Pending",
        _ready(status).get("message", ""),
        "deletionTimestamp" in metadata,
    )


def _host_of(obj: Object) -> _Host:
    status = obj.get("status") or {}
    ready, console = _ready(status), status.get("console")
    # Unknown: its agent has not been heard of for some time. False: libvirt does not answer, and the agent will say
    # so itself, and better.
    trouble = ready.get("message", "") if ready.get("status") == "Unknown" else ""
    return _Host(Endpoint.model_validate(console) if console else None, trouble)


def _ready(status: dict[str, Any]) -> dict[str, Any]:
    return next((each for each in status.get("conditions") or [] if each["type"] == "Ready"), {})
