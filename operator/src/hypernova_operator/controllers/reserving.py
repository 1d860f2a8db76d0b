"""Keeps what reservation Pods request at what Instances hold of their nodes (reservation.py says how much)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import get_args

from hypernova_api.overcommit import DEFAULT_RATIOS
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client, PatchType
from hypernova_kube.errors import Forbidden, Invalid, NotFound, in_words
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, Reflector, identity
from hypernova_kube.resources import Key, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Hypervisor, Instance
from hypernova_operator.controllers import reservation
from hypernova_operator.controllers.involved import involved
from hypernova_operator.controllers.ledger import claim_of
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.reservation import Requests, ReservationPod
from hypernova_operator.controllers.writes import WRITE_SECONDS
from hypernova_operator.metrics import Metrics
from hypernova_operator.scheduler import Claim

log = get_logger(__name__)

PODS = Resource("", "v1", "pods", "Pod")

SETTLE_SECONDS = 1.0
"""What changes within so long is one write: a node that is filled is told once a second, not once a guest."""

NOT_SERVED_SECONDS = 60.0
"""Pods that are gone are heard of sooner; what is left is an API server that cannot resize Pods."""

WORKERS = 4


class Reserving:
    """Resizes the reservation Pods, as the leader."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        placed: Placed,
        namespace: str,
        recorder: EventRecorder,
        metrics: Metrics,
        is_leader: Callable[[], bool],
    ) -> None:
        self._client = client
        self._cache = cache
        self._placed = placed
        self._recorder = recorder
        self._metrics = metrics
        self._is_leader = is_leader
        self._pods: dict[Key, ReservationPod] = {}
        self._on_node: dict[str, set[Key]] = {}
        self._reflector = Reflector(
            client, PODS, self._on_pod, namespace=namespace, label_selector=reservation.SELECTOR, keep=identity
        )
        self._queue: WorkQueue[str] = WorkQueue(
            self.reconcile,
            workers=WORKERS,
            backoff=Backoff(base=1.0, cap=60.0),
            name="reservations",
            metrics=client.metrics,
        )
        cache.instances.store.subscribe(self._on_instance)
        cache.hypervisors.store.subscribe(self._on_hypervisor)
        cache.hosts.subscribe(lambda name, _old, _new: self._touch(name))
        cache.nodes.store.subscribe(lambda key, _old, _new: self._touch(key.name))
        for reason in get_args(reservation.Pending):
            metrics.reservations_pending.labels(reason).set_function(partial(self._pending, reason))

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reflector.run(), name="reservations")
            group.create_task(self._queue.run(), name="reservations-queue")

    async def reconcile(self, node: str) -> float | None:
        """The Pods of one node; for a work queue.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        want = self._wanted(node)
        if want is None:
            return None  # kubelet's word comes with the Node
        for key in list(self._on_node.get(node, ())):
            pod = self._pods.get(key)
            operations = reservation.patch(pod, want) if pod is not None else []
            if not operations:
                continue
            if not self._is_leader():
                return None
            try:
                async with asyncio.timeout(WRITE_SECONDS):
                    stored = await self._client.patch(
                        PODS, key.name, operations, key.namespace, subresource="resize", kind=PatchType.JSON
                    )
            except NotFound as error:
                log.warning("reservation not resized", node=node, key=key, error=error, retry_in_s=NOT_SERVED_SECONDS)
                return NOT_SERVED_SECONDS
            except (Forbidden, Invalid) as refusal:
                self._warn(node, "ReservationRefused", f"Pod {key} could not be resized: {in_words(refusal)}")
                raise
            self._metrics.reservations_resized.inc()
            log.info("reservation resized", node=node, key=key, bytes=want.memory)
            self._put(reservation.read(stored))
        return None

    def _wanted(self, node: str) -> Requests | None:
        """None where kubelet has not told what Pods may have."""
        host, record = self._cache.hosts.get(node), self._cache.nodes.store.get(Key("", node))
        if record is None or not record.pods_memory:
            return None
        ratios = host.ratios if host is not None else DEFAULT_RATIOS
        return reservation.wanted(self._claims(node), ratios, Requests(record.pods_cpu, record.pods_memory))

    def _claims(self, node: str) -> Iterator[Claim]:
        """Of what is bound, not of what is about to be: of that nobody is told if it comes to nothing."""
        for key in self._placed.on_node(node):
            instance = self._cache.instance(key)
            if instance is not None:
                yield claim_of(instance)
        hypervisor = self._cache.hypervisors.store.get(Key("", node))
        for orphan in hypervisor.orphans if hypervisor is not None else ():
            if orphan.instance is not None:
                yield claim_of(orphan.instance)

    def _on_pod(self, change: Change) -> None:
        if change.new is None:
            known = self._pods.get(change.key)
            if known is not None and change.old is not None and known.uid == change.old["metadata"]["uid"]:
                del self._pods[change.key]
                self._on_node[known.node].discard(change.key)
            return
        self._put(reservation.read(change.new))

    def _put(self, pod: ReservationPod) -> None:
        """A Pod was seen so; news comes by the watch and by our own writes."""
        old = self._pods.get(pod.key)
        if old is not None and old.uid == pod.uid and old.version >= pod.version:
            return
        if old is not None:
            self._on_node[old.node].discard(pod.key)
        self._pods[pod.key] = pod
        self._on_node.setdefault(pod.node, set()).add(pod.key)
        if pod.pending is not None and (old is None or old.pending != pod.pending):
            self._warn(pod.node, f"Reservation{pod.pending}", reservation.trouble(pod))
        self._touch(pod.node)

    def _on_instance(self, _key: Key, old: Instance | None, new: Instance | None) -> None:
        for node in {each.node for each in (old, new) if each is not None}:
            self._touch(node)

    def _on_hypervisor(self, key: Key, _old: Hypervisor | None, _new: Hypervisor | None) -> None:
        self._touch(key.name)

    def _touch(self, node: str) -> None:
        # A standby queues nothing: when it comes to lead, it hears of all Pods.
        if self._on_node.get(node) and self._is_leader():
            self._queue.add(node, SETTLE_SECONDS)

    def _warn(self, node: str, reason: str, message: str) -> None:
        hypervisor = self._cache.hypervisors.store.get(Key("", node))
        if hypervisor is not None:
            self._recorder.warning(involved(self._cache.hypervisors.resource, hypervisor), reason, message)

    def _pending(self, reason: str) -> int:
        return sum(pod.pending == reason for pod in self._pods.values())
