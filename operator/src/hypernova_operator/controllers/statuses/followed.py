"""Which statuses something that has changed is about."""

from __future__ import annotations

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
from hypernova_operator.controllers.statuses.writer import Kind, StatusWriter
from hypernova_operator.scheduler import Host


class Statuses:
    """The statuses of aggregates, zones, groups and quotas, following hosts and Instances."""

    def __init__(
        self, client: Client, cache: Cache, ledger: Ledger, placed: Placed, is_leader: Callable[[], bool]
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        table = ledger.table

        def of_aggregate(record: records.HostAggregate, now: datetime) -> HostAggregateStatus:
            return aggregates.status(record, cache, table, now)

        def of_zone(record: records.AvailabilityZone, now: datetime) -> AvailabilityZoneStatus:
            return zones.status(record, table, now)

        def of_group(record: records.InstanceGroup, now: datetime) -> InstanceGroupStatus:
            return groups.status(record, placed.in_group(record.key), now)

        def of_quota(record: records.ComputeQuota, now: datetime) -> ComputeQuotaStatus:
            return quotas.status(record, ledger.quotas.used(record), now)

        kinds = (
            Kind(cache.aggregates, of_aggregate),
            Kind(cache.zones, of_zone),
            Kind(cache.groups, of_group),
            Kind(cache.quotas, of_quota),
        )
        self._writer = StatusWriter(client, kinds, is_leader)
        cache.hosts.subscribe(self._on_host)
        cache.instances.store.subscribe(self._on_instance)
        cache.aggregates.store.subscribe(self._on_aggregate)
        cache.zones.store.subscribe(self._on_zone)
        cache.groups.store.subscribe(lambda key, _old, _new: self._writer.touch(self._cache.groups, key))
        cache.quotas.store.subscribe(lambda key, _old, _new: self._writer.touch(self._cache.quotas, key))
        cache.namespaces.store.subscribe(self._on_namespace)
        cache.images.store.subscribe(self._on_image)

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        await self._writer.run()

    def _on_host(self, _name: str, old: Host | None, new: Host | None) -> None:
        for host in (old, new):
            if host is not None:
                self._touch_those_of(host)

    def _touch_those_of(self, host: Host) -> None:
        for aggregate in host.aggregates:
            self._writer.touch(self._cache.aggregates, Key("", aggregate.name))
        for zone in host.zones:
            self._writer.touch(self._cache.zones, Key("", zone))

    def _on_instance(self, key: Key, old: records.Instance | None, new: records.Instance | None) -> None:
        for instance in (old, new):
            if instance is None or not instance.node:
                continue
            host = self._cache.hosts.get(instance.node)
            if host is not None:
                self._touch_those_of(host)
            if instance.group:
                self._writer.touch(self._cache.groups, instance.group)
            for quota in self._ledger.quotas.covering(key.namespace):
                self._writer.touch(self._cache.quotas, quota.key)

    def _on_aggregate(self, key: Key, _old: object, _new: object) -> None:
        # Its hosts tell for themselves, and so for the other aggregates and zones they are in.
        self._writer.touch(self._cache.aggregates, key)

    def _on_zone(self, key: Key, _old: object, _new: object) -> None:
        self._writer.touch(self._cache.zones, key)
        for aggregate in self._cache.aggregates.store:
            if aggregate.zone == key.name:
                self._writer.touch(self._cache.aggregates, aggregate.key)

    def _on_namespace(self, _key: Key, _old: object, _new: object) -> None:
        for aggregate in self._cache.aggregates.store:
            if aggregate.judged.projects is not None:
                self._writer.touch(self._cache.aggregates, aggregate.key)
        for quota in self._cache.quotas.store:
            if quota.selector is not None:
                self._writer.touch(self._cache.quotas, quota.key)

    def _on_image(self, _key: Key, _old: object, _new: object) -> None:
        for aggregate in self._cache.aggregates.store:
            if aggregate.judged.images is not None:
                self._writer.touch(self._cache.aggregates, aggregate.key)
