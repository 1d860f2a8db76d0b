"""What takes all of an Instance from the host, and then lets the API server forget it."""

from __future__ import annotations

from hypernova_agent.desired import Desired
from hypernova_agent.observed import Observed
from hypernova_agent.plan.power import stop
from hypernova_agent.steps import (
    AwaitOff,
    DeleteVolume,
    DiscardSaved,
    ReleaseReservation,
    RemoveFinalizer,
    Step,
    UndefineDomain,
)


def teardown(desired: Desired, observed: Observed) -> list[Step]:
    """Addresses as long as the domain knows of them, the domain, then volumes, of which the host can make no more.

    So whatever is left of an Instance whose object is taken away meanwhile can be found and told by its UID. Nothing is
    touched without our finalizer.
    """
    if not desired.finalizer:
        return []
    owner, domain = desired.owner, observed.domain
    free = [ReleaseReservation(mac) for mac in sorted(each.mac for each in observed.reservations)]
    if domain is not None:
        steps = stop(desired, observed, desired.grace)
        if steps and isinstance(steps[-1], AwaitOff):
            return steps
        if domain.saved:
            steps.append(DiscardSaved(owner.uid))
        return [*steps, *free, UndefineDomain(owner.uid)]
    return [
        *(DeleteVolume(name) for name in sorted(observed.volumes)),
        *free,
        RemoveFinalizer(desired.uid, owner.namespace, owner.name),
    ]
