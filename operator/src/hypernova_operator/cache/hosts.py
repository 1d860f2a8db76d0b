"""Hosts, joined of what Node, Hypervisor, aggregates and the agent's Lease say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import floor

from hypernova_api.overcommit import Ratios, ratios
from hypernova_kube.resources import Key
from hypernova_operator.cache.aggregates import Limits, Memberships, Together
from hypernova_operator.cache.records import HostAggregate, Hypervisor, Node
from hypernova_operator.cache.store import Store
from hypernova_operator.scheduler import NOTHING, Host, Resources


def join(name: str, node: Node | None, hypervisor: Hypervisor | None, alive: bool, said: Together) -> Host | None:
    """The host of that name, or None where there is none: a Node without the label that never had an agent. Pure."""
    labelled = node is not None and node.labelled
    if hypervisor is None:
        return _unregistered(name, node, said) if node is not None and labelled else None
    ratio = said.ratios if hypervisor.overcommit is None else ratios(hypervisor.overcommit, said.overcommits)
    return Host(
        name,
        labelled,
        hypervisor.trouble if alive else "no heartbeat",
        hypervisor.maintenance,
        hypervisor.disabled,
        _given_out(hypervisor.allocatable, ratio),
        labels=node.labels if node else {},
        taints=node.taints if node else (),
        zones=said.zones,
        cpu_models=said.cpu_models,
        aggregates=said.aggregates,
        ratios=ratio,
        architecture=hypervisor.architecture,
        domain_type=hypervisor.domain_type,
        firmware=hypervisor.firmware,
        traits=hypervisor.traits,
        qemu_version=hypervisor.qemu_version,
        dedicated=hypervisor.dedicated,
        cells=hypervisor.cells,
        devices=hypervisor.devices,
        max_instances=said.limits.instances,
        max_builds=said.limits.builds,
        multipliers=said.multipliers,
    )


def _unregistered(name: str, node: Node, said: Together) -> Host:
    return Host(
        name,
        labelled=True,
        trouble="never registered",
        maintenance=False,
        disabled="",
        total=NOTHING,
        labels=node.labels,
        taints=node.taints,
        zones=said.zones,
        cpu_models=said.cpu_models,
        aggregates=said.aggregates,
    )


def _given_out(allocatable: Resources, ratio: Ratios) -> Resources:
    return Resources(
        floor(allocatable.vcpus * ratio.cpu),
        floor(allocatable.memory * ratio.memory),
        floor(allocatable.disk * ratio.disk),
    )


class Hosts:
    """All hosts, kept joined; subscribers are told (name, old, new) of every difference once."""

    def __init__(
        self,
        nodes: Store[Node],
        hypervisors: Store[Hypervisor],
        aggregates: Store[HostAggregate],
        limits: Limits,
    ) -> None:
        self._nodes = nodes
        self._hypervisors = hypervisors
        self._memberships = Memberships(aggregates, nodes, limits)
        self._alive: set[str] = set()
        self._hosts: dict[str, Host] = {}
        self._subscribers: list[Callable[[str, Host | None, Host | None], None]] = []
        nodes.subscribe(self._on_node)
        hypervisors.subscribe(self._on_hypervisor)
        aggregates.subscribe(self._on_aggregate)

    def __len__(self) -> int:
        return len(self._hosts)

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

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

    def _on_node(self, key: Key, _old: Node | None, _new: Node | None) -> None:
        self._memberships.on_node(key.name)
        self._join(key.name)

    def _on_hypervisor(self, key: Key, _old: Hypervisor | None, _new: Hypervisor | None) -> None:
        self._join(key.name)

    def _on_aggregate(self, key: Key, _old: HostAggregate | None, _new: HostAggregate | None) -> None:
        for name in self._memberships.on_aggregate(key.name):
            self._join(name)

    def _join(self, name: str) -> None:
        key = Key("", name)
        old = self._hosts.get(name)
        node, hypervisor = self._nodes.get(key), self._hypervisors.get(key)
        new = join(name, node, hypervisor, name in self._alive, self._memberships.of(name))
        if old == new:
            return
        if new is None:
            del self._hosts[name]
        else:
            self._hosts[name] = new
        for subscriber in self._subscribers:
            subscriber(name, old, new)
