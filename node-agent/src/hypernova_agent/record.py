"""What a domain remembers of its Instance, for the day on which the Instance's object is lost.

It goes into the domain's metadata whenever that is defined, and is never compared with anything.
"""

from __future__ import annotations

import json
from typing import Any

from hypernova_api.instance import Instance

LIMIT = 16 << 10
"""Bytes of a record: libvirt carries it along with each look at the domain."""

_STATUS = (
    *("flavor", "image", "keyPairs", "addresses", "allocation", "availabilityZone", "placement"),
    *("build", "rescue", "resize", "launchedAt", "domainUID", "userDataFrom"),
)
"""What binding and actions have written, and nobody could find out again. Not user data: it may be secret."""

_PLACEMENT = ("time", "hostsConsidered", "hostsPassed", "overcommit", "cpuModel")

_DISPENSABLE = (("labels",), ("status", "keyPairs"), ("spec", "scheduling"), ("status", "image", "properties"))
"""What is left out first of a record that is too large, by its path."""


def record_of(instance: Instance) -> str:
    """Compact JSON with the keys `labels`, `spec` and `status`, each as in the object, as far as there is any; pure.

    One that is too large even without what can be left out is empty.
    """
    wire = instance.to_wire()
    status = {key: value for key, value in wire.get("status", {}).items() if key in _STATUS}
    if "placement" in status:
        status["placement"] = {key: value for key, value in status["placement"].items() if key in _PLACEMENT}
    spec = wire["spec"]
    if "inline" in spec.get("userData", {}):
        del spec["userData"]
    record: dict[str, Any] = {"labels": dict(instance.metadata.labels), "spec": spec, "status": status}
    text = _text(record)
    for *path, last in _DISPENSABLE:
        if len(text.encode()) <= LIMIT:
            break
        inner = record
        for key in path:
            inner = inner.get(key, {})
        inner.pop(last, None)
        text = _text(record)
    return text if len(text.encode()) <= LIMIT else ""


def _text(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"), sort_keys=True)
