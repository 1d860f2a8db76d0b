"""The merge patches that the operator writes to Instances, each on condition of what it was decided on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypernova_api import conditions
from hypernova_api.conditions import Condition
from hypernova_api.instance import Address, Candidate, InstanceStatus, Phase, Placement
from hypernova_api.meta import FINALIZER
from hypernova_api.network import DEFAULT_NETWORK
from hypernova_api.overcommit import Overcommit
from hypernova_kube.resources import Object
from hypernova_operator import scheduler
from hypernova_operator.addresses import Assignments
from hypernova_operator.cache import allocations
from hypernova_operator.cache.records import AGENT_LOST, NODE_LOST, RESIZED, Instance
from hypernova_operator.controllers import resizing
from hypernova_operator.controllers.observed import Observed, merged
from hypernova_operator.controllers.resolve import Resolved, Unmet

SCHEDULED = "Scheduled"
READY = "Ready"

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Decision:
    """Where an Instance goes, with what."""

    resolved: Resolved
    placement: scheduler.Placement
    host: scheduler.Host
    assignments: Assignments
    took: float
    """Seconds."""


def bound(instance: Instance, decision: Decision, now: datetime) -> Object:
    """To the status: the Instance is the node's from here on, with everything its agent needs to know."""
    to, resolved = decision.host, decision.resolved
    allocation = decision.placement.allocation
    status = InstanceStatus(
        phase=Phase.BUILDING,
        node_name=to.name,
        availability_zone=to.zone or None,
        placement=_placement(decision, now),
        allocation=allocations.written(allocation) if allocation else None,
        key_pairs=[key_pair.bound for key_pair in resolved.key_pairs],
        addresses=addresses(decision.assignments),
        observed_generation=instance.generation,
        conditions=_with(
            instance,
            now,
            Observed(SCHEDULED, "True", "Bound", f"bound to node {to.name}"),
            Observed(READY, "False", "Building", f"node {to.name} is building it"),
        ),
    ).to_wire()
    # What they leave out is left out here, too.
    status["flavor"] = resolved.flavor.bound.model_dump(mode="json", by_alias=True, exclude_unset=True)
    status["image"] = resolved.image.bound.to_wire()
    return _on_condition(instance) | {"status": status}


def addresses(assignments: Assignments) -> list[Address]:
    """For a status."""
    return [Address(network=DEFAULT_NETWORK, ip=str(each.ip), mac=each.mac) for each in assignments]


def _placement(decision: Decision, now: datetime) -> Placement:
    placement, ratios = decision.placement, decision.host.ratios
    return Placement(
        time=conditions.timestamp(now),
        hosts_considered=placement.considered,
        hosts_passed=placement.passed,
        candidates=[_candidate(each) for each in placement.candidates],
        overcommit=Overcommit(cpu=ratios.cpu, memory=ratios.memory, disk=ratios.disk),
        cpu_model=decision.host.cpu_model or None,
    )


def _candidate(candidate: scheduler.Candidate) -> Candidate:
    """Rounded: further digits tell nobody anything, and are stored with every Instance."""
    parts = {name: round(part, _DIGITS) for name, part in candidate.parts.items()}
    return Candidate(node_name=candidate.host, weight=round(candidate.weight, _DIGITS), parts=parts)


def refused(instance: Instance, why: Unmet, now: datetime) -> Object:
    """To the status: the Instance waits, and why."""
    changed = _with(
        instance,
        now,
        Observed(SCHEDULED, "False", why.reason, why.message),
        Observed(READY, "False", why.reason, "not bound to a node"),
    )
    status = {
        "phase": Phase.PENDING.value,
        "observedGeneration": instance.generation,
        "conditions": [condition.to_wire() for condition in changed],
    }
    return _on_condition(instance) | {"status": status}


def resized(obj: Object, decision: resizing.Decision, now: datetime) -> Object:
    """To the status of a bound Instance: what was decided about its flavor."""
    before, node = obj["status"], obj["status"]["nodeName"]
    message = f"flavor {obj['spec']['flavor']} is granted; node {node} is giving it to the guest"
    said: Observed | None = Observed(RESIZED, "False", resizing.GRANTED, message)
    change: Object = {}
    match decision:
        case resizing.Grant(flavor=flavor, to=to, over=over):
            granted: Object = {"flavor": flavor.bound.model_dump(mode="json", by_alias=True, exclude_unset=True)}
            if to.allocation:
                granted["allocation"] = allocations.written(to.allocation).to_wire()
            change = (_in_force(before) if over else {}) | {"resize": _instead(before.get("resize"), granted)}
        case resizing.Withdraw():
            had = {field: before[field] for field in ("flavor", "allocation") if field in before}
            change = _in_force(before) | {"resize": _instead(before["resize"], had)}
            message = (
                f"flavor {before['resize']['flavor']['name']} is not asked for any more; node {node} takes it back"
            )
            said = Observed(RESIZED, "False", resizing.WITHDRAWN, message)
        case resizing.Settle():
            said = None
    return _of_stored(obj) | {"status": change | {"conditions": _conditions(obj, now, RESIZED, said)}}


def not_resized(obj: Object, why: Unmet, now: datetime) -> Object:
    """To the status of a bound Instance: it keeps the flavor that it has, and why."""
    said = Observed(RESIZED, "False", why.reason, why.message)
    return _of_stored(obj) | {"status": {"conditions": _conditions(obj, now, RESIZED, said)}}


def with_cards(obj: Object, assignments: Assignments) -> Object:
    """To the status of a bound Instance: addresses for all its cards, those that it has first."""
    have = obj["status"].get("addresses", [])
    more = [each.to_wire() for each in addresses(assignments[len(have) :])]
    return _of_stored(obj) | {"status": {"addresses": [*have, *more]}}


def lost(obj: Object, message: str, now: datetime) -> Object:
    """To the status of an Instance on a lost host."""
    phase = Phase.DELETING if obj["metadata"].get("deletionTimestamp") else Phase.UNKNOWN
    said = _conditions(obj, now, READY, Observed(READY, "Unknown", NODE_LOST, message))
    return _of_stored(obj) | {"status": {"phase": phase.value, "conditions": said}}


def let_go(obj: Object) -> Object:
    """Our finalizer taken off an Instance whose node is fenced."""
    patch = _of_stored(obj)
    patch["metadata"]["finalizers"] = [name for name in obj["metadata"].get("finalizers", []) if name != FINALIZER]
    return patch


def agent_lost(obj: Object, since: str, now: datetime) -> Object:
    """To the status of a Hypervisor on a lost host."""
    silent = f"its agent has not been heard of{f' since {since}' if since else ''}"
    message = f"{silent}: see whether the node runs, and the agent on it; nothing new is placed here meanwhile"
    said = _conditions(obj, now, READY, Observed(READY, "Unknown", AGENT_LOST, message))
    return _of_stored(obj) | {"status": {"conditions": said}}


def unbound(anew: Object) -> Object:
    """An Instance as it is created: without what the API server gives it, and without status."""
    metadata = {name: value for name, value in anew["metadata"].items() if name not in ("uid", "resourceVersion")}
    return {name: value for name, value in anew.items() if name != "status"} | {"metadata": metadata}


def adopted(obj: Object, status: Object, *, running: bool, now: datetime) -> Object:
    """To the status of an Instance that was made anew: it is bound as its domain remembers."""
    node = status["nodeName"]
    phase = Phase.RUNNING if running else Phase.STOPPED
    scheduled = Observed(
        SCHEDULED, "True", "Adopted", f"adopted where its domain {status['domainUID']} is, on node {node}"
    )
    ready = Observed(READY, "Unknown", "Adopted", f"node {node} takes it over")
    said = merged([], obj["metadata"]["generation"], now, scheduled, ready)
    change = {"phase": phase.value, "conditions": [each.to_wire() for each in said]}
    return _of_stored(obj) | {"status": status | change}


def _in_force(status: Object) -> Object:
    """The flavor that was granted is the one that it may have."""
    resize = status["resize"]
    return {field: _instead(status.get(field), resize.get(field)) for field in ("flavor", "allocation")}


def _instead(before: Any, after: Any) -> Any:
    """What a merge patch must say to put one value in the place of another, rather than lay it over."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone: Object = {field: None for field in before if field not in after}
    return gone | {field: _instead(before.get(field), value) for field, value in after.items()}


def _of_stored(obj: Object) -> Object:
    return {"metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]}}


def _conditions(obj: Object, now: datetime, type_: str, said: Observed | None) -> list[Object]:
    """The conditions that are stored, with this one in place of the one of its type; without any if it is None."""
    before = [Condition.model_validate(each) for each in obj.get("status", {}).get("conditions", [])]
    if said is None:
        after = [each for each in before if each.type != type_]
    else:
        after = merged(before, obj["metadata"]["generation"], now, said)
    return [each.to_wire() for each in after]


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


def _with(instance: Instance, now: datetime, *conditions: Observed) -> list[Condition]:
    return merged(instance.conditions, instance.generation, now, *conditions)
