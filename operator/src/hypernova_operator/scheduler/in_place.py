"""Whether an Instance can have another size on the host it is on. The table is as before when the answer is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hypernova_operator.scheduler.claims import NO_ALLOCATION, Allocation
from hypernova_operator.scheduler.filters import FILTERS, Filter
from hypernova_operator.scheduler.fit import Misfit, fit
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.resources import Resources
from hypernova_operator.scheduler.table import HostTable, Mask


def in_place(hosts: HostTable, key: str, want: Request, filters: Sequence[Filter] = FILTERS) -> Allocation | Misfit:
    """What an Instance gets of its host beside amounts for this request; or why it can't have it there.

    All that it holds is given back first, so cells, CPUs and devices are packed anew. Of an amount that does not grow
    nothing is asked: an Instance can always be made smaller, also where more is claimed than there is. The filters are
    those about what a flavor asks for; that a host takes nothing new (disabled, in maintenance, cordoned, in a
    conflict) is no reason, as nothing new comes. (Nova asks all of them again, for it may choose another host.)

    Args:
        hosts: the table. It is written to and put right again: nothing may be awaited meanwhile.
        key: of the claim that the Instance holds.
        want: what it is to have.
        filters: those of the scheduler.
    """
    claim = hosts.claim_of(key)
    row = hosts.row(claim.host) if claim is not None else None
    if claim is None or row is None:
        return Misfit("is no host any more")
    host = hosts.at(row)
    here: Mask = np.zeros(len(hosts), np.bool_)
    here[row] = True
    asked = _growth(want, claim.resources)
    with hosts.without(key):
        reasons = [
            filter_.reason(hosts, asked, here)
            for filter_ in filters
            if filter_.in_place and filter_.applies(asked) and not filter_.mask(hosts, asked)[row]
        ]
        if reasons:
            return Misfit(", ".join(reasons))
        return fit(host, hosts.taken(host.name), want) if want.packed else NO_ALLOCATION


def _growth(want: Request, held: Resources) -> Request:
    """The same request, asking for nothing of an amount that it takes no more of than is held."""
    takes = want.resources
    return replace(
        want,
        vcpus=0 if 0 < takes.vcpus <= held.vcpus else want.vcpus,
        memory=0 if 0 < takes.memory <= held.memory else want.memory,
        disk=0 if takes.disk <= held.disk else want.disk,
    )
