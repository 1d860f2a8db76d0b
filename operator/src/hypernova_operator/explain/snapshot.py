"""The cluster as it is now, read once into the same cache and books that the operator decides by."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypernova_api.hypervisor import LEASE_PREFIX
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from hypernova_kube.resources import LEASES, Object
from hypernova_operator.cache import Cache
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.settings import Settings


async def snapshot(client: Client, settings: Settings, now: datetime) -> tuple[Cache, Ledger]:
    """Cache and books.

    Args:
        client: the API server.
        settings: of the operator: where the agents' Leases are, and what limits hosts have.
        now: an agent is alive if its Lease is not over by then. The operator, which watches for longer, goes by its own
            clock instead: clocks that differ by more than a Lease lasts make a difference here only.
    """
    cache = Cache(settings.limits)
    ledger = Ledger(cache, on_room=lambda: None)
    for kept in cache.kinds:
        for obj in (await client.list(kept.resource)).items:
            kept.put(obj)
    leases = await client.list(LEASES, namespace=settings.namespace, label_selector=f"{HYPERVISOR_LABEL}=true")
    for lease in leases.items:
        cache.hosts.set_alive(lease["metadata"]["name"].removeprefix(LEASE_PREFIX), _is_alive(lease, now))
    return cache, ledger


def _is_alive(lease: Object, now: datetime) -> bool:
    spec = lease.get("spec", {})
    if "renewTime" not in spec:
        return False
    renewed = datetime.fromisoformat(spec["renewTime"])
    return now < renewed + timedelta(seconds=spec.get("leaseDurationSeconds", 0))
