"""Instances that would not be placed on their node any more: it is shown, and nothing else is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from hypernova_api import conditions
from hypernova_api.instance import Instance as InstanceKind
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import DRIFT, HostAggregate, Image, Instance
from hypernova_operator.controllers.observed import Observed, merged
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.resolve import host_part
from hypernova_operator.controllers.writes import INSTANCES, WRITE_SECONDS
from hypernova_operator.scheduler import Host, HostTable, Request, drift

log = get_logger(__name__)

PAUSE_SECONDS = 0.002
"""Between two Instances: when all of a large cloud are looked at, those that are to be bound come first."""

_TRIES = 5


def reasons(instance: Instance, cache: Cache, hosts: HostTable) -> list[str]:
    """Why a bound Instance would not be placed where it is; empty if it would, or nobody can tell. Pure.

    It is judged by what flavor and image said when it got them. That its image is gone is no drift, as the guest has
    long begun; neither is where others are that it was to be with, or apart from.
    """
    row = hosts.row(instance.node)
    if row is None or instance.want is None:
        return []
    gone = []
    if instance.bound_flavor and cache.flavor(instance.bound_flavor) is None:
        gone.append(f"its flavor {instance.bound_flavor} is gone")
    if instance.zone and cache.zone(instance.zone) is None:
        gone.append(f"its zone {instance.zone} is gone")
    if instance.group and cache.group(instance.group) is None:
        gone.append(f"its group {instance.group.name} is gone")
    return [*gone, *drift(hosts, _lasting(instance, instance.want, cache), row)]


def message(instance: Instance, why: list[str]) -> str:
    """The condition's sentence; empty where there is no reason."""
    if not why:
        return ""
    return f"it would not be placed on node {instance.node} any more: {', '.join(why)}"


def patch(obj: Object, told: str, now: datetime) -> Object | None:
    """The merge patch that makes an Instance's conditions say it; None if there is nothing to change. Pure.

    Its node's agent writes the same list, which a merge patch replaces whole: it must be the list as it is now.
    """
    stored = InstanceKind.parse(obj)
    before = conditions.find(stored.status.conditions, DRIFT)
    if before is None and not told:
        return None
    if before is not None and (before.status == "True", before.message) == (bool(told), told):
        return None
    observed = Observed(DRIFT, "True", "HostFitsNoMore", told) if told else Observed(DRIFT, "False", "HostFits", "")
    now_said = merged(stored.status.conditions, stored.metadata.generation, now, observed)
    return {
        "metadata": {"resourceVersion": stored.metadata.resource_version},
        "status": {"conditions": [condition.to_wire() for condition in now_said]},
    }


def _lasting(instance: Instance, want: Request, cache: Cache) -> Request:
    """What an Instance asks of its node for good."""
    image: Image | None = cache.image(instance.image)
    return host_part(want, instance, image.labels if image else None, cache)


class Drift:
    """Looks at the Instances that a change is about, and writes what is new."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        hosts: HostTable,
        placed: Placed,
        recorder: EventRecorder,
        is_leader: Callable[[], bool],
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._cache = cache
        self._hosts = hosts
        self._placed = placed
        self._recorder = recorder
        self._is_leader = is_leader
        self._wall_clock = wall_clock
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile, workers=1, backoff=Backoff(base=0.5, cap=60.0), name="drift", metrics=client.metrics
        )
        cache.hosts.subscribe(self._on_host)
        cache.aggregates.store.subscribe(self._on_aggregate)
        cache.flavors.store.subscribe(self._on_flavor)
        cache.zones.store.subscribe(self._on_zone)
        cache.groups.store.subscribe(self._on_group)
        cache.namespaces.store.subscribe(self._on_namespace)
        cache.images.store.subscribe(self._on_image)

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        self._look_at(lambda instance: True)
        await self._queue.run()

    async def reconcile(self, key: Key) -> None:
        """One Instance, by what is known of it now; for a work queue.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        await asyncio.sleep(PAUSE_SECONDS)
        for _ in range(_TRIES):
            instance = self._cache.instance(key)
            if instance is None or not instance.node or instance.deleting or not self._is_leader():
                return
            told = message(instance, reasons(instance, self._cache, self._hosts))
            if told == instance.drift or await self._write(instance, told):
                return

    async def _write(self, instance: Instance, told: str) -> bool:
        """Tell it; False if somebody else wrote at the same time."""
        key = instance.key
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                obj = await self._client.get(INSTANCES, key.name, key.namespace)
                if obj["metadata"]["uid"] != instance.uid:
                    return True
                if (change := patch(obj, told, self._wall_clock())) is not None:
                    obj = await self._client.patch(INSTANCES, key.name, change, key.namespace, subresource="status")
        except Conflict:
            return False
        except NotFound:
            return True
        self._cache.instances.put(obj)
        if change is not None and told:
            self._recorder.warning(obj, DRIFT, told)
            log.info("placement drift", instance=key, node=instance.node, message=told)
        return True

    def _on_host(self, name: str, old: Host | None, new: Host | None) -> None:
        if old is None or new is None or _lasting_facts(old) != _lasting_facts(new):
            for key in self._placed.on_node(name):
                self._wake(key)

    def _on_aggregate(self, _key: Key, old: HostAggregate | None, new: HostAggregate | None) -> None:
        # Its hosts tell of all else; but whom it confines may be on any.
        if _isolation(old) != _isolation(new):
            self._look_at(lambda instance: True)

    def _on_flavor(self, key: Key, old: object, new: object) -> None:
        if old is None or new is None:
            self._look_at(lambda instance: instance.bound_flavor == key.name)

    def _on_zone(self, key: Key, old: object, new: object) -> None:
        if old is None or new is None:
            self._look_at(lambda instance: instance.zone == key.name)

    def _on_group(self, key: Key, old: object, new: object) -> None:
        if old is None or new is None:
            for member in self._placed.in_group(key):
                self._wake(member)

    def _on_namespace(self, key: Key, _old: object, _new: object) -> None:
        if self._cache.projects:
            self._look_at(lambda instance: instance.key.namespace == key.name)

    def _on_image(self, key: Key, _old: object, _new: object) -> None:
        if self._cache.image_isolations:
            self._look_at(lambda instance: instance.image == key)

    def _look_at(self, concerned: Callable[[Instance], bool]) -> None:
        if not self._is_leader():
            return
        for instance in self._cache.instances.store:
            if instance.node and concerned(instance):
                self._wake(instance.key)

    def _wake(self, key: Key) -> None:
        # A standby queues nothing: when it comes to lead, it looks at all.
        if self._is_leader():
            self._queue.add(key)


def _lasting_facts(host: Host) -> tuple[object, ...]:
    """What filters look at that an Instance is judged by for good."""
    return (
        host.labels,
        host.zones,
        host.aggregates,
        host.architecture,
        host.domain_type,
        host.firmware,
        host.traits,
    )


def _isolation(aggregate: HostAggregate | None) -> tuple[object, object]:
    return (aggregate.judged.projects, aggregate.judged.images) if aggregate else (None, None)
