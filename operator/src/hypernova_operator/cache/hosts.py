"""Hosts, joined of what Node, Hypervisor and the agent's Lease say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import Hypervisor, Node
from hypernova_operator.cache.store import Store
from hypernova_operator.scheduler import NOTHING, Host


def join(name: str, node: Node | None, hypervisor: Hypervisor | None, alive: bool) -> Host | None:
    """The host of that name, or None where there is none: a Node without the label that never had an agent. Pure."""
    labelled = node is not None and node.labelled
    if hypervisor is None:
        trouble = "never registered"
    elif not alive:
        trouble = "no heartbeat"
    else:
        trouble = hypervisor.trouble
    if hypervisor is None:
        return Host(name, labelled, trouble, maintenance=False, disabled="", total=NOTHING) if labelled else None
    return Host(name, labelled, trouble, hypervisor.maintenance, hypervisor.disabled, hypervisor.total)


class Hosts:
    """All hosts, kept joined; subscribers are told (name, old, new) of every difference once."""

    def __init__(self, nodes: Store[Node], hypervisors: Store[Hypervisor]) -> None:
        self._nodes = nodes
        self._hypervisors = hypervisors
        self._alive: set[str] = set()
        self._hosts: dict[str, Host] = {}
        self._subscribers: list[Callable[[str, Host | None, Host | None], None]] = []
        nodes.subscribe(self._on_change)
        hypervisors.subscribe(self._on_change)

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def get(self, name: str) -> Host | None:
        """The host of that name."""
        return self._hosts.get(name)

    def subscribe(self, subscriber: Callable[[str, Host | None, Host | None], None]) -> None:
        """Have differences told from now on."""
        self._subscribers.append(subscriber)

    def set_alive(self, name: str, alive: bool) -> None:
        """Whether the host's agent has been heard of lately."""
        if alive != (name in self._alive):
            (self._alive.add if alive else self._alive.discard)(name)
            self._join(name)

    def _on_change(self, key: Key, _old: Node | Hypervisor | None, _new: Node | Hypervisor | None) -> None:
        self._join(key.name)

    def _join(self, name: str) -> None:
        key = Key("", name)
        old = self._hosts.get(name)
        new = join(name, self._nodes.get(key), self._hypervisors.get(key), name in self._alive)
        if old == new:
            return
        if new is None:
            del self._hosts[name]
        else:
            self._hosts[name] = new
        for subscriber in self._subscribers:
            subscriber(name, old, new)
