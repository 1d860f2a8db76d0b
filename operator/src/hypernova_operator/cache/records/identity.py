"""What every record begins with."""

from __future__ import annotations

from collections.abc import Mapping

from hypernova_api.meta import ObjectMeta
from hypernova_kube.resources import Key
from hypernova_operator.scheduler.request import Labels


def identity(metadata: ObjectMeta) -> tuple[Key, str, int]:
    """Key, uid and version."""
    return Key(metadata.namespace, metadata.name), metadata.uid, int(metadata.resource_version)


def as_labels(labels: Mapping[str, str]) -> Labels:
    """Labels in the form that can be compared and hashed."""
    return tuple(sorted(labels.items()))
