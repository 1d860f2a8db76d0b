"""Whether an action can be done to its Instance as it is. Pure; Nova says 409 to the same."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.host import Domain, DomainState
from hypernova_api.action import ActionType, InstanceAction
from hypernova_api.instance import Instance

_NEED_A_RUNNING_GUEST = frozenset[ActionType]({"InjectNMI", "SetPassword", "GetGuestInfo"})
_NEED_A_DOMAIN = frozenset[ActionType]({"Reboot", "Rescue", "Snapshot"}) | _NEED_A_RUNNING_GUEST
_NEED_NO_SAVED_MEMORY = frozenset[ActionType]({"Reboot", "Rebuild", "Rescue", "Unrescue"})
_NOT_WHILE_RESCUED = frozenset[ActionType]({"Rebuild", "Snapshot", "SetPassword"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, for the condition Complete."""

    reason: str
    message: str


def refusal(action: InstanceAction, instance: Instance, domain: Domain | None) -> Refusal | None:
    """Why an action cannot begin; None if it can.

    Args:
        action: one that has not begun.
        instance: what it is for.
        domain: its domain as it is now.
    """
    type_, power = action.spec.type, instance.spec.power_state
    rescued = instance.status.rescue is not None
    if type_ in _NEED_A_DOMAIN and domain is None:
        return Refusal("NotBuilt", "the Instance has not been built yet: try again when it is Ready")
    if type_ == "Rescue" and rescued:
        return Refusal("AlreadyRescued", "the Instance is rescued already: end that with an action of type Unrescue")
    if type_ == "Unrescue" and not rescued:
        return Refusal("NotRescued", "the Instance is not rescued")
    if type_ in _NOT_WHILE_RESCUED and rescued:
        return Refusal("Rescued", f"no {type_} while the Instance is rescued: Unrescue it first")
    if type_ in _NEED_NO_SAVED_MEMORY and power == "Suspended":
        return Refusal(
            "Suspended",
            "the guest's memory is on disk and would be lost: set powerState to Running or Stopped first",
        )
    if type_ == "Reboot" and power == "Stopped":
        return Refusal("NotRunning", "the Instance is to be off: set powerState to Running instead")
    if type_ in _NEED_A_RUNNING_GUEST and (domain is None or domain.state is not DomainState.RUNNING):
        state = domain.state if domain is not None else "off"
        return Refusal("NotRunning", f"the guest does not run (its domain is {state}): try again when it does")
    return _unresolved(action)


def _unresolved(action: InstanceAction) -> Refusal | None:
    """Why what the action names cannot be used."""
    status = action.status
    if (action.spec.type == "Rebuild" and status.rebuild is None) or (
        action.spec.type == "Rescue" and status.rescue_image is None
    ):
        return Refusal("BindingIncomplete", "the action's status lacks the image it was to be given: create it anew")
    return None
