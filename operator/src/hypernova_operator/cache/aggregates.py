"""Which aggregates a host is in, and what they say of it together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hypernova_api.overcommit import DEFAULT_RATIOS, Overcommit, Ratios, ratios
from hypernova_kube.resources import Key
from hypernova_operator.cache.records import HostAggregate, Node
from hypernova_operator.cache.store import Store
from hypernova_operator.scheduler import NO_LIMIT, Aggregate


class Limits(NamedTuple):
    """The most Instances on a host, and the most that may be under construction there at once."""

    instances: int = NO_LIMIT
    builds: int = NO_LIMIT


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Together:
    """What the aggregates of a host say of it. Hosts of the same aggregates share it."""

    aggregates: tuple[Aggregate, ...] = ()
    """By name."""
    zones: tuple[str, ...] = ()
    cpu_models: tuple[str, ...] = ()
    overcommits: tuple[Overcommit, ...] = ()
    ratios: Ratios = DEFAULT_RATIOS
    """Those of a host that has none of its own."""
    limits: Limits = NO_LIMITS
    multipliers: Mapping[str, float] = field(default_factory=dict)


def together(aggregates: Iterable[HostAggregate], default: Limits) -> Together:
    """Of several that say something of the same, the smallest holds. Pure."""
    aggregates = sorted(aggregates, key=lambda each: each.key.name)
    overcommits = tuple(each.overcommit for each in aggregates if each.overcommit is not None)
    weights = {name for each in aggregates for name in each.multipliers}
    return Together(
        tuple(each.judged for each in aggregates),
        tuple(sorted({each.zone for each in aggregates if each.zone})),
        tuple(sorted({each.cpu_model for each in aggregates if each.cpu_model})),
        overcommits,
        ratios(None, overcommits),
        Limits(
            min((each.max_instances for each in aggregates if each.max_instances), default=default.instances),
            min((each.max_builds for each in aggregates if each.max_builds), default=default.builds),
        ),
        {name: min(each.multipliers[name] for each in aggregates if name in each.multipliers) for name in weights},
    )


class Memberships:
    """Who is in which aggregate, reckoned anew only for the Nodes and aggregates that change."""

    def __init__(self, aggregates: Store[HostAggregate], nodes: Store[Node], default: Limits) -> None:
        self._aggregates = aggregates
        self._nodes = nodes
        self._default = default
        self._selected: dict[str, set[str]] = {}
        """Names of Nodes, by the aggregate that selects them."""
        self._of: dict[str, frozenset[str]] = {}
        """Names of aggregates, by the Node they select."""
        self._together: dict[frozenset[str], Together] = {}

    def of(self, host: str) -> Together:
        """What is said of a host."""
        names = self._of.get(host, frozenset())
        if names not in self._together:
            records = (self._aggregates.get(Key("", name)) for name in names)
            self._together[names] = together((each for each in records if each is not None), self._default)
        return self._together[names]

    def on_node(self, name: str) -> None:
        """A Node has changed."""
        node = self._nodes.get(Key("", name))
        names = frozenset(each.key.name for each in self._aggregates if _selects(each, name, node))
        for gone in self._of.get(name, frozenset()) - names:
            self._selected[gone].discard(name)
        for new in names:
            self._selected.setdefault(new, set()).add(name)
        self._put(name, names)

    def on_aggregate(self, name: str) -> set[str]:
        """An aggregate has changed; returns the Nodes that are or were in it."""
        aggregate = self._aggregates.get(Key("", name))
        before = self._selected.pop(name, set())
        after: set[str] = set()
        if aggregate is not None:
            after = {node.key.name for node in self._nodes if _selects(aggregate, node.key.name, node)}
            after |= aggregate.nodes
            self._selected[name] = after
        self._together = {names: said for names, said in self._together.items() if name not in names}
        for node_name in before ^ after:
            self._put(node_name, self._of.get(node_name, frozenset()) ^ {name})
        return before | after

    def _put(self, node: str, aggregates: frozenset[str]) -> None:
        if aggregates:
            self._of[node] = aggregates
        else:
            self._of.pop(node, None)


def _selects(aggregate: HostAggregate, name: str, node: Node | None) -> bool:
    if name in aggregate.nodes:
        return True
    return aggregate.selector is not None and node is not None and aggregate.selector.matches(node.labels)
