"""The agent's loops: watch the API server, hold on to the host, have every Instance looked at when it may need it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from functools import partial

from hypernova_agent.actions.watch import ActionWatch
from hypernova_agent.conductor import Conductor
from hypernova_agent.console.consoles import Consoles
from hypernova_agent.console.serving import Serving, agent_identity
from hypernova_agent.guest_config import profile_of
from hypernova_agent.host import Host, HostFacts, HostFault, HostUnreachable
from hypernova_agent.hypervisor_status import domain_type_of
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.orphans import Orphans
from hypernova_agent.reconcile import INSTANCES, Reconciler
from hypernova_agent.registration import HYPERVISORS, Registration
from hypernova_agent.settings import Settings
from hypernova_agent.view import View
from hypernova_api.hypervisor import LEASE_PREFIX, Endpoint
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_api.quantity import Quantity
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.lease import Heartbeat
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Key, Object

log = get_logger(__name__)

_WORKERS = 8
"""Instances worked on at once. libvirt takes four calls at a time; the rest wait for the API server."""

_RESYNC_SECONDS = (240.0, 360.0)
"""Between looks at everything, whether or not something was heard of it: spread, so that agents do not meet."""

_OWN = "own"

_ORPHANS, _SPACE = "orphans", "space"
"""What there is to look at now and then."""

_SPACE_SECONDS = 60.0
"""Between looks at the room in the pool."""

_STRANGER_SECONDS = 5.0
"""Until a look at what an event of an unknown domain, or an Instance that went, may be about: there are often many."""


class Sync:
    """One node's agent: everything but its process."""

    def __init__(
        self, settings: Settings, client: Client, host: Host, store: ImageStore, metrics: AgentMetrics
    ) -> None:
        node = settings.node_name
        self._settings = settings
        self._host = host
        self._store = store
        self._metrics = metrics
        self._events = EventRecorder(client, "hypernova-agent", node)
        self._heartbeat = Heartbeat(
            client,
            settings.namespace,
            f"{LEASE_PREFIX}{node}",
            node,
            labels={HYPERVISOR_LABEL: "true"},
            on_return=self._api_server_returned,
        )
        self._instances = Reflector(
            client,
            INSTANCES,
            self._instance_changed,
            field_selector=f"status.nodeName={node}",
            on_listed=self._instances_listed,
        )
        self._hypervisors = Reflector(
            client, HYPERVISORS, self._hypervisor_changed, field_selector=f"metadata.name={node}"
        )
        self._view = View(self._instances.objects)
        conductor = Conductor(client, settings)
        self._action_watch = ActionWatch(
            client,
            host,
            store,
            self._view,
            self._events,
            metrics,
            node=node,
            wake=self._wake,
            forget=lambda key, uid: self._reconciler.forget(key, uid),
            fetch_user_data=conductor.user_data,
        )
        self._reconciler = Reconciler(
            client,
            host,
            store,
            self._view,
            self._events,
            metrics,
            node=node,
            wake=self._wake,
            actions=self._action_watch.actions,
            fetch_user_data=conductor.user_data,
        )
        self._registration = Registration(
            client,
            node,
            self._hypervisors.objects,
            self._reconciler.claims,
            domain_type=settings.domain_type,
            reserved_memory=Quantity(settings.reserved_memory).value,
        )
        self._queue: WorkQueue[Key] = WorkQueue(
            self._reconciler.reconcile, workers=_WORKERS, backoff=Backoff(), name="instances", metrics=client.metrics
        )
        self._registrations: WorkQueue[str] = WorkQueue(
            self._registration.reconcile, workers=1, backoff=Backoff(), name="hypervisor", metrics=client.metrics
        )
        self._orphans = Orphans(host, self._owns, lambda: self._registration.annotations)
        self._looks: WorkQueue[str] = WorkQueue(
            self._look, workers=1, backoff=Backoff(), name="looks", metrics=client.metrics
        )
        self._consoles = Consoles(host, self._view.instance, metrics)
        self._serving = Serving(agent_identity(client, settings), settings, self._consoles, self._console_served)
        self._connected = False
        metrics.count_instances(self._phases)

    async def run(self) -> None:
        """For ever; end it by cancelling. Guests are left as they are."""
        loops = (
            self._heartbeat.run(),
            self._events.run(),
            self._instances.run(),
            self._action_watch.run(),
            self._hypervisors.run(),
            self._queue.run(),
            self._registrations.run(),
            self._looks.run(),
            self._hold_on_to_host(),
            self._resync(),
            self._serve_consoles(),
        )
        try:
            async with asyncio.TaskGroup() as group:
                for loop in loops:
                    group.create_task(loop)
        finally:
            await self._store.close()
            await self._host.close()

    def not_ready(self) -> list[str]:
        """Why this agent cannot do its work now, a sentence each."""
        reasons = []
        if not self._instances.synced.is_set():
            reasons.append("the API server has not listed the Instances yet")
        if not self._connected:
            reasons.append("libvirt does not answer")
        return reasons

    async def _hold_on_to_host(self) -> None:
        """Connect, again whenever the connection is lost, and look at everything each time."""
        # Not before: what the host has is only understood beside the Instances and the administrator's overcommit.
        await self._instances.synced.wait()
        await self._hypervisors.synced.wait()
        backoff = Backoff(cap=15.0)
        while True:
            lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                await self._host.connect(self._domain_event, partial(_resolve, lost))
                await self._begin()
                backoff.forget(_OWN)
                fault: HostFault = HostUnreachable(await lost)
            except HostFault as error:
                fault = error
            self._lost(fault)
            wait = backoff.next(_OWN)
            log.warning("host lost", error=fault, retry_in_s=wait)
            await asyncio.sleep(wait)

    async def _begin(self) -> None:
        """Take up the host as it is: everything that runs is adopted."""
        await self._store.clean()
        domains = await self._host.domains()
        facts = await self._host.facts()
        profile = profile_of(facts, domain_type_of(facts, self._settings.domain_type))
        self._reconciler.connected(profile, domains)
        self._connected = True
        self._metrics.connected.set(1)
        self._registration.answers(facts)
        for what in (_ORPHANS, _SPACE):
            await self._see(what)  # so that all is told in one write
        self._looks.add(_SPACE, after=_SPACE_SECONDS)
        self._learned(facts)
        log.info("libvirt connected", count=len(domains))
        self._wake_all()

    async def _serve_consoles(self) -> None:
        if self._settings.console_address:
            await self._serving.run()
        self._registration.serves(None)

    def _console_served(self, console: Endpoint) -> None:
        self._registration.serves(console)
        self._registrations.add(_OWN)

    def _lost(self, fault: HostFault) -> None:
        self._connected = False
        self._metrics.connected.set(0)
        self._reconciler.disconnected()
        self._action_watch.actions.disconnected()
        self._registration.fails(fault)
        self._registrations.add(_OWN)

    def _learned(self, facts: HostFacts) -> None:
        self._registration.answers(facts)
        self._registrations.add(_OWN)
        self._set_room()

    def _set_room(self) -> None:
        room = self._registration.room
        if room is not None:
            self._reconciler.set_room(room)

    async def _look(self, what: str) -> float | None:
        """See what the host has that no Instance knows of, or how much room there is; for a work queue."""
        if not self._connected:
            return None
        await self._see(what)
        self._registrations.add(_OWN)
        return _SPACE_SECONDS if what == _SPACE else None

    async def _see(self, what: str) -> None:
        try:
            if what == _ORPHANS:
                self._registration.found(await self._orphans.settle())
            else:
                await self._measure()
        except HostFault as error:
            log.warning(f"no look at {what}", error=error)

    async def _measure(self) -> None:
        """See how much room there is in the pool. A host that can't even tell is to get no new guests."""
        try:
            self._registration.has(await self._host.space())
            if self._registration.failing:
                self._learned(await self._host.facts())
        except HostFault as error:
            self._registration.fails(error)
            raise

    async def _resync(self) -> None:
        """Now and then look at everything: events can be missed, and hosts change under us."""
        rng = random.SystemRandom()
        while True:
            await asyncio.sleep(rng.uniform(*_RESYNC_SECONDS))
            if not self._connected:
                continue
            try:
                self._learned(await self._host.facts())
            except HostFault as error:
                log.warning("host does not tell what it is", error=error)
            self._looks.add(_ORPHANS)
            self._wake_all()

    def _api_server_returned(self) -> None:
        """See and tell at once what could be neither seen nor told: by now, waits may be minutes long."""
        for reflector in (self._instances, self._hypervisors):
            reflector.hurry()
        self._action_watch.hurry()
        self._registrations.add(_OWN)
        self._wake_all()

    def _instance_changed(self, change: Change) -> None:
        news = self._view.changed(change)
        self._action_watch.instance_changed(change)
        if change.new is not None:
            if news:
                self._wake(change.key)
            if change.old is None and self._registration.orphans:
                self._looks.add(_ORPHANS)
        elif change.old is not None:
            self._reconciler.gone(change.key, change.old["metadata"]["uid"])
            self._consoles.gone(change.old)
            # It may have been removed by force, and its domain be here still.
            self._looks.add(_ORPHANS, after=_STRANGER_SECONDS)
            if self._registration.overcommitted:
                self._registrations.add(_OWN)

    def _instances_listed(self) -> None:
        for key in self._view.listed():
            self._wake(key)

    def _hypervisor_changed(self, change: Change) -> None:
        if _annotations(change.old) != _annotations(change.new):
            self._looks.add(_ORPHANS)
        self._registrations.add(_OWN)
        self._set_room()

    def _domain_event(self, uid: str) -> None:
        key = self._view.key_of_uid(uid)
        if key is not None:
            self._wake(key)
        else:
            self._looks.add(_ORPHANS, after=_STRANGER_SECONDS)

    def _owns(self, uid: str) -> bool:
        return self._view.key_of_uid(uid) is not None

    def _wake(self, key: Key) -> None:
        self._queue.add(key)

    def _wake_all(self) -> None:
        for key in self._view:
            self._wake(key)

    def _phases(self) -> Mapping[str, int]:
        return Counter(obj.get("status", {}).get("phase", "") for obj in self._instances.objects.values())


def _annotations(obj: Object | None) -> Mapping[str, str]:
    return (obj or {}).get("metadata", {}).get("annotations") or {}


def _resolve(future: asyncio.Future[str], why: str) -> None:
    if not future.done():
        future.set_result(why)
