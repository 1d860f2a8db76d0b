"""What is remembered of each object: the few fields decisions are made of, never the body.

`version` is the resourceVersion as a number (Kubernetes lets them be compared since 1.35). It takes no part in
equality, and neither does a status of our own writing: two records are equal when nothing that matters here has
changed. Functions read an object; they raise pydantic.ValidationError for what can't be read.
"""

from __future__ import annotations

from hypernova_operator.cache.records.action import InstanceAction, instance_action
from hypernova_operator.cache.records.catalog import (
    AvailabilityZone,
    Flavor,
    Image,
    InstanceGroup,
    KeyPair,
    Namespace,
    availability_zone,
    flavor,
    image,
    instance_group,
    key_pair,
    namespace,
)
from hypernova_operator.cache.records.hosts import (
    ADOPT_ORPHAN,
    AGENT_LOST,
    HostAggregate,
    Hypervisor,
    Node,
    host_aggregate,
    hypervisor,
    node,
)
from hypernova_operator.cache.records.instance import (
    ADOPT,
    DRIFT,
    NO_SCHEDULING,
    NODE_LOST,
    RESIZED,
    Instance,
    Resize,
    Scheduling,
    Told,
    instance,
)
from hypernova_operator.cache.records.quota import Amount, ComputeQuota, Limits, compute_quota

__all__ = [
    "ADOPT",
    "ADOPT_ORPHAN",
    "AGENT_LOST",
    "DRIFT",
    "NODE_LOST",
    "NO_SCHEDULING",
    "RESIZED",
    "Amount",
    "AvailabilityZone",
    "ComputeQuota",
    "Flavor",
    "HostAggregate",
    "Hypervisor",
    "Image",
    "Instance",
    "InstanceAction",
    "InstanceGroup",
    "KeyPair",
    "Limits",
    "Namespace",
    "Node",
    "Resize",
    "Scheduling",
    "Told",
    "availability_zone",
    "compute_quota",
    "flavor",
    "host_aggregate",
    "hypervisor",
    "image",
    "instance",
    "instance_action",
    "instance_group",
    "key_pair",
    "namespace",
    "node",
]
