"""What Events refer to."""

from __future__ import annotations

from typing import Protocol

from hypernova_kube.resources import Key, Object, Resource


class Identified(Protocol):
    """A record of an object."""

    @property
    def key(self) -> Key: ...

    @property
    def uid(self) -> str: ...

    @property
    def version(self) -> int: ...


def involved(resource: Resource, record: Identified) -> Object:
    """As much of an object as an EventRecorder looks at."""
    metadata = {
        "namespace": record.key.namespace,
        "name": record.key.name,
        "uid": record.uid,
        "resourceVersion": str(record.version),
    }
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
