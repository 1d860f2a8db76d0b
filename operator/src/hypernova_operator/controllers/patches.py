"""The merge patches that the operator writes to Instances, each on condition of what it was decided on. Pure."""

from __future__ import annotations

from datetime import datetime

from hypernova_api import conditions
from hypernova_api.conditions import Condition
from hypernova_api.instance import Address, InstanceStatus, Phase
from hypernova_api.meta import FINALIZER
from hypernova_api.network import DEFAULT_NETWORK
from hypernova_kube.resources import Object
from hypernova_operator.addresses import Assignment
from hypernova_operator.cache.records import Instance
from hypernova_operator.controllers.resolve import Resolved, Unmet

SCHEDULED = "Scheduled"
READY = "Ready"


def bound(instance: Instance, to: str, resolved: Resolved, assignment: Assignment, now: datetime) -> Object:
    """To the status: the Instance is the node's from here on, with everything its agent needs to know."""
    status = InstanceStatus(
        phase=Phase.BUILDING,
        node_name=to,
        flavor=resolved.flavor.bound,
        image=resolved.image.bound,
        key_pairs=[key_pair.bound for key_pair in resolved.key_pairs],
        addresses=[Address(network=DEFAULT_NETWORK, ip=str(assignment.ip), mac=assignment.mac)],
        observed_generation=instance.generation,
        conditions=_with(
            instance,
            now,
            (SCHEDULED, "True", "Bound", f"bound to node {to}"),
            (READY, "False", "Building", f"node {to} is building it"),
        ),
    )
    return _on_condition(instance) | {"status": status.to_wire()}


def refused(instance: Instance, why: Unmet, now: datetime) -> Object:
    """To the status: the Instance waits, and why."""
    changed = _with(
        instance,
        now,
        (SCHEDULED, "False", why.reason, why.message),
        (READY, "False", why.reason, "not bound to a node"),
    )
    status = {
        "phase": Phase.PENDING.value,
        "observedGeneration": instance.generation,
        "conditions": [condition.to_wire() for condition in changed],
    }
    return _on_condition(instance) | {"status": status}


def told(instance: Instance) -> Condition | None:
    """What the Instance says of why it waits, if that is about the spec as it is now."""
    condition = conditions.find(instance.conditions, SCHEDULED)
    if condition is None or condition.status != "False" or condition.observed_generation != instance.generation:
        return None
    return condition


def protected(instance: Instance) -> Object:
    """Our finalizer put on, where the API server's admission hasn't."""
    return _finalizers(instance, (*instance.finalizers, FINALIZER))


def released(instance: Instance) -> Object:
    """Our finalizer taken off: an Instance that never had a node leaves nothing behind."""
    return _finalizers(instance, tuple(name for name in instance.finalizers if name != FINALIZER))


def _finalizers(instance: Instance, names: tuple[str, ...]) -> Object:
    patch = _on_condition(instance)
    patch["metadata"]["finalizers"] = list(names)
    return patch


def _on_condition(instance: Instance) -> Object:
    """The API server refuses the patch (Conflict) if anything has been written since."""
    return {"metadata": {"resourceVersion": str(instance.version)}}


def _with(instance: Instance, now: datetime, *observed: tuple[str, conditions.Truth, str, str]) -> list[Condition]:
    """The Instance's conditions with these in them: type, status, reason, message of each."""
    return conditions.merge(
        instance.conditions,
        *(
            Condition(
                type=type_,
                status=status,
                reason=reason,
                message=message,
                observed_generation=instance.generation,
                last_transition_time=conditions.timestamp(now),
            )
            for type_, status, reason, message in observed
        ),
    )
