"""Which namespaces and images aggregates are kept for, as far as it matters to who is placed."""

from __future__ import annotations

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import HostAggregate
from hypernova_operator.cache.store import Store
from hypernova_operator.scheduler import Isolation
from hypernova_operator.scheduler.request import Labels


class Isolations:
    """One for namespaces or for images: what the aggregates say, by the labels of whom they say it of."""

    def __init__(self) -> None:
        self._by_aggregate: dict[str, Isolation] = {}
        self._confined: dict[Labels, frozenset[str] | None] = {}

    def __bool__(self) -> bool:
        """Whether any aggregate is kept for somebody: labels matter at all."""
        return bool(self._by_aggregate)

    def put(self, aggregate: str, isolation: Isolation | None) -> None:
        """What an aggregate says now."""
        if isolation == self._by_aggregate.get(aggregate):
            return
        if isolation is None:
            del self._by_aggregate[aggregate]
        else:
            self._by_aggregate[aggregate] = isolation
        self._confined.clear()

    def confined_to(self, labels: Labels) -> frozenset[str] | None:
        """The aggregates whose hosts alone may be gone to; None: no matter which."""
        if labels not in self._confined:
            by_key = dict(labels)
            names = frozenset(
                name
                for name, isolation in self._by_aggregate.items()
                if isolation.confine and isolation.selector.matches(by_key)
            )
            self._confined[labels] = names or None
        return self._confined[labels]


def follow(aggregates: Store[HostAggregate]) -> tuple[Isolations, Isolations]:
    """Those of namespaces and of images, kept up to date."""
    projects, images = Isolations(), Isolations()

    def on_change(key: Key, _old: HostAggregate | None, new: HostAggregate | None) -> None:
        projects.put(key.name, new.judged.projects if new else None)
        images.put(key.name, new.judged.images if new else None)

    aggregates.subscribe(on_change)
    return projects, images
