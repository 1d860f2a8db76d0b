"""Hosts whose agents report what can't be true: said on the Hypervisor, whose status is the agent's, by an Event."""

from __future__ import annotations

from collections.abc import Callable

from hypernova_kube.events import EventRecorder
from hypernova_kube.resources import Key
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Hypervisor
from hypernova_operator.controllers.involved import involved


class Nonsense:
    """Tells of each such report once, as the leader."""

    def __init__(self, cache: Cache, recorder: EventRecorder, is_leader: Callable[[], bool]) -> None:
        self._hypervisors = cache.hypervisors
        self._recorder = recorder
        self._is_leader = is_leader
        cache.hypervisors.store.subscribe(self._on_hypervisor)

    def tell_all(self) -> None:
        """Tell of all there are: we have come to lead."""
        for hypervisor in self._hypervisors.store:
            self._on_hypervisor(hypervisor.key, None, hypervisor)

    def _on_hypervisor(self, _key: Key, old: Hypervisor | None, new: Hypervisor | None) -> None:
        if new is None or new.sane or not self._is_leader() or (old is not None and old.trouble == new.trouble):
            return
        message = f"no Instance is placed here: its agent {new.trouble}"
        self._recorder.warning(involved(self._hypervisors.resource, new), "ImpossibleFacts", message)
