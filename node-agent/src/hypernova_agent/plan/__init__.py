"""The decision: what takes one Instance from what is to what should be.

Any prefix of a plan may already have happened: every step is safe to repeat, and planning again after a crash at any
line gives the rest. A plan ends early where only the guest or time can bring it further (`Wait`), or where a new look
tells more than could be foreseen: whoever follows it looks again after each, until there is nothing left to do.
"""

from __future__ import annotations

from hypernova_agent.desired import Desired, Guest
from hypernova_agent.observed import Observed
from hypernova_agent.plan import power
from hypernova_agent.plan.build import build, images, reservations
from hypernova_agent.plan.changes import changes
from hypernova_agent.plan.power import boots_anew
from hypernova_agent.plan.teardown import teardown
from hypernova_agent.steps import DiscardSaved, StartDomain, Step, Wait

__all__ = ["plan"]


def plan(desired: Desired, observed: Observed) -> list[Step]:
    """The steps that take one Instance from what is to what should be. Pure; empty when they agree.

    A guest is only ever stopped because the Instance, or an action of it, says so.

    Raises:
        InstanceFault: nothing can be done, and why.
    """
    if desired.deleting:
        return teardown(desired, observed)
    guest, domain = desired.guest, observed.domain
    if not isinstance(guest, Guest):
        if domain is None:
            raise guest
        return _power(desired, observed)
    if domain is None or not (observed.alive or observed.saved):
        then = _power(desired, observed)
        starts = any(isinstance(step, StartDomain) for step in then)
        return [*build(desired, guest, observed, starts=starts), *then]
    if boots_anew(desired, observed):
        # While an image comes, the guest goes on.
        return [*images(desired, guest, observed), *_end(desired, observed)]
    return _waits_last([*reservations(guest, observed), *changes(desired, guest, observed), *_power(desired, observed)])


def _power(desired: Desired, observed: Observed) -> list[Step]:
    if observed.domain is not None and observed.alive:
        return power.alive(desired, observed, observed.domain)
    return power.saved(desired) if observed.saved else power.off(desired, observed)


def _end(desired: Desired, observed: Observed) -> list[Step]:
    """What takes a guest off that is to be powered on anew."""
    if not observed.alive:
        return [DiscardSaved(desired.owner.uid)]
    grace = desired.ask.grace
    return power.stop(desired, observed, desired.grace if grace is None else grace)


def _waits_last(steps: list[Step]) -> list[Step]:
    """One wait at most, the shortest, and nothing after it."""
    waits = [step for step in steps if isinstance(step, Wait)]
    soonest = min(waits, key=lambda wait: wait.until, default=None)
    others: list[Step] = [step for step in steps if not isinstance(step, Wait)]
    return others if soonest is None else [*others, soonest]
