"""The status of a ComputeQuota. Pure."""

from __future__ import annotations

from datetime import datetime

from hypernova_api.quantity import Quantity
from hypernova_api.quota import ComputeQuotaStatus, QuotaUse, UserUse
from hypernova_operator.cache.records import Amount, ComputeQuota
from hypernova_operator.controllers.observed import Observed, only
from hypernova_operator.controllers.quotas import Tally, over

MOST_USERS = 100
"""Users that a status takes."""


def status(quota: ComputeQuota, tally: Tally, now: datetime) -> ComputeQuotaStatus:
    """What is used of a quota."""
    users = sorted(tally.users.items(), key=lambda item: (*(-amount for amount in item[1]), item[0]))
    told = [(user, amount) for user, amount in users if user] if quota.per_user is not None else []
    return ComputeQuotaStatus(
        observed_generation=quota.generation,
        used=_use(tally.total),
        users=[UserUse(user=user, used=_use(amount)) for user, amount in told[:MOST_USERS]],
        conditions=only(quota.status.conditions, quota.generation, now, _exceeded(quota, tally)),
    )


def _exceeded(quota: ComputeQuota, tally: Tally) -> Observed:
    much = over(quota.hard, tally.total)
    if quota.per_user is not None:
        for user, amount in sorted(tally.users.items()):
            much += [f"by {user or 'somebody unknown'} {words}" for words in over(quota.per_user, amount)]
    if not much:
        return Observed("Exceeded", "False", "Within", "")
    told = ", ".join(much[:3]) + (f" and {len(much) - 3} more" if len(much) > 3 else "")
    return Observed("Exceeded", "True", "OverLimit", f"{told}: nothing is taken away, and nothing new is given")


def _use(amount: Amount) -> QuotaUse:
    return QuotaUse(
        instances=amount.instances,
        vcpus=amount.vcpus,
        memory=Quantity.of_bytes(amount.memory),
        disk=Quantity.of_bytes(amount.disk),
    )
