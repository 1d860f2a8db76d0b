"""ComputeQuotas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hypernova_api import quota as quota_api
from hypernova_api.selectors import LabelSelector
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache.records.identity import identity


class Amount(NamedTuple):
    """What is counted: Instances, virtual CPUs, bytes of memory and of root disk."""

    instances: int = 0
    vcpus: int = 0
    memory: int = 0
    disk: int = 0


class Limits(NamedTuple):
    """The most of each; None: no limit."""

    instances: int | None = None
    vcpus: int | None = None
    memory: int | None = None
    disk: int | None = None


@dataclass(frozen=True, slots=True)
class ComputeQuota:
    """A ComputeQuota."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    selector: LabelSelector | None
    """The namespaces it is about; None: its own."""
    hard: Limits
    per_user: Limits | None
    status: quota_api.ComputeQuotaStatus = field(compare=False)


def compute_quota(obj: Object) -> ComputeQuota:
    """Read a ComputeQuota."""
    parsed = quota_api.ComputeQuota.parse(obj)
    spec = parsed.spec
    return ComputeQuota(
        *identity(parsed.metadata),
        generation=parsed.metadata.generation,
        selector=spec.namespace_selector,
        hard=_limits(spec.hard),
        per_user=_limits(spec.per_user) if spec.per_user else None,
        status=parsed.status,
    )


def _limits(limits: quota_api.QuotaLimits) -> Limits:
    return Limits(
        limits.instances,
        limits.vcpus,
        limits.memory.value if limits.memory is not None else None,
        limits.disk.value if limits.disk is not None else None,
    )
