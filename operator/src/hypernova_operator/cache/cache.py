"""What the operator knows of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from hypernova_api.action import InstanceAction as InstanceActionKind
from hypernova_api.aggregate import HostAggregate as HostAggregateKind
from hypernova_api.flavor import Flavor as FlavorKind
from hypernova_api.group import InstanceGroup as InstanceGroupKind
from hypernova_api.hypervisor import Hypervisor as HypervisorKind
from hypernova_api.image import Image as ImageKind
from hypernova_api.instance import Instance as InstanceKind
from hypernova_api.keypair import KeyPair as KeyPairKind
from hypernova_api.quota import ComputeQuota as ComputeQuotaKind
from hypernova_api.zone import AvailabilityZone as AvailabilityZoneKind
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import NODES, Key, Object, Resource, key_of
from hypernova_operator.cache import isolation, records
from hypernova_operator.cache.aggregates import NO_LIMITS, Limits
from hypernova_operator.cache.hosts import Hosts
from hypernova_operator.cache.store import Record, Store

log = get_logger(__name__)

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Kept(Generic[R]):
    """A kind that is kept: where its objects come from, how they are read, and where they are."""

    resource: Resource
    read: Callable[[Object], R]
    store: Store[R]

    def put(self, obj: Object) -> None:
        """The object was seen so."""
        key, version = key_of(obj), _version(obj)
        if not self.store.is_news(key, version):
            return  # without reading it: a third of all events are echoes of our own writes
        try:
            self.store.put(self.read(obj))
        except ValidationError as error:
            # What was known of it stays: an Instance's claim must not be given away because of a field we can't read.
            fault = error.errors()[0]
            field = ".".join(str(part) for part in fault["loc"])
            log.error("object unreadable", resource=self.resource.plural, key=key, error=f"{field}: {fault['msg']}")

    def remove(self, obj: Object) -> None:
        """The object is gone; this is its last state."""
        self.store.remove(key_of(obj), _version(obj))


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


class Cache:
    """A store for each kind, and the hosts joined of them."""

    def __init__(self, limits: Limits = NO_LIMITS) -> None:
        """An empty cache; `limits` are those of hosts whose aggregates say nothing."""
        self.flavors = Kept(Resource.of(FlavorKind), records.flavor, Store())
        self.images = Kept(Resource.of(ImageKind), records.image, Store())
        self.key_pairs = Kept(Resource.of(KeyPairKind), records.key_pair, Store())
        self.namespaces = Kept(NAMESPACES, records.namespace, Store())
        self.zones = Kept(Resource.of(AvailabilityZoneKind), records.availability_zone, Store())
        self.groups = Kept(Resource.of(InstanceGroupKind), records.instance_group, Store())
        self.quotas = Kept(Resource.of(ComputeQuotaKind), records.compute_quota, Store())
        self.aggregates = Kept(Resource.of(HostAggregateKind), records.host_aggregate, Store())
        self.nodes = Kept(NODES, records.node, Store())
        self.hypervisors = Kept(Resource.of(HypervisorKind), records.hypervisor, Store())
        self.instances = Kept(Resource.of(InstanceKind), records.instance, Store())
        self.actions = Kept(Resource.of(InstanceActionKind), records.instance_action, Store())
        self.projects, self.image_isolations = isolation.follow(self.aggregates.store)
        self.hosts = Hosts(self.nodes.store, self.hypervisors.store, self.aggregates.store, limits)

    @property
    def kinds(self) -> tuple[Kept[Any], ...]:
        """Every kind kept. What names others comes after them: when it is looked at, what it names has been."""
        return (
            self.flavors,
            self.images,
            self.key_pairs,
            self.namespaces,
            self.zones,
            self.groups,
            self.quotas,
            # Before Nodes: each host is joined once then, and not once for every aggregate.
            self.aggregates,
            self.nodes,
            self.hypervisors,
            self.instances,
            self.actions,
        )

    @property
    def many(self) -> tuple[Kept[Any], ...]:
        """The kinds with many objects, too many for the frame (docs/performance.md, Scale)."""
        return (self.nodes, self.hypervisors, self.instances, self.actions)

    @property
    def few(self) -> tuple[Kept[Any], ...]:
        """The others, which the frame watches."""
        return tuple(kept for kept in self.kinds if all(kept is not other for other in self.many))

    def flavor(self, name: str) -> records.Flavor | None:
        """The Flavor of that name."""
        return self.flavors.store.get(Key("", name))

    def image(self, key: Key) -> records.Image | None:
        """The Image of that key."""
        return self.images.store.get(key)

    def key_pair(self, key: Key) -> records.KeyPair | None:
        """The KeyPair of that key."""
        return self.key_pairs.store.get(key)

    def instance(self, key: Key) -> records.Instance | None:
        """The Instance of that key."""
        return self.instances.store.get(key)

    def namespace(self, name: str) -> records.Namespace | None:
        """The Namespace of that name."""
        return self.namespaces.store.get(Key("", name))

    def zone(self, name: str) -> records.AvailabilityZone | None:
        """The AvailabilityZone of that name."""
        return self.zones.store.get(Key("", name))

    def group(self, key: Key) -> records.InstanceGroup | None:
        """The InstanceGroup of that key."""
        return self.groups.store.get(key)
