"""What the metadata of a host's aggregates must say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import ge, gt, le, lt

from hypernova_operator.scheduler.combinations import Aggregates
from hypernova_operator.scheduler.filters.base import Filter, Wish, all_of, missing, some
from hypernova_operator.scheduler.request import Request, Requirement
from hypernova_operator.scheduler.table import HostTable, Mask

_NUMBER = re.compile(r"[+-]?[0-9]+([.][0-9]+)?")
"""What is written otherwise (`1e3`, `inf`, `10 GB`) is no number, and so neither less nor more than any."""

_COMPARISONS: dict[str, Callable[[Decimal, Decimal], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class Meet:
    """The aggregates' metadata, all values of all of them together, meet a requirement."""

    requirement: Requirement

    def __call__(self, aggregates: Aggregates) -> bool:
        key = self.requirement.key
        values = frozenset(value for aggregate in aggregates for value in aggregate.metadata.get(key, ()))
        return holds(self.requirement, values)


def holds(requirement: Requirement, values: frozenset[str]) -> bool:
    """Whether a host whose aggregates have these values for the key meets it; as hypernova_api.flavor says."""
    asked = frozenset(requirement.values)
    match requirement.operator:
        case "=" | "In":
            return not asked.isdisjoint(values)
        case "!=" | "NotIn":
            return asked.isdisjoint(values)
        case "AllIn":
            return asked <= values
        case operator if operator in _COMPARISONS:
            compare = _COMPARISONS[operator]
            limits = [Decimal(limit) for limit in asked if _NUMBER.fullmatch(limit)]
            return any(
                compare(Decimal(value), limit) for value in values if _NUMBER.fullmatch(value) for limit in limits
            )
        case _:  # of a version to come: nowhere does less harm than anywhere
            return False


class AggregateRequirements(Filter):
    """The metadata of its aggregates meets all requirements of the flavor."""

    nova = "AggregateInstanceExtraSpecsFilter, aggregate_instance_extra_specs:KEY, AggregateTypeAffinityFilter"
    lasting = True
    in_place = True

    def applies(self, want: Request) -> bool:
        return bool(want.requirements)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return all_of(hosts, self._wishes(hosts, want))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"without the aggregate metadata asked for ({missing(hosts, self._wishes(hosts, want), lost)})"

    def _wishes(self, hosts: HostTable, want: Request) -> list[Wish]:
        return [Wish(_in_words(one), hosts.where_aggregates(Meet(one))) for one in want.requirements]


def _in_words(requirement: Requirement) -> str:
    values = some(requirement.values)
    if len(requirement.values) > 1:
        values = f"({values})"
    return f"{requirement.key} {requirement.operator} {values}"
