"""Binding: every Instance gets a host, in one write, or is told why it must wait."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_api.network import DEFAULT_NETWORK
from hypernova_kube.errors import ApiError
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key
from hypernova_operator.addresses import NoAddressFree
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Instance
from hypernova_operator.controllers import patches
from hypernova_operator.controllers.involved import involved
from hypernova_operator.controllers.ledger import Ledger, charge_of
from hypernova_operator.controllers.patches import Decision
from hypernova_operator.controllers.resolve import Unmet, named, resolve
from hypernova_operator.controllers.waiting import Address, Waiting
from hypernova_operator.controllers.writes import INSTANCES, InstanceWrites
from hypernova_operator.metrics import Metrics
from hypernova_operator.scheduler import DEFAULT_POLICY, Policy, Refusal, decide, explain

log = get_logger(__name__)

NO_HOST_FITS = "NoHostFits"

LOOK_AGAIN_SECONDS = 300.0
"""How often an Instance that waits is looked at though nothing woke it: those behind the first of a line are told new
numbers only then."""

RETELL_SECONDS = 5.0
"""How often at most a message is written anew when only its numbers have changed."""

LISTEN_SECONDS = 2.0
"""How long until an Instance is looked at again that no host fits as far as is known, when agents are still unheard."""

_TRIES = 10
_RETRY_SECONDS = 0.1


class Binder:
    """Reconciles Instances that are not bound. Once they are, they are their node's."""

    def __init__(
        self,
        cache: Cache,
        ledger: Ledger,
        waiting: Waiting,
        writes: InstanceWrites,
        recorder: EventRecorder,
        metrics: Metrics,
        wake: Callable[[Key], None],
        *,
        is_sure: Callable[[], bool],
        policy: Policy = DEFAULT_POLICY,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
    ) -> None:
        self._cache = cache
        self._ledger = ledger
        self._waiting = waiting
        self._writes = writes
        self._recorder = recorder
        self._metrics = metrics
        self._wake = wake
        self._is_sure = is_sure
        """Whether it is known of each agent that it lives or not; a leader that has just begun has heard none yet."""
        self._policy = policy
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng or random.SystemRandom()
        self._told_at: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> float | None:
        """One Instance, by what is known of it now; for a work queue.

        Returns:
            Seconds after which to look again, while it waits.

        Raises:
            KubeError, TimeoutError: try again later. What was claimed stays claimed until it is known what happened.
        """
        for _ in range(_TRIES):
            if self._writes.is_unsure(key):
                await self._writes.read(key)
            instance = self._cache.instance(key)
            if instance is None or instance.node:
                self._leave(key)
                return None
            if not self._writes.allowed():
                return None
            # It is certain here that it is not bound: a claim can only be from a bind that came to nothing.
            self._ledger.release(instance.uid)
            if instance.deleting:
                self._leave(key)
                if not instance.protected or await self._writes.write(key, patches.released(instance)):
                    return None
            elif not instance.protected:
                await self._writes.write(key, patches.protected(instance))
            elif isinstance(decision := self._decide(instance), Unmet):
                again = await self._refuse(instance, decision)
                if again is not None:
                    return again
            elif await self._bind(instance, decision):
                return None
        return _RETRY_SECONDS  # somebody else keeps writing it; others in the queue must not starve

    def _decide(self, instance: Instance) -> Decision | Unmet:
        """Decide and claim. Nothing is awaited here: no other decision can come between."""
        if instance.adopt:
            uid, _, node = instance.adopt.partition("@")
            message = (
                f"it was made anew for domain {uid} on node {node}, and is bound when that is adopted; if it is not, "
                "delete the Instance"
            )
            return Unmet("AwaitingAdoption", message, frozenset())
        if has := self._ledger.orphans.get(instance.uid):
            # As after the API server's store was put back to a copy from before it was bound.
            message = (
                f"node {has} has its domain or disks already, and no other may get a second: annotate Hypervisor {has} "
                f"with {ORPHAN_ANNOTATION}{instance.uid}: adopt binds the Instance there, remove deletes what is there"
            )
            return Unmet("DomainExists", message, frozenset())
        started = self._clock()
        table = self._ledger.table
        resolved = resolve(instance, self._cache, self._ledger.host_of)
        if isinstance(resolved, Unmet):
            return resolved
        want = resolved.want
        if unmet := self._ledger.quotas.exceeded(charge_of(instance, want)):
            return unmet
        placement = decide(table, want, self._policy, self._rng)
        took = self._clock() - started
        self._metrics.decision_seconds.observe(took)
        if isinstance(placement, Refusal):
            for verdict in placement.verdicts:
                self._metrics.filtered_hosts.labels(verdict.filter).inc(verdict.hosts)
            return Unmet(NO_HOST_FITS, explain(placement), frozenset({want, *named(instance)}))
        try:
            assignments = self._ledger.assume(instance, placement, want)
        except NoAddressFree:
            message = f"all addresses of network {DEFAULT_NETWORK} are taken; once one is free, this goes on by itself"
            return Unmet("NoAddressFree", message, frozenset({Address(DEFAULT_NETWORK)}))
        self._leave(instance.key)
        return Decision(resolved, placement, self._cache.hosts[placement.host], assignments, took)

    async def _bind(self, instance: Instance, decision: Decision) -> bool:
        """Write the decision; whether it holds."""
        key, host = instance.key, decision.host.name
        patch = patches.bound(instance, decision, self._wall_clock())
        try:
            written = await self._writes.write(key, patch, "status")
        except ApiError as error:
            message = f"not bound to node {host}, tried again in a while: {error}"
            self._recorder.warning(involved(INSTANCES, instance), "BindFailed", message)
            raise
        if written:
            self._metrics.binds.inc()
            address = str(decision.assignments[0].ip)
            log.info("bound", instance=key, node=host, address=address, took_ms=decision.took * 1000)
        return written

    async def _refuse(self, instance: Instance, why: Unmet) -> float | None:
        """Tell why it waits, where that is news. Returns when to look again; None: now, it is not as we thought."""
        key, now = instance.key, self._clock()
        for other in self._waiting.wait(key, why.needs):
            self._wake(other)
        if why.reason == NO_HOST_FITS and not self._is_sure():
            return LISTEN_SECONDS
        again = LOOK_AGAIN_SECONDS * self._rng.uniform(0.5, 1.0)
        before = patches.told(instance)
        if before is not None and before.reason == why.reason:
            if before.message == why.message:
                return again
            too_soon = self._told_at.get(key, now - RETELL_SECONDS) + RETELL_SECONDS - now
            if too_soon > 0:
                return too_soon
        if not await self._writes.write(key, patches.refused(instance, why, self._wall_clock()), "status"):
            return None
        self._told_at[key] = now
        self._metrics.refusals.labels(why.reason).inc()
        self._recorder.warning(involved(INSTANCES, instance), why.reason, why.message)
        log.info("not bound", instance=key, reason=why.reason, message=why.message)
        return again

    def _leave(self, key: Key) -> None:
        """It waits no more: those behind it in line get their turn."""
        self._told_at.pop(key, None)
        for other in self._waiting.leave(key):
            self._wake(other)
