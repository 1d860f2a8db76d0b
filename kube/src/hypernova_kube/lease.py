"""Leases: telling that one is alive, seeing who else is, and agreeing on who leads.

No clock of another machine is trusted. A Lease's `renewTime` is read as a token that differs after each renewal; how
long ago it did is measured on our own monotonic clock, from when we saw it.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, KubeError, LeadershipLost, NotFound, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import LEASES, Key, Object

log = get_logger(__name__)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def _micro_time(when: datetime) -> str:
    """As the API server's MicroTime demands: always six digits of a second."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Heartbeat:
    """Renews a Lease of one's own, by one patch each interval, for as long as one lives.

    It also feels the API server's pulse. A beat without an answer means that others of the client's connections may be
    as dead, without an end that anybody notices: all are made anew then, and once more when there are answers again.
    (A watch that has gone silent is not missed for a minute else, nor is a connection that is kept for later.)
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = 40,
        interval: float = 10.0,
        labels: Mapping[str, str] | None = None,
        on_return: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = _wall_clock,
    ) -> None:
        """A heartbeat that has not begun; `run()` does.

        Args:
            client: who writes.
            namespace: where the Lease is.
            name: of the Lease.
            identity: whom the Lease shows as its holder.
            duration: seconds without a renewal after which others are to take us for dead.
            interval: seconds between renewals, also the time limit of one.
            labels: for the Lease.
            on_return: called when a renewal succeeds after one that did not.
            clock: monotonic seconds.
            wall_clock: what `renewTime` shows, for people.
        """
        self._client = client
        self._key = Key(namespace, name)
        self._identity = identity
        self._duration = duration
        self._interval = interval
        self._on_return = on_return
        self._labels = dict(labels or {})
        self._clock = clock
        self._wall_clock = wall_clock
        self._renewed_at = clock()

    def age(self) -> float:
        """Seconds since the last renewal that succeeded (since we began, if none has)."""
        return self._clock() - self._renewed_at

    async def run(self) -> None:
        """For ever, whatever the API server does; end it by cancelling."""
        missed = silent = False
        while True:
            started, was_silent = self._clock(), silent
            try:
                async with asyncio.timeout(self._interval):
                    await self._beat()
                self._renewed_at, silent = started, False
            except (KubeError, TimeoutError) as error:
                silent = silent or _is_silence(error)
                self._client.metrics.lease_errors.labels(self._key.name).inc()
                log.warning("lease not renewed", lease=self._key, error=in_words(error), age_s=self.age())
            except Exception:
                log.exception("lease not renewed", lease=self._key, age_s=self.age())
            if silent != was_silent:
                await self._client.reconnect()
            if self._renewed_at == started and missed:
                self._on_return()
            missed = self._renewed_at != started
            await asyncio.sleep(self._interval - (self._clock() - started))

    async def _beat(self) -> None:
        now = _micro_time(self._wall_clock())
        spec = {"holderIdentity": self._identity, "leaseDurationSeconds": self._duration, "renewTime": now}
        patch = {"metadata": {"labels": self._labels}, "spec": spec}
        try:
            await self._client.patch(LEASES, self._key.name, patch, self._key.namespace)
        except NotFound:
            lease = _new_lease(self._key, {**spec, "acquireTime": now}, self._labels)
            await self._client.create(LEASES, lease)


def _is_silence(error: Exception) -> bool:
    """Whether there was no answer in time, rather than one that says no, or a connection that ended."""
    return isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Renewal:
    token: tuple[str, str]
    """Holder and renewTime: differs after each renewal."""

    since: float
    """When we first saw this token, on our clock."""

    seen_renewed: bool
    duration: float


class LeaseObserver:
    """When each Lease of one namespace was last seen to change, on our own clock.

    What was first seen a moment ago may have been renewed just then or years ago. Until its duration tells, such a
    Lease is neither alive nor dead: ask for the one that you need to be sure of.
    """

    def __init__(self) -> None:
        self._renewals: dict[str, _Renewal] = {}

    def observe(self, lease: Object, now: float) -> None:
        """Take note of a Lease as just seen, at `now` (monotonic seconds)."""
        name, spec = lease["metadata"]["name"], lease.get("spec", {})
        token = (spec.get("holderIdentity", ""), spec.get("renewTime", ""))
        before = self._renewals.get(name)
        if before is not None and before.token == token:
            return
        # Created and never renewed since: surely not the remains of somebody who has lived and died.
        fresh = bool(spec.get("renewTime")) and spec.get("acquireTime") == spec.get("renewTime")
        self._renewals[name] = _Renewal(
            token, now, before is not None or fresh, float(spec.get("leaseDurationSeconds") or 0)
        )

    def forget(self, name: str) -> None:
        """The Lease is gone."""
        self._renewals.pop(name, None)

    def is_alive(self, name: str, now: float) -> bool:
        """Whether the Lease was seen to be renewed within its duration."""
        renewal = self._renewals.get(name)
        return renewal is not None and renewal.seen_renewed and now - renewal.since < renewal.duration

    def is_dead(self, name: str, now: float) -> bool:
        """Whether the Lease was watched for its whole duration without being renewed, or is not there."""
        renewal = self._renewals.get(name)
        return renewal is None or now - renewal.since >= renewal.duration


class Elector:
    """Takes part in the election of one leader among processes, by a Lease.

    Never do two lead at once, as long as their clocks run equally fast: a leader stops by itself `renew_deadline`
    seconds after the start of its last successful renewal, even while a request hangs; a standby takes over when it
    has seen no renewal for `duration` seconds; and every write is conditional on the resourceVersion.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: int = 15,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = _wall_clock,
        rng: random.Random | None = None,
    ) -> None:
        """A candidate that has not begun; `run()` does.

        Args:
            client: who writes.
            namespace: where the Lease is.
            name: of the Lease.
            identity: unique to this process, not just to its Pod: a restarted container must not take the leadership
                of the one before it for its own.
            duration: seconds without a renewal after which a standby takes over.
            renew_deadline: seconds without a successful renewal after which a leader no longer is one.
            retry: seconds between renewals, and between tries to take over.
            clock: monotonic seconds.
            wall_clock: what `renewTime` shows, for people.
            rng: spreads the tries of candidates.
        """
        if not retry < renew_deadline < duration:
            raise ValueError(f"want retry < renew_deadline < duration, got {retry}, {renew_deadline}, {duration}")
        self.elected = asyncio.Event()
        """Set while `run()` holds the leadership. Ask `is_leader()` before each act, though."""

        self._client = client
        self._key = Key(namespace, name)
        self._identity = identity
        self._duration = duration
        self._renew_deadline = renew_deadline
        self._retry = retry
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng or random.SystemRandom()
        self._others = LeaseObserver()
        self._lease: Object | None = None  # as we last wrote it
        self._leads_until = clock()
        client.metrics.leader.labels(name).set_function(self.is_leader)

    def is_leader(self) -> bool:
        """Whether this process may act as leader at this very moment."""
        return self._clock() < self._leads_until

    async def run(self) -> None:
        """Wait for leadership, tell it by `elected`, keep it.

        Raises:
            LeadershipLost: it was led, and is no longer. Stop all work of a leader.
        """
        while True:
            await self._try_to_acquire()
            if self.is_leader():
                break
            await asyncio.sleep(self._retry * self._rng.uniform(1.0, 1.2))
        log.info("elected", lease=self._key, identity=self._identity)
        self.elected.set()
        try:
            started = self._leads_until - self._renew_deadline
            while True:
                await asyncio.sleep(min(started + self._retry, self._leads_until) - self._clock())
                started = self._clock()
                await self._renew(started)
        except LeadershipLost:
            self._leads_until = self._clock()
            raise
        finally:
            self.elected.clear()

    async def release(self) -> None:
        """Give up leadership, so that a standby takes over at its next try.

        To be called when `run()` has been cancelled and all work of a leader has stopped. Does not raise: what cannot
        be released runs out by itself.
        """
        led, self._lease, self._leads_until = self._lease, None, self._clock()
        if led is None:
            return
        try:
            async with asyncio.timeout(self._renew_deadline):
                # Read first: a renewal that was cut off may have been written after all.
                lease = await self._client.get(LEASES, self._key.name, self._key.namespace)
                if lease["spec"].get("holderIdentity") == self._identity:
                    await self._write(lease, holderIdentity="", leaseDurationSeconds=1)
                    log.info("leadership released", lease=self._key, identity=self._identity)
        except (KubeError, TimeoutError) as error:
            log.warning("leadership not released", lease=self._key, error=in_words(error))

    async def _try_to_acquire(self) -> None:
        try:
            async with asyncio.timeout(self._renew_deadline):
                await self._acquire()
        except (KubeError, TimeoutError) as error:
            self._client.metrics.lease_errors.labels(self._key.name).inc()
            log.warning("leadership not acquired", lease=self._key, error=in_words(error), retry_in_s=self._retry)

    async def _acquire(self) -> None:
        try:
            lease = await self._client.get(LEASES, self._key.name, self._key.namespace)
        except NotFound:
            started = self._clock()
            self._lease = await self._client.create(LEASES, _new_lease(self._key, self._term(transitions=0), {}))
            self._leads_until = started + self._renew_deadline
            return
        started = self._clock()
        self._others.observe(lease, started)
        spec = lease.get("spec", {})
        if spec.get("holderIdentity") and not self._others.is_dead(self._key.name, started):
            return
        term = self._term(transitions=(spec.get("leaseTransitions") or 0) + 1)
        self._lease = await self._write(lease, **term)
        self._leads_until = started + self._renew_deadline

    async def _renew(self, started: float) -> None:
        try:
            async with asyncio.timeout(self._leads_until - started):
                self._lease = await self._renewed_lease()
            self._leads_until = started + self._renew_deadline
        except LeadershipLost:
            raise
        except NotFound as missing:
            # Whoever makes it anew leads.
            raise LeadershipLost(f"lease {self._key} was deleted") from missing
        except (KubeError, TimeoutError) as error:
            self._client.metrics.lease_errors.labels(self._key.name).inc()
            log.warning("leadership not renewed", lease=self._key, error=in_words(error))
            if not self.is_leader():
                raise LeadershipLost(
                    f"lease {self._key} was not renewed for {self._renew_deadline:g} s: {in_words(error)}"
                ) from error

    async def _renewed_lease(self) -> Object:
        lease = self._lease or {}
        try:
            return await self._write(lease, renewTime=_micro_time(self._wall_clock()))
        except Conflict:
            # A renewal of ours that was written though its answer got lost, or somebody else's write: reading tells.
            lease = await self._client.get(LEASES, self._key.name, self._key.namespace)
            holder = lease["spec"].get("holderIdentity")
            if holder != self._identity:
                raise LeadershipLost(f"lease {self._key} is held by {holder or 'nobody'}") from None
            return await self._write(lease, renewTime=_micro_time(self._wall_clock()))

    def _term(self, transitions: int) -> Object:
        now = _micro_time(self._wall_clock())
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    async def _write(self, lease: Object, **spec: object) -> Object:
        """Write parts of the spec, on condition that the Lease is still as `lease`."""
        return await self._client.replace(LEASES, {**lease, "spec": {**lease.get("spec", {}), **spec}})


def _new_lease(key: Key, spec: Object, labels: Mapping[str, str]) -> Object:
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"namespace": key.namespace, "name": key.name, "labels": dict(labels)},
        "spec": spec,
    }
