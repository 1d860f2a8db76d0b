"""Hosts whose agents are not heard of any more: their Instances are Unknown, and nothing is started elsewhere.

Only a host that is fenced counts as off: its Node is tainted node.kubernetes.io/out-of-service, or gone. Of Instances
that are being deleted nothing runs there any more then, and they go; what is left of them on the host's disk, its agent
finds when it is back. When an agent is heard of again, its Instances' statuses are its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from hypernova_api.hypervisor import Hypervisor as HypervisorKind
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.liveness import TICK_SECONDS, Liveness
from hypernova_operator.cache.records import Instance
from hypernova_operator.controllers import patches
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.writes import WRITE_SECONDS, InstanceWrites
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

HYPERVISORS = Resource.of(HypervisorKind)

WORKERS = 2
PAUSE_SECONDS = 0.02
"""Of each worker before each Instance: a rack that fails is told at no more than 100 writes a second, 1,000 Instances
within 20 s. (An agent's Lease runs out after 40 s.)"""

_TRIES = 5
_FENCING = "taint it node.kubernetes.io/out-of-service or delete the Node"


def message(instance: Instance, since: str, fenced: bool) -> str:
    """What is said of an Instance on a lost host, as the condition's sentence. Pure.

    Args:
        instance: a bound one.
        since: when its node's agent was last heard of; empty if nobody knows.
        fenced: whether the node is off for sure.
    """
    node = f"node {instance.node}"
    silent = f"{node} has not been heard of{f' since {since}' if since else ''}"
    if fenced and instance.deleting:
        return f"{silent} and is fenced: nothing of it runs there any more, so it goes"
    if fenced:
        return f"{silent} and is fenced: the guest is off, and starts again when the node is back; or delete it"
    if instance.deleting:
        return (
            f"{silent}: it goes when the node is back and has cleaned up; or, when the node is off for sure, {_FENCING}"
        )
    return (
        f"{silent}: the guest may well run on, so nothing is started elsewhere; bring the node back, or, when it is "
        f"off for sure, {_FENCING}"
    )


class LostHosts:
    """Tells of hosts that are lost, as the leader."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        placed: Placed,
        liveness: Liveness,
        writes: InstanceWrites,
        metrics: Metrics,
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._cache = cache
        self._placed = placed
        self._liveness = liveness
        self._writes = writes
        self._wall_clock = wall_clock
        self._lost: set[str] = set()
        self._told: dict[str, set[tuple[Key, str]]] = {}
        """What has been said of whom since a node is lost. It is not said again: its agent may be able to write all but
        its Lease, and would contradict for ever."""
        self._instances: WorkQueue[Key] = WorkQueue(
            self.reconcile,
            workers=WORKERS,
            backoff=Backoff(base=0.5, cap=60.0),
            name="lost-instances",
            metrics=client.metrics,
        )
        self._hypervisors: WorkQueue[Key] = WorkQueue(
            self.reconcile_hypervisor,
            workers=1,
            backoff=Backoff(base=0.5, cap=60.0),
            name="lost-hypervisors",
            metrics=client.metrics,
        )
        metrics.lost_hosts.set_function(lambda: len(self._lost))

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._instances.run(), name="lost-instances")
            group.create_task(self._hypervisors.run(), name="lost-hypervisors")
            while True:
                self.look()
                await asyncio.sleep(TICK_SECONDS)

    def look(self) -> None:
        """See who is lost now, and have told what is not said yet."""
        nodes = {*self._placed.nodes(), *(each.key.name for each in self._cache.hypervisors.store)}
        self._liveness.expect(nodes)
        lost = {node for node in nodes if self._liveness.is_lost(node)}
        for node in sorted(lost - self._lost):
            log.warning("host lost", node=node, message=f"last heard of {self._liveness.last_heard(node) or 'never'}")
        for node in sorted(self._lost - lost):
            log.info("host heard of again", node=node)
            self._told.pop(node, None)
        self._lost = lost
        for node in lost:
            hypervisor = self._cache.hypervisors.store.get(Key("", node))
            if hypervisor is not None and not hypervisor.lost and not self._was_told(node, hypervisor.key):
                self._hypervisors.add(hypervisor.key)
            for key in self._placed.on_node(node):
                instance = self._cache.instance(key)
                if instance is not None and not self._is_told(instance):
                    self._instances.add(key)

    async def reconcile(self, key: Key) -> None:
        """One Instance of a lost host; for a work queue.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        await asyncio.sleep(PAUSE_SECONDS)
        for _ in range(_TRIES):
            if not self._concerns(self._cache.instance(key)):
                return
            obj = await self._writes.fetch(key)
            instance = self._cache.instance(key)
            if obj is None or instance is None or not self._concerns(instance):
                return
            if str(instance.version) != obj["metadata"]["resourceVersion"]:
                continue
            words = self._words(instance)
            if instance.lost != words:
                if await self._writes.write(key, patches.lost(obj, words, self._wall_clock()), "status"):
                    self._told.setdefault(instance.node, set()).add((key, words))
            elif await self._writes.write(key, patches.let_go(obj)):
                log.info("let go, as its node is fenced", instance=key, node=instance.node)

    async def reconcile_hypervisor(self, key: Key) -> None:
        """One Hypervisor of a lost host; for a work queue. Its agent says otherwise as soon as it is back.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        hypervisor = self._cache.hypervisors.store.get(key)
        if hypervisor is None or hypervisor.lost or not self._liveness.is_lost(key.name) or not self._writes.allowed():
            return
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                obj = await self._client.get(HYPERVISORS, key.name)
                patch = patches.agent_lost(obj, self._liveness.last_heard(key.name), self._wall_clock())
                obj = await self._client.patch(HYPERVISORS, key.name, patch, subresource="status")
        except (Conflict, NotFound):
            return  # the next look tells
        self._told.setdefault(key.name, set()).add((key, ""))
        self._cache.hypervisors.put(obj)

    def _concerns(self, instance: Instance | None) -> bool:
        """Whether there is something to write about it, and it is for us to write."""
        return (
            instance is not None
            and self._writes.allowed()
            and self._liveness.is_lost(instance.node)
            and not self._is_told(instance)
        )

    def _is_told(self, instance: Instance) -> bool:
        """Whether all is said and done about an Instance of a lost host."""
        words = self._words(instance)
        if instance.lost == words:
            return not (instance.deleting and self._is_fenced(instance.node))
        return self._was_told(instance.node, instance.key, words)

    def _was_told(self, node: str, key: Key, words: str = "") -> bool:
        return (key, words) in self._told.get(node, ())

    def _words(self, instance: Instance) -> str:
        return message(instance, self._liveness.last_heard(instance.node), self._is_fenced(instance.node))

    def _is_fenced(self, name: str) -> bool:
        node = self._cache.nodes.store.get(Key("", name))
        return node is None or node.fenced
