"""Which statuses something that has changed is about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from hypernova_api.aggregate import HostAggregateStatus
from hypernova_api.group import InstanceGroupStatus
from hypernova_api.quota import ComputeQuotaStatus
from hypernova_api.zone import AvailabilityZoneStatus
from hypernova_kube.client import Client
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache, records
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.statuses import aggregates, groups, quotas, zones
from hypernova_operator.controllers.statuses.writer import LOOK_SECONDS, Kind, StatusWriter
from hypernova_operator.scheduler import Host


class Statuses:
    """The statuses of aggregates, zones, groups and quotas, following hosts and Instances."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        ledger: Ledger,
        placed: Placed,
        is_leader: Callable[[], bool],
        is_sure: Callable[[], bool],
    ) -> None:
        """They are followed from now on, and written once `run()` has been called.

        Args:
            client: to write by.
            cache: what is known.
            ledger: what is claimed.
            placed: who is where.
            is_leader: whether to write at all.
            is_sure: whether it is known of every host if it lives. Before that, all zones would seem to be gone.
        """
        self._is_sure = is_sure
        self._cache = cache
        self._ledger = ledger
        self._writer = StatusWriter(client, is_leader)
        table = ledger.table

        def of_aggregate(record: records.HostAggregate, now: datetime) -> HostAggregateStatus:
            return aggregates.status(record, cache, table, now)

        def of_zone(record: records.AvailabilityZone, now: datetime) -> AvailabilityZoneStatus:
            return zones.status(record, table, now)

        def of_group(record: records.InstanceGroup, now: datetime) -> InstanceGroupStatus:
            return groups.status(record, placed.in_group(record.key), now)

        def of_quota(record: records.ComputeQuota, now: datetime) -> ComputeQuotaStatus:
            return quotas.status(record, ledger.quotas.used(record), now)

        self._aggregates = Kind(cache.aggregates, of_aggregate)
        self._zones = Kind(cache.zones, of_zone)
        self._groups = Kind(cache.groups, of_group)
        self._quotas = Kind(cache.quotas, of_quota)
        cache.hosts.subscribe(self._on_host)
        cache.instances.store.subscribe(self._on_instance)
        cache.aggregates.store.subscribe(self._on_aggregate)
        cache.zones.store.subscribe(self._on_zone)
        cache.groups.store.subscribe(lambda key, _old, _new: self._writer.touch(self._groups, key))
        cache.quotas.store.subscribe(lambda key, _old, _new: self._writer.touch(self._quotas, key))
        cache.namespaces.store.subscribe(self._on_namespace)
        cache.images.store.subscribe(self._on_image)

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        while not self._is_sure():
            await asyncio.sleep(LOOK_SECONDS)
        for kind in (self._aggregates, self._zones, self._groups, self._quotas):
            for record in kind.kept.store:
                self._writer.touch(kind, record.key)
        await self._writer.run()

    def _on_host(self, _name: str, old: Host | None, new: Host | None) -> None:
        for host in (old, new):
            if host is not None:
                self._touch_those_of(host)

    def _touch_those_of(self, host: Host) -> None:
        for aggregate in host.aggregates:
            self._writer.touch(self._aggregates, Key("", aggregate.name))
        for zone in host.zones:
            self._writer.touch(self._zones, Key("", zone))

    def _on_instance(self, key: Key, old: records.Instance | None, new: records.Instance | None) -> None:
        for instance in (old, new):
            if instance is None or not instance.node:
                continue
            host = self._cache.hosts.get(instance.node)
            if host is not None:
                self._touch_those_of(host)
            if instance.group:
                self._writer.touch(self._groups, instance.group)
            for quota in self._ledger.quotas.covering(key.namespace):
                self._writer.touch(self._quotas, quota.key)

    def _on_aggregate(self, key: Key, _old: object, _new: object) -> None:
        # Its hosts tell for themselves, and so for the other aggregates and zones they are in.
        self._writer.touch(self._aggregates, key)

    def _on_zone(self, key: Key, _old: object, _new: object) -> None:
        self._writer.touch(self._zones, key)
        for aggregate in self._cache.aggregates.store:
            if aggregate.zone == key.name:
                self._writer.touch(self._aggregates, aggregate.key)

    def _on_namespace(self, _key: Key, _old: object, _new: object) -> None:
        for aggregate in self._cache.aggregates.store:
            if aggregate.judged.projects is not None:
                self._writer.touch(self._aggregates, aggregate.key)
        for quota in self._cache.quotas.store:
            if quota.selector is not None:
                self._writer.touch(self._quotas, quota.key)

    def _on_image(self, _key: Key, _old: object, _new: object) -> None:
        for aggregate in self._cache.aggregates.store:
            if aggregate.judged.images is not None:
                self._writer.touch(self._aggregates, aggregate.key)
