"""The operator's cache, told of objects as by watches.

cache = a_cache(a_node(), a_hypervisor(status=a_hypervisor_status()), a_zone())
sees(cache, a_zone(reserve={"hosts": 1}))      it has changed
sees_gone(cache, a_zone())                     it is gone
"""

from __future__ import annotations

import itertools
from typing import Any

from hypernova_kube.resources import Object
from hypernova_operator.cache import Cache, Kept
from support.builders import a_hypervisor, a_hypervisor_status, a_node, stored

_versions = itertools.count(1)


def a_cache(*objects: Object) -> Cache:
    """A cache that has seen these; agents of the Hypervisors among them are alive."""
    cache = Cache()
    sees(cache, *objects)
    return cache


def a_host_of(name: str = "node-a", labels: dict[str, str] | None = None, **parts: Any) -> tuple[Object, Object]:
    """Node and Hypervisor of a host that takes Instances. `parts` are fields of the Hypervisor's spec, or `status`."""
    return a_node(name, labels=labels), a_hypervisor(name, **{"status": a_hypervisor_status()} | parts)


def sees(cache: Cache, *objects: Object) -> None:
    """They are so now."""
    for obj in objects:
        _kept(cache, obj).put(stored(obj, resourceVersion=str(next(_versions))))
        if obj["kind"] == "Hypervisor":
            cache.hosts.set_alive(obj["metadata"]["name"], True)


def sees_gone(cache: Cache, *objects: Object) -> None:
    """They are gone."""
    for obj in objects:
        _kept(cache, obj).remove(stored(obj, resourceVersion=str(next(_versions))))


def _kept(cache: Cache, obj: Object) -> Kept[Any]:
    return next(kept for kept in cache.kinds if kept.resource.kind == obj["kind"])
