"""Hosts that their aggregates contradict each other about."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class NoConflict(Filter):
    """In one zone, or in none, and with one CPU model, or none.

    One that aggregates put into two zones, or give two models, takes nothing until one of them lets it go.
    """

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.settled

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        confused = [hosts.at(int(row)) for row in np.flatnonzero(lost)]
        zones = {host.name: host.zones for host in confused if len(host.zones) > 1}
        models = {host.name: host.cpu_models for host in confused if len(host.cpu_models) > 1}
        words = [f"in {_several(zones, 'zones')}"] if zones else []
        if models:
            words.append(f"with {_several(models, 'CPU models')}")
        return " or ".join(words)


def _several(said: Mapping[str, tuple[str, ...]], what: str) -> str:
    number = "two" if all(len(names) == 2 for names in said.values()) else "several"
    where = some((f"{host}: {', '.join(names)}" for host, names in said.items()), between="; ")
    return f"{number} {what} at once ({where})"
