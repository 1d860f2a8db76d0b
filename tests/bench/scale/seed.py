"""A cluster far larger than a machine could bring up: its objects, written straight into etcd, and its heartbeats.

Copies of objects that operator and agents have really made, so that they are what such a cluster would have. Through
the API server this would be 200,000 writes, and 10,000 heartbeats every 10 s would be more than two cores serve; here a
thousand objects are one request. The API server hears of each as of any other write.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import islice

import aiohttp

from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_kube.resources import Object

BEAT_SECONDS = 10.0
_OPERATIONS = 100
"""Puts in one transaction; etcd takes 128."""
_SLICES = 10
"""Into which one round of heartbeats is cut."""


@dataclass(frozen=True, slots=True)
class Templates:
    """One object of each kind, as the API server shows it."""

    node: Object
    hypervisor: Object
    lease: Object
    instance: Object


class Seed:
    """The objects of a cluster, and where to put them."""

    def __init__(self, etcd: str, templates: Templates, hosts: int) -> None:
        """A seed that has not been sown.

        Args:
            etcd: its URL.
            templates: what to make copies of.
            hosts: how many hypervisors there are to be.
        """
        self._url = f"{etcd}/v3/kv/txn"
        self._templates = templates
        self._hosts = [f"big-{number:05d}" for number in range(hosts)]

    async def sow_hosts(self) -> None:
        """Nodes, Hypervisors and Leases."""
        templates = self._templates
        await self._put(("/registry/minions/" + name, _copy(templates.node, name)) for name in self._hosts)
        prefix = "/registry/compute.hypernova.dev/hypervisors/"
        await self._put((prefix + name, _copy(templates.hypervisor, name)) for name in self._hosts)
        await self._put(self._leases(self._hosts))

    async def sow_instances(self, count: int) -> None:
        """Running Instances, spread evenly."""
        prefix = "/registry/compute.hypernova.dev/instances/default/"
        await self._put((prefix + obj["metadata"]["name"], obj) for obj in self._instances(count))

    async def beat(self) -> None:
        """Heartbeats of all hosts, evenly, for ever."""
        while True:
            for number in range(_SLICES):
                await self._put(self._leases(self._hosts[number::_SLICES]))
                await asyncio.sleep(BEAT_SECONDS / _SLICES)

    def _instances(self, count: int) -> Iterator[Object]:
        first = IPv4Address("10.60.0.2")
        for number in range(count):
            obj = _copy(self._templates.instance, f"big-{number:05d}")
            status = obj["status"] = json.loads(json.dumps(obj["status"]))
            status["nodeName"] = self._hosts[number % len(self._hosts)]
            mac = ":".join(f"{byte:02x}" for byte in number.to_bytes(3, "big"))
            status["addresses"][0] |= {"ip": str(first + number), "mac": f"52:54:00:{mac}"}
            yield obj

    def _leases(self, hosts: Iterable[str]) -> Iterator[tuple[str, Object]]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for host in hosts:
            name = f"{LEASE_PREFIX}{host}"
            lease = _copy(self._templates.lease, name)
            lease["spec"] = {**lease["spec"], "holderIdentity": host, "renewTime": now}
            yield f"/registry/leases/{lease['metadata']['namespace']}/{name}", lease

    async def _put(self, objects: Iterable[tuple[str, Object]]) -> None:
        left = iter(objects)
        async with aiohttp.ClientSession() as session:
            while batch := list(islice(left, _OPERATIONS)):
                puts = [{"request_put": {"key": _base64(key), "value": _base64(json.dumps(obj))}} for key, obj in batch]
                async with session.post(self._url, json={"success": puts}) as response:
                    response.raise_for_status()


def _copy(obj: Object, name: str) -> Object:
    """An object of another name, as etcd holds it: the version is etcd's own."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{obj['kind']}/{name}"))
    return {**obj, "metadata": {**metadata, "name": name, "uid": uid}}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
