"""The merge patches that the operator writes to InstanceActions, each on condition of what it was decided on. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypernova_api.action import COMPLETE, IMAGE_CREATED, ActionPhase, InstanceActionStatus
from hypernova_api.conditions import timestamp
from hypernova_kube.resources import Object
from hypernova_operator.cache.records import InstanceAction
from hypernova_operator.controllers.actions.admission import Admitted, Refused, Waits
from hypernova_operator.controllers.observed import Observed, merged

NODE_LOST = "NodeLost"


def admitted(action: InstanceAction, verdict: Admitted, now: datetime) -> Object:
    """The action is the node's from here on, with everything its agent needs to know."""
    status = InstanceActionStatus(
        node_name=verdict.node,
        instance_uid=verdict.instance_uid,
        rebuild=verdict.rebuild,
        rescue_image=verdict.rescue_image,
        bound_snapshot=verdict.snapshot,
    ).to_wire()
    return _pending(action, now, "Admitted", f"node {verdict.node} is to run it", **status)


def waits(action: InstanceAction, verdict: Waits, now: datetime) -> Object:
    """It may yet run."""
    return _pending(action, now, verdict.reason, verdict.message)


def failed(action: InstanceAction, verdict: Refused, now: datetime) -> Object:
    """It will not run, or not go on."""
    facts = {"phase": ActionPhase.FAILED.value, "completionTime": timestamp(now)} | _requested_by(action)
    return _patch(action, now, Observed(COMPLETE, "False", verdict.reason, verdict.message), **facts)


def node_lost(action: InstanceAction, now: datetime) -> Object:
    """Whether it runs, nobody can tell."""
    message = f"nothing is heard of node {action.node}: what becomes of the action is known when it is back"
    return _patch(action, now, Observed(COMPLETE, "False", NODE_LOST, message))


def node_found(action: InstanceAction, now: datetime) -> Object:
    """The node is back. It says more when there is more to say."""
    reason, message = ("Running", "") if action.started else ("Admitted", f"node {action.node} is to run it")
    return _patch(action, now, Observed(COMPLETE, "False", reason, message))


def image_created(action: InstanceAction, now: datetime) -> Object:
    """The Image of a snapshot has been made. It is not made again, should somebody delete it."""
    return _patch(action, now, Observed(IMAGE_CREATED, "True", "Created", ""))


def image_refused(action: InstanceAction, reason: str, message: str, now: datetime) -> Object:
    """It can't be made."""
    return _patch(action, now, Observed(IMAGE_CREATED, "False", reason, message))


def _pending(action: InstanceAction, now: datetime, reason: str, message: str, **facts: Any) -> Object:
    pending = facts | {"phase": ActionPhase.PENDING.value} | _requested_by(action)
    return _patch(action, now, Observed(COMPLETE, "False", reason, message), **pending)


def _requested_by(action: InstanceAction) -> Object:
    return {"requestedBy": action.user} if action.user else {}


def _patch(action: InstanceAction, now: datetime, observed: Observed, **facts: Any) -> Object:
    """The API server refuses it (Conflict) if anything has been written since."""
    conditions = merged(action.conditions, action.generation, now, observed)
    status = facts | {"conditions": [condition.to_wire() for condition in conditions]}
    return {"metadata": {"resourceVersion": str(action.version)}, "status": status}
