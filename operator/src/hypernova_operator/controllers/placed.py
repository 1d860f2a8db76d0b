"""Which Instances are where, by node and by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import Instance
from hypernova_operator.cache.store import Store

K = TypeVar("K")
V = TypeVar("V")

_NOBODY: Mapping[Key, str] = MappingProxyType({})


class Placed:
    """Instances that have a node, as they say themselves."""

    def __init__(self, instances: Store[Instance]) -> None:
        self._by_node: dict[str, dict[Key, None]] = {}
        self._by_group: dict[Key, dict[Key, str]] = {}
        instances.subscribe(self._on_instance)

    def nodes(self) -> Iterable[str]:
        """The nodes that have any. Not to be kept."""
        return self._by_node.keys()

    def on_node(self, node: str) -> list[Key]:
        """Those on a node."""
        return list(self._by_node.get(node, ()))

    def in_group(self, group: Key) -> Mapping[Key, str]:
        """The members of a group, and the node of each. Not to be kept."""
        return self._by_group.get(group, _NOBODY)

    def _on_instance(self, key: Key, old: Instance | None, new: Instance | None) -> None:
        if old is not None and old.node:
            _drop(self._by_node, old.node, key)
            if old.group:
                _drop(self._by_group, old.group, key)
        if new is not None and new.node:
            self._by_node.setdefault(new.node, {})[key] = None
            if new.group:
                self._by_group.setdefault(new.group, {})[key] = new.node


def _drop(index: dict[K, dict[Key, V]], name: K, key: Key) -> None:
    del index[name][key]
    if not index[name]:
        del index[name]
