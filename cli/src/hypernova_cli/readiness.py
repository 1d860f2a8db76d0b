"""Whether an Instance is as its spec has it, and why not. Pure."""

from __future__ import annotations

from hypernova_api.conditions import find
from hypernova_api.instance import Instance, Phase
from hypernova_cli.tables import printable

READY, SCHEDULED = "Ready", "Scheduled"
_LEFT_OFF = {"Completed", "Failed"}
"""Reasons of Ready, of a guest that has ended by itself and that its restartPolicy leaves so."""


def is_settled(instance: Instance, generation: int) -> bool:
    """Whether the guest does what the spec of that generation says. Pure."""
    ready = find(instance.status.conditions, READY)
    seen = instance.status.observed_generation or 0
    return ready is not None and ready.status == "True" and min(seen, ready.observed_generation or seen) >= generation


def is_left_off(instance: Instance) -> bool:
    """Whether the guest should run, has ended by itself and is left so. Pure."""
    status, ready = instance.status, find(instance.status.conditions, READY)
    seen = status.observed_generation == instance.metadata.generation
    ended = status.phase is Phase.STOPPED and instance.spec.power_state == "Running"
    return seen and ended and ready is not None and ready.status == "False" and ready.reason in _LEFT_OFF


def state(instance: Instance) -> str:
    """Phase, and why it is no other: `Stopped: the guest was off already`. Pure."""
    phase = instance.status.phase.value if instance.status.phase else Phase.PENDING.value
    why = reason(instance)
    return f"{phase}: {why}" if why else phase


def reason(instance: Instance) -> str:
    """Why an Instance is not as it should be, or what goes on, in words; empty if all is well. Pure."""
    ready, scheduled = (find(instance.status.conditions, type_) for type_ in (READY, SCHEDULED))
    if ready is not None and ready.message:
        return printable(ready.message)
    # Once it has a node, that is all the other one says.
    return printable(scheduled.message) if scheduled is not None and scheduled.status != "True" else ""
