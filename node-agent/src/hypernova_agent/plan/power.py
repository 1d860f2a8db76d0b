"""The power of a guest: on, off, standing still, put on disk. A guest that has ended by itself, and what follows."""

from __future__ import annotations

from hypernova_agent.desired import Desired
from hypernova_agent.host import Domain, DomainState, Run
from hypernova_agent.observed import Observed
from hypernova_agent.steps import (
    AwaitChange,
    AwaitOff,
    AwaitStart,
    DestroyDomain,
    DiscardSaved,
    MarkRun,
    PauseDomain,
    ResumeDomain,
    SaveDomain,
    ShutdownDomain,
    StartDomain,
    Step,
)

PRESS_AGAIN = 10.0
"""Seconds between presses of the power button: a guest that was still booting has missed the first. (Nova's too.)"""

_STILL = frozenset({DomainState.PAUSED, DomainState.STALLED})


def boots_anew(desired: Desired, observed: Observed) -> bool:
    """Whether an action wants a power-on that the guest has not had."""
    if not desired.ask.boot or observed.domain is None:
        return False
    had = observed.domain.running if observed.alive else observed.domain.defined
    return had is not None and had.boot != desired.ask.boot


def outcome_of_run(domain: Domain) -> Run:
    """How the run of a guest that is off went, if anybody took note that it began."""
    if domain.run is not Run.BEGUN or domain.saved:
        return domain.run
    return Run.COMPLETED if domain.state is DomainState.SHUT_OFF else Run.FAILED


def is_over(desired: Desired, domain: Domain) -> bool:
    """Whether a guest that is off has ended by itself, and is to stay so."""
    run = outcome_of_run(domain)
    match desired.restart_policy:
        case "Always":
            return False
        case "OnFailure":
            return run is Run.COMPLETED
        case "Never":
            return run in (Run.COMPLETED, Run.FAILED)


def alive(desired: Desired, observed: Observed, domain: Domain) -> list[Step]:
    """What a guest whose memory and devices exist is to do."""
    uid, state = desired.owner.uid, domain.state
    match desired.power_state:
        case "Stopped":
            return stop(desired, observed, desired.grace)
        case "Suspended":
            return [SaveDomain(uid)] if state is not DomainState.SHUTTING_DOWN else []
        case "Paused":
            return [*_begun(desired, observed, domain), *([PauseDomain(uid)] if state is DomainState.RUNNING else [])]
        case "Running":
            return [*_begun(desired, observed, domain), *_resumed(observed, domain)]


def saved(desired: Desired) -> list[Step]:
    """What becomes of a guest whose memory is on disk. To shut down, it must run."""
    uid = desired.owner.uid
    match desired.power_state:
        case "Suspended":
            return []
        case "Stopped" if desired.grace == 0:
            return [DiscardSaved(uid)]
        case power_state:
            return [StartDomain(uid, paused=power_state == "Paused")]


def off(desired: Desired, observed: Observed) -> list[Step]:
    """Whether a guest that is off, or not there yet, is started."""
    uid, domain = desired.owner.uid, observed.domain
    marked = domain.run if domain is not None else Run.NONE
    if not desired.on:
        # So that it runs again when it should.
        return [MarkRun(uid, Run.NONE)] if desired.power_state == "Stopped" and marked is not Run.NONE else []
    steps: list[Step] = []
    counts = desired.restart_policy != "Always"
    if domain is not None and not boots_anew(desired, observed):
        run = outcome_of_run(domain)
        if counts and run is not marked:
            steps.append(MarkRun(uid, run))  # the host may forget how it ended
        if is_over(desired, domain):
            return steps
        if observed.start_after is not None and observed.now < observed.start_after:
            return [*steps, AwaitStart(observed.start_after)]
    steps.append(StartDomain(uid, paused=desired.power_state == "Paused"))
    return [*steps, MarkRun(uid, Run.BEGUN)] if counts else steps


def stop(desired: Desired, observed: Observed, grace: float) -> list[Step]:
    """The power button first, again every now and then, and the plug when the guest's grace is over."""
    domain = observed.domain
    if domain is None or not observed.alive:
        return []
    uid, now, stopping = desired.owner.uid, observed.now, observed.stopping
    # It ends because we want it to: nobody is to think later that its run was over.
    steps: list[Step] = [MarkRun(uid, Run.NONE)] if domain.run is not Run.NONE and not desired.deleting else []
    plug_at = (stopping.since if stopping is not None else now) + grace
    if now >= plug_at:
        return [*steps, DestroyDomain(uid)]
    again = stopping.pressed + PRESS_AGAIN if stopping is not None else now
    if now < again:
        return [*steps, AwaitOff(min(again, plug_at), plug_at)]
    if domain.state in _STILL:
        steps.append(ResumeDomain(uid))
    return [*steps, ShutdownDomain(uid), AwaitOff(min(now + PRESS_AGAIN, plug_at), plug_at)]


def _resumed(observed: Observed, domain: Domain) -> list[Step]:
    if domain.state is DomainState.STALLED and observed.start_after is not None and observed.now < observed.start_after:
        return [AwaitStart(observed.start_after)]
    return [ResumeDomain(domain.owner.uid)] if domain.state in _STILL else []


def _begun(desired: Desired, observed: Observed, domain: Domain) -> list[Step]:
    """The mark that tells, when the guest is off, that it has run."""
    if desired.restart_policy == "Always" or domain.run is Run.BEGUN:
        return []
    if observed.now < observed.excused_until:
        return [AwaitChange(observed.excused_until)]
    return [MarkRun(domain.owner.uid, Run.BEGUN)]
