"""What an InstanceAction's status says, as merge patches conditional on what was read. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hypernova_api.action import ActionPhase, ActionStep, ActionType, InstanceAction
from hypernova_api.conditions import Condition, Truth, find, merge, timestamp
from hypernova_kube.resources import Object

COMPLETE = "Complete"

_LONGEST_MESSAGE = 400
"""Characters of what a host says that are shown."""

_DONE: Mapping[ActionType, str] = {
    "Reboot": "Rebooted",
    "Rebuild": "Rebuilt",
    "Rescue": "Rescued",
    "Unrescue": "Unrescued",
    "Snapshot": "SnapshotTaken",
    "ResetState": "StateReset",
    "InjectNMI": "NMIInjected",
    "SetPassword": "PasswordSet",
    "GetGuestInfo": "GuestInfoRead",
    "GetConsoleLog": "ConsoleLogRead",
}


@dataclass(frozen=True, slots=True)
class Done:
    """An action has worked."""

    output: Mapping[str, Any] = field(default_factory=dict)
    """What it has found out: fields of the status, by their names on the wire."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An action was refused or has not worked."""

    reason: str
    message: str


Result = Done | Failed


def begun(action: InstanceAction, steps: Sequence[ActionStep], now: datetime) -> Object:
    """It runs from now on."""
    return _patch(
        action,
        now,
        ("False", "Running", ""),
        phase=ActionPhase.RUNNING.value,
        startTime=timestamp(now),
        steps=_wire(steps),
    )


def waiting(action: InstanceAction, before: InstanceAction, now: datetime) -> Object | None:
    """It waits for another; None if that, or another before, has been said: who it waits for changes often."""
    complete = find(action.status.conditions, COMPLETE)
    if complete is not None and complete.reason == "Waiting":
        return None
    message = f"waits until {before.metadata.name} is done: one action of an Instance after another"
    return _patch(action, now, ("False", "Waiting", message), phase=ActionPhase.PENDING.value)


def progressed(action: InstanceAction, steps: Sequence[ActionStep], percent: int, now: datetime) -> Object | None:
    """So much is done; None if that has been said."""
    if action.status.progress == percent and action.status.steps == list(steps):
        return None
    return _patch(action, now, ("False", "Running", ""), progress=percent, steps=_wire(steps))


def hindered(action: InstanceAction, reason: str, message: str, now: datetime) -> Object | None:
    """Something is in its way, and is tried again; None if that has been said."""
    complete, message = find(action.status.conditions, COMPLETE), _shortened(message)
    if complete is not None and (complete.reason, complete.message) == (reason, message):
        return None
    return _patch(action, now, ("False", reason, message))


def ended(action: InstanceAction, steps: Sequence[ActionStep], result: Result, now: datetime) -> Object:
    """It is done: it worked, or did not. A step that was going on is left without an end where it did not."""
    facts: dict[str, Any] = {"completionTime": timestamp(now)}
    if action.status.start_time is None:
        facts["startTime"] = timestamp(now)
    match result:
        case Done(output=output):
            facts |= {"phase": ActionPhase.SUCCEEDED.value, "steps": _wire(completed(steps, now)), **output}
            if action.status.progress is not None:
                facts["progress"] = 100
            return _patch(action, now, ("True", _DONE[action.spec.type], ""), **facts)
        case Failed(reason=reason, message=message):
            facts |= {"phase": ActionPhase.FAILED.value, "steps": _wire(steps)}
            return _patch(action, now, ("False", reason, _shortened(message)), **facts)


def stepped(steps: Sequence[ActionStep], name: str, now: datetime) -> list[ActionStep]:
    """Steps with a further one that begins now, and those before it ended; unchanged if that is what goes on."""
    if steps and steps[-1].name == name and steps[-1].completion_time is None:
        return list(steps)
    return [*completed(steps, now), ActionStep(name=name, start_time=timestamp(now))]


def completed(steps: Sequence[ActionStep], now: datetime) -> list[ActionStep]:
    """Steps that have all ended, now at the latest."""
    end = {"completion_time": timestamp(now)}
    return [step if step.completion_time is not None else step.model_copy(update=end) for step in steps]


def _patch(action: InstanceAction, now: datetime, said: tuple[Truth, str, str], **facts: Any) -> Object:
    status, reason, message = said
    complete = Condition(
        type=COMPLETE,
        status=status,
        reason=reason,
        message=message,
        observed_generation=action.metadata.generation,
        last_transition_time=timestamp(now),
    )
    conditions = [each.to_wire() for each in merge(action.status.conditions, complete)]
    return {
        "metadata": {"resourceVersion": action.metadata.resource_version},
        "status": {**facts, "conditions": conditions},
    }


def _wire(steps: Sequence[ActionStep]) -> list[dict[str, Any]]:
    return [step.to_wire() for step in steps]


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 3] + "..."
