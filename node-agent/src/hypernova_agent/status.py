"""What an Instance's status says, given what came of the last look at it. Pure.

A status is written only when it says something new: the same outcome twice is one write, and none in a steady state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hypernova_agent import names
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Domain, DomainState, Run
from hypernova_agent.observed import ALIVE
from hypernova_agent.outcome import Ended, Failed, Fetching, Outcome, Progress, Saving, Settled, Stopping
from hypernova_agent.plan.power import outcome_of_run
from hypernova_agent.sizes import part, size
from hypernova_api.conditions import Condition, Truth, find, merge, timestamp
from hypernova_api.instance import Instance, Phase

READY = "Ready"
RESTART_REQUIRED = "RestartRequired"
RESIZED = "Resized"

_LONGEST_MESSAGE = 400
"""Characters of what a host says that are shown."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase, and the condition Ready."""

    phase: Phase
    ready: Truth
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a status says beside that; each default says nothing new."""

    settled: Settled | None = None
    launched: bool = False
    """Whether there is a domain."""

    restarts: int = 0
    """How often the guest has been started again since that was told."""

    refused: str = ""
    """Why the host has no room for the resize that has been granted."""

    build: str | None = None
    """The build that the guest has; None: not known."""


NOTHING_ELSE = Facts()


def verdict(desired: Desired, outcome: Outcome, domain: Domain | None) -> Verdict:
    """What to say of an outcome, the domain being as it is."""
    told = _verdict(desired, outcome, domain)
    if desired.deleting:
        return Verdict(Phase.DELETING, "False", told.reason, told.message)
    return told


def _verdict(desired: Desired, outcome: Outcome, domain: Domain | None) -> Verdict:
    there = domain is not None and (domain.state in ALIVE or domain.saved)
    phase = _phase(desired, domain)
    match outcome:
        case Settled():
            return _settled(desired, domain, phase)
        case Fetching(image=image, progress=progress):
            message = f"downloading image {image}{_progress(progress)}"
            if there:
                return Verdict(phase, "True", phase.value, message)
            return Verdict(Phase.BUILDING, "False", "Building", message)
        case Saving():
            return Verdict(phase, "False", "Saving", "the guest's memory is being put on its node's disk")
        case Stopping(plug_at=at):
            message = f"the power button has been pressed; the plug is pulled at {_time(at)} if the guest still runs"
            return Verdict(phase, "False", "Rebooting" if desired.on else "Stopping", message)
        case Ended(start_at=at, times=times):
            often = f" for the {_ordinal(times)} time in a row" if times > 1 else ""
            message = f"the guest ended by itself{often}; it is started again at {_time(at)}"
            return Verdict(Phase.STOPPED, "False", "CrashLoopBackOff" if times > 1 else "GuestStopped", message)
        case Failed(reason=reason, message=message, retry_at=retry_at):
            again = f"; next try at {_time(retry_at)}" if retry_at is not None else ""
            return Verdict(phase if there else Phase.FAILED, "False", reason, _shortened(message) + again)


def _phase(desired: Desired, domain: Domain | None) -> Phase:
    """What the domain is in."""
    if domain is None:
        return Phase.BUILDING
    if domain.state is DomainState.PAUSED or (domain.state is DomainState.STALLED and desired.power_state == "Paused"):
        return Phase.PAUSED  # whatever its CPUs stand still for, they do as asked; when it is to run, the disk is tried
    if domain.state in ALIVE:
        return Phase.RESCUED if _is_rescued(desired, domain) else Phase.RUNNING
    return Phase.SUSPENDED if domain.saved else Phase.STOPPED


def _is_rescued(desired: Desired, domain: Domain) -> bool:
    rescue = desired.guest.rescue if isinstance(desired.guest, Guest) else None
    if rescue is None or domain.running is None:
        return False
    return names.rescue_disk(desired.owner.uid, rescue.action) in domain.running.volumes


def _settled(desired: Desired, domain: Domain | None, phase: Phase) -> Verdict:
    if domain is not None and domain.state is DomainState.STALLED and phase is not Phase.PAUSED:
        message = (
            "the guest stands still, as its disk gives errors: the node's pool is full, read-only or broken; cure "
            "that, and the guest goes on by itself within a minute"
        )
        return Verdict(phase, "False", "DiskError", message)
    if domain is None or phase is not Phase.STOPPED:
        return Verdict(phase, "True", phase.value)
    if desired.power_state == "Suspended":
        message = "the guest was off already, so there was no memory to put on disk"
        return Verdict(phase, "True", "NothingToSuspend", message)
    if not desired.on:
        return Verdict(phase, "True", phase.value)
    how, reason = ("failed", "Failed") if outcome_of_run(domain) is Run.FAILED else ("powered itself off", "Completed")
    message = (
        f"the guest {how}, and restartPolicy {desired.restart_policy} leaves it so: set powerState to Stopped and back "
        "to start it again"
    )
    return Verdict(phase, "False", reason, message)


def status_patch(
    instance: Instance, told: Verdict, now: datetime, facts: Facts = NOTHING_ELSE
) -> dict[str, Any] | None:
    """The merge patch that makes the status say it; None if it does. Conditional on what was read."""
    status, generation = instance.status, instance.metadata.generation
    conditions = _Conditions(instance, now, list(status.conditions))
    conditions.say(READY, told.ready, told.reason, told.message)
    patch: dict[str, Any] = {}
    if facts.launched and status.launched_at is None:
        patch["launchedAt"] = timestamp(now)
    if facts.build is not None and facts.build != (status.build or ""):
        patch["build"] = facts.build or None
    if facts.restarts:
        patch["restartCount"] = status.restart_count + facts.restarts
    if facts.refused:
        conditions.say(RESIZED, "False", "OutOfResources", facts.refused)
    if facts.settled is not None:
        patch |= _settling(instance, facts.settled, conditions, refused=bool(facts.refused))
    if (status.phase, status.observed_generation) != (told.phase, generation) or conditions.changed:
        patch["phase"] = told.phase.value
    if not patch:
        return None
    patch["observedGeneration"] = generation
    patch["phase"] = told.phase.value
    patch["conditions"] = [each.to_wire() for each in conditions.all]
    return {"metadata": {"resourceVersion": instance.metadata.resource_version}, "status": patch}


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes one object the other. Pure."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := merge_patch(old, value):
                patch[key] = inner
        elif key not in before or old != value:
            patch[key] = value
    return patch


def _settling(instance: Instance, settled: Settled, conditions: _Conditions, *, refused: bool) -> dict[str, Any]:
    """What a status says of changes that the guest has taken, or has yet to be started anew for."""
    status, patch, lack = instance.status, dict[str, Any](), settled.lack
    if lack is not None:
        message = f"with its next start the guest gets {' and '.join(lack.parts)}: reboot the Instance when it suits"
        conditions.say(RESTART_REQUIRED, "True", lack.reason, message)
    elif find(status.conditions, RESTART_REQUIRED) is not None:
        conditions.say(RESTART_REQUIRED, "False", "UpToDate", "")
    if status.resize is not None and settled.in_force and not refused:
        wire = status.to_wire()
        granted = wire["resize"]
        patch["flavor"] = merge_patch(wire.get("flavor", {}), granted["flavor"])
        patch["allocation"] = _replaced(wire.get("allocation"), granted.get("allocation"))
        patch["resize"] = None
        conditions.drop(RESIZED)
    asked = len(instance.spec.networks) if instance.spec.networks is not None else 1
    if settled.cards and len(status.addresses) > asked:
        patch["addresses"] = [address.to_wire() for address in status.addresses[:asked]]
    return patch


def _replaced(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    return after if before is None or after is None else merge_patch(before, after)


@dataclass(slots=True)
class _Conditions:
    """Those of an Instance, as they are to be."""

    instance: Instance
    now: datetime
    all: list[Condition]
    changed: bool = False
    """Whether they say anything new."""

    def say(self, type_: str, truth: Truth, reason: str, message: str) -> None:
        before = find(self.all, type_)
        self.changed |= before is None or (before.status, before.reason, before.message) != (truth, reason, message)
        condition = Condition(
            type=type_,
            status=truth,
            reason=reason,
            message=message,
            observed_generation=self.instance.metadata.generation,
            last_transition_time=timestamp(self.now),
        )
        self.all = merge(self.all, condition)

    def drop(self, type_: str) -> None:
        kept = [each for each in self.all if each.type != type_]
        self.changed |= len(kept) != len(self.all)
        self.all = kept


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
