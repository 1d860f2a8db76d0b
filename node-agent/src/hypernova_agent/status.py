"""What an Instance's status says, given what came of the last look at it. Pure.

A status is written only when it says something new: the same outcome twice is one write, and none in a steady state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypernova_agent.desired import Desired
from hypernova_agent.host import DomainState
from hypernova_agent.images.store import Progress
from hypernova_agent.sizes import part, size
from hypernova_api.conditions import Condition, Truth, find, merge, timestamp
from hypernova_api.instance import Instance, Phase

READY = "Ready"
_LONGEST_MESSAGE = 400
"""Characters of what a host says that are shown."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What should be, is, as far as the agent can bring it about."""

    domain: DomainState | None


@dataclass(frozen=True, slots=True)
class Fetching:
    """The image is on its way."""

    image: str
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The power button has been pressed; the plug is pulled at a time."""

    plug_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """The guest ended by itself, for the `times`-th time in a row, and is started again at a time."""

    start_at: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Something is in the way. `retry_at` None: it is tried again when what is in the way has changed."""

    reason: str
    message: str
    retry_at: datetime | None


Outcome = Settled | Fetching | Stopping | Ended | Failed


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase, and the condition Ready."""

    phase: Phase
    ready: Truth
    reason: str
    message: str = ""


def verdict(desired: Desired, outcome: Outcome) -> Verdict:
    """What to say of an outcome."""
    told = _verdict(desired, outcome)
    if desired.deleting:
        return Verdict(Phase.DELETING, "False", told.reason, told.message)
    return told


def _verdict(desired: Desired, outcome: Outcome) -> Verdict:
    match outcome:
        case Settled(domain=DomainState.PAUSED):
            message = "the guest is paused on its host, by hand or because the pool is full: resume it there"
            return Verdict(Phase.RUNNING, "False", "GuestPaused", message)
        case Settled():
            phase = Phase.RUNNING if desired.power_state == "Running" else Phase.STOPPED
            return Verdict(phase, "True", phase.value)
        case Fetching(image=image, progress=progress):
            return Verdict(Phase.BUILDING, "False", "Building", f"downloading image {image}{_progress(progress)}")
        case Stopping(plug_at=at):
            message = f"the power button has been pressed; the plug is pulled at {_time(at)} if the guest still runs"
            return Verdict(Phase.RUNNING, "False", "Stopping", message)
        case Ended(start_at=at, times=times):
            often = f" for the {_ordinal(times)} time in a row" if times > 1 else ""
            message = f"the guest ended by itself{often}; it is started again at {_time(at)}"
            return Verdict(Phase.STOPPED, "False", "GuestStopped", message)
        case Failed(reason=reason, message=message, retry_at=retry_at):
            again = f"; next try at {_time(retry_at)}" if retry_at is not None else ""
            return Verdict(Phase.FAILED, "False", reason, _shortened(message) + again)


def status_patch(instance: Instance, told: Verdict, now: datetime) -> dict[str, Any] | None:
    """The merge patch that makes the status say it; None if it does. Conditional on what was read."""
    status, generation = instance.status, instance.metadata.generation
    ready = find(status.conditions, READY)
    if (
        ready is not None
        and (status.phase, status.observed_generation) == (told.phase, generation)
        and (ready.status, ready.reason, ready.message) == (told.ready, told.reason, told.message)
    ):
        return None
    condition = Condition(
        type=READY,
        status=told.ready,
        reason=told.reason,
        message=told.message,
        observed_generation=generation,
        last_transition_time=timestamp(now),
    )
    return {
        "metadata": {"resourceVersion": instance.metadata.resource_version},
        "status": {
            "phase": told.phase.value,
            "observedGeneration": generation,
            "conditions": [each.to_wire() for each in merge(status.conditions, condition)],
        },
    }


def _progress(progress: Progress | None) -> str:
    if progress is None:
        return ""
    if not progress.total:
        return f": {size(progress.received)} so far"
    percent = round(100 * progress.received / progress.total)
    return f": {percent} %, {part(progress.received, progress.total)}"


def _time(when: datetime) -> str:
    return when.strftime("%H:%M:%SZ")


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 3] + "..."
