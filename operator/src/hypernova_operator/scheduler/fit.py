"""Packing one Instance into the cells and devices of one host. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_operator.scheduler.claims import Allocation, Taken
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.request import Request


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why amounts that suffice on the whole host can't be had together."""

    reason: str
    """What follows the number of such hosts in the sentence: `can't fit 2 NUMA cells of 4 dedicated CPUs and 4Gi`."""


def fit(host: Host, taken: Taken, want: Request) -> Allocation | Misfit:
    """What the Instance gets of the host's cells, CPUs, huge pages and devices."""
    raise NotImplementedError
