"""What an agent reports that can't be true is said on its Hypervisor, once."""

from __future__ import annotations

from typing import Any

from hypernova_kube.resources import Object
from hypernova_operator.cache import Cache
from hypernova_operator.controllers.nonsense import Nonsense
from support.builders import a_cell, a_hypervisor, a_hypervisor_status
from support.caches import sees


class Events:
    def __init__(self) -> None:
        self.warnings: list[tuple[str, str, str]] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        self.warnings.append((involved["metadata"]["name"], reason, message))


def reporting(*cells: Object, **spec: Any) -> Object:
    return a_hypervisor(status=a_hypervisor_status(cells=list(cells)), **spec)


TOLD = (
    "node-a",
    "ImpossibleFacts",
    "no Instance is placed here: its agent reports impossible facts (a NUMA cell twice)",
)


def test_it_is_told_when_it_begins_and_when_somebody_new_leads() -> None:
    cache, leads = Cache(), True
    events: Any = Events()
    nonsense = Nonsense(cache, events, lambda: leads)
    sees(cache, reporting(a_cell(0)))
    assert events.warnings == []
    sees(cache, reporting(a_cell(0), a_cell(0)))
    sees(cache, reporting(a_cell(0), a_cell(0), maintenance=True))
    assert events.warnings == [TOLD]
    sees(cache, reporting(a_cell(0)))
    leads = False
    sees(cache, reporting(a_cell(0), a_cell(0)))
    assert events.warnings == [TOLD], "that is the leader's"
    leads = True
    nonsense.tell_all()
    assert events.warnings == [TOLD, TOLD]
