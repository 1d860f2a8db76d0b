"""Domains that hosts have without an Instance, and the Instances that they had."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import ValidationError

from hypernova_api import instance as instance_api
from hypernova_api.hypervisor import Orphan as OrphanStatus
from hypernova_api.meta import FINALIZER, GROUP, VERSION
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache.records.instance import ADOPT, Instance, instance


@dataclass(frozen=True, slots=True)
class Orphan:
    """A domain without an Instance."""

    uid: str
    """The domain's."""
    key: Key
    """Of the Instance that it had; without a name where that is not known."""
    instance: Instance | None
    """What that took of the node it is on; None where the domain does not remember."""


def orphan(told: OrphanStatus, node: str) -> Orphan:
    """Read an orphan of a Hypervisor's status."""
    try:
        had = instance(instance_of(told, node))
    except (ValueError, TypeError, KeyError, AttributeError):  # pydantic's is a ValueError
        had = None
    return Orphan(told.uid, Key(told.namespace, told.name), had)


def adoption(uid: str, node: str) -> str:
    """What the annotation ADOPT says of an Instance that is made anew for a domain."""
    return f"{uid}@{node}"


def instance_of(told: OrphanStatus, node: str) -> Object:
    """The Instance that an orphan had, as it is to be made anew: with status, and with no version of its own.

    Raises:
        ValueError: the domain does not remember it, or nothing that could be read.
    """
    record = json.loads(told.record or "")
    if not isinstance(record, dict):
        raise ValueError("the record is no object")
    try:
        instance_api.InstanceSpec.model_validate(record["spec"])
        instance_api.InstanceStatus.model_validate(record["status"])
    except (KeyError, ValidationError) as error:
        raise ValueError(f"the record lacks what an Instance has: {error}") from error
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Instance",
        "metadata": {
            "namespace": told.namespace,
            "name": told.name,
            "uid": told.uid,
            "resourceVersion": "0",
            "labels": record.get("labels", {}),
            "annotations": {ADOPT: adoption(told.uid, node)},
            "finalizers": [FINALIZER],
        },
        "spec": record["spec"],
        "status": record["status"] | {"nodeName": node, "domainUID": told.uid},
    }
