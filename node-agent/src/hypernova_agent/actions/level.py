"""Actions that are a state to be reached: what they make of the Instance, and what they ask of its reconciler. Pure.

They are done once whatever crashes: the Instance's status says what should be (`build`, `rescue`), and the domain's
definition carries the UID of the action that its guest was last powered on for.
"""

from __future__ import annotations

from typing import Any

from hypernova_agent import names
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.desired import domain_uid
from hypernova_agent.host import Domain
from hypernova_agent.user_data import noted
from hypernova_api.action import ActionType, InstanceAction
from hypernova_api.instance import BoundImage, Instance
from hypernova_api.meta import Model
from hypernova_kube.resources import Object

LEVEL = frozenset[ActionType]({"Reboot", "Rebuild", "Rescue", "Unrescue"})

FETCH, RESTART = "FetchImage", "Restart"
"""Their steps."""


def image_of(action: InstanceAction) -> BoundImage | None:
    """What must be in the pool before the action touches anything, if anything."""
    match action.spec.type:
        case "Rebuild":
            return action.status.rebuild.image if action.status.rebuild is not None else None
        case "Rescue":
            return action.status.rescue_image
    return None


def largest_disk(action: InstanceAction, instance: Instance) -> int:
    """Bytes of disk that a guest of the image may see; 0: whatever the pool can hold."""
    if action.spec.type == "Rebuild" and instance.status.flavor is not None:
        return instance.status.flavor.root_disk.value
    return 0


def instance_patch(action: InstanceAction, instance: Instance) -> Object | None:
    """The one patch of the Instance's status that makes it what the action wants; None if it is."""
    wanted = _wanted(action, instance)
    if wanted is None:
        return None
    return {"metadata": {"resourceVersion": instance.metadata.resource_version}, "status": wanted}


def ask_of(action: InstanceAction) -> Ask:
    """What the guest needs for the action, once the Instance's status is as it wants.

    What is rebuilt is thrown away: nothing of it need be written to disk. A rescue image and the root disk beside it
    are not.
    """
    hard = action.spec.reboot is not None and action.spec.reboot.type == "Hard"
    return Ask(boot=action.metadata.uid, grace=0.0 if hard or action.spec.type == "Rebuild" else None)


def reached(ask: Ask, domain: Domain | None) -> bool:
    """Whether a guest with which all is settled is there for the action: runs since it, or would, and is to be off."""
    return domain is not None and (domain.running or domain.defined).boot == ask.boot


def owed(instance: Instance, domain: Domain | None) -> Ask:
    """What an action that was deleted in its midst leaves to be done, now rather than at some later power-on.

    The Instance says what its guest is made of, and its domain is still made of something else.
    """
    if domain is None:
        return NOTHING
    uid, status, volumes = domain_uid(instance), instance.status, (domain.running or domain.defined).volumes
    if status.rescue is not None:
        rescued = names.rescue_disk(uid, status.rescue.action) in volumes
        return NOTHING if rescued else Ask(boot=status.rescue.action)
    if status.build and names.root_disk(uid, status.build) not in volumes:
        return Ask(boot=status.build, grace=0.0)
    return NOTHING


def _wanted(action: InstanceAction, instance: Instance) -> dict[str, Any] | None:
    uid, status = action.metadata.uid, instance.status
    match action.spec.type:
        case "Rebuild" if status.build != uid and action.status.rebuild is not None:
            rebuild = action.status.rebuild
            return {
                "image": _whole(rebuild.image),
                "keyPairs": [pair.to_wire() for pair in rebuild.key_pairs],
                "build": uid,
            } | noted(action)
        case "Rescue" if (status.rescue is None or status.rescue.action != uid) and action.status.rescue_image:
            return {"rescue": {"action": uid, "image": _whole(action.status.rescue_image)}}
        case "Unrescue" if status.rescue is not None:
            return {"rescue": None}
    return None


def _whole(model: Model) -> dict[str, Any]:
    """A model for a merge patch: what it lacks is taken away from what was there."""
    return model.model_dump(mode="json", by_alias=True)
