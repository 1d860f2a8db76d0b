"""An agent's reconciler between an API server and a host in memory: for tests in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypernova_agent import names
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.guest_config import HostProfile
from hypernova_agent.host import Domain
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import CachedImage, ImageStore
from hypernova_agent.memory import Backoffs
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.outcome import Outcome, Progress
from hypernova_agent.reconcile import INSTANCES, Reconciler
from hypernova_agent.view import View
from hypernova_api.instance import BoundImage, Instance
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, compare
from hypernova_kube.resources import Key, Object, Resource, key_of
from support.fake_api import FakeApi, Trouble
from support.guests import GIB, NODE, a_bound_image
from support.memory_host import MemoryHost, MemoryVolume
from support.secrets import Secrets

EPOCH = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PROFILE = HostProfile("kvm", "x86_64", disk=100 * GIB, cpus=16, memory=64 * GIB)


class SteadyBackoff(Backoff):
    """Without jitter."""

    def next(self, key: Any) -> float:
        super().next(key)
        return min(self._cap, self._base * 2.0 ** (self.attempts(key) - 1))


class WatchedApi(FakeApi):
    """Tells of every change, and deletes what has been asked to go once its last finalizer is gone."""

    def __init__(self, told: Callable[[Key, Object | None], None]) -> None:
        super().__init__()
        self._told = told

    def put(self, resource: Resource, obj: Object) -> Object:
        stored = super().put(resource, obj)
        key, metadata = key_of(stored), stored["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            del self.stored[resource.plural, key]
            self._told(key, None)
        else:
            self._told(key, self.find(resource, key))
        return stored


class SlowStore(ImageStore):
    """Images that take their time, and then are there or fail."""

    def __init__(self, host: MemoryHost, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.begun: list[float] = []
        self._memory_host = host

    async def find(self, sha256: str) -> CachedImage | None:
        there = names.image(sha256) in self._memory_host.machine.volumes
        return CachedImage(names.image(sha256), "qcow2", GIB) if there else None

    async def ensure(self, image: BoundImage, limit: int) -> CachedImage:
        if (cached := await self.find(image.sha256)) is not None:
            return cached
        self.begun.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self._memory_host.machine.volumes[names.image(image.sha256)] = MemoryVolume()
        return CachedImage(names.image(image.sha256), "qcow2", GIB)

    def progress(self, sha256: str) -> Progress | None:
        passed = asyncio.get_running_loop().time() - self.begun[-1]
        return Progress(int(GIB * passed / self.seconds), GIB)

    async def close(self) -> None:
        pass


class Recorder:
    """Events, as they are recorded."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, str]] = []

    def warning(self, involved: Object, reason: str, message: str) -> None:
        self.warnings.append((reason, message))


class Asking:
    """`Actions` that ask for what a test wants, and keep what they are told."""

    def __init__(self) -> None:
        self.ask = NOTHING
        self.outcomes: list[Outcome] = []

    async def begin(self, instance: Instance, domain: Domain | None) -> Ask | None:
        return self.ask

    async def settle(self, instance: Instance, ask: Ask, outcome: Outcome, domain: Domain | None) -> None:
        self.outcomes.append(outcome)


class Rig:
    """Everything around a reconciler. The clock is the running loop's."""

    def __init__(self, host: MemoryHost, api: WatchedApi | None = None) -> None:
        self.host = host
        self.objects: dict[Key, Object] = {}
        self.view = View(self.objects)
        self.api = api or WatchedApi(self._told)
        self.api._told = self._told
        self.events = Recorder()
        self.actions = Asking()
        self.secrets = Secrets()
        self.metrics = AgentMetrics()
        self.trouble: Trouble | None = None
        """What befalls every request from now on."""

        self.jumped = timedelta()
        """By how much the clock that people read has been put forward."""

        self.reconciler: Reconciler
        self.queue: WorkQueue[Key]

    def put(self, obj: Object) -> Object:
        """A user or the operator writes."""
        return self.api.put(INSTANCES, obj)

    def edit(self, name: str = "web-1", **spec: Any) -> None:
        obj = self.get(name)
        obj["spec"] |= spec
        obj["metadata"]["generation"] += 1
        self.put(obj)

    def grant(self, status: Object, name: str = "web-1") -> None:
        """The operator, or an action, writes to the status; None takes a part out."""
        obj = self.get(name)
        obj["status"] = {key: value for key, value in (obj["status"] | status).items() if value is not None}
        self.put(obj)

    def condition(self, type_: str, name: str = "web-1") -> tuple[str, str, str] | None:
        """Status, reason and message of a condition."""
        found = next((each for each in self.get(name)["status"]["conditions"] if each["type"] == type_), None)
        return found and (found["status"], found["reason"], found["message"])

    def delete(self, name: str = "web-1") -> None:
        obj = self.get(name)
        obj["metadata"] |= {"deletionTimestamp": "2026-11-21T10:00:00Z", "generation": 9}
        self.put(obj)

    def get(self, name: str = "web-1") -> Object:
        return self.api.find(INSTANCES, Key("shop", name))

    def exists(self, name: str = "web-1") -> bool:
        return (INSTANCES.plural, Key("shop", name)) in self.api.stored

    def status(self, name: str = "web-1") -> tuple[str, str, str, str]:
        """Phase, and Ready's status, reason and message."""
        status = self.get(name)["status"]
        ready = next((each for each in status["conditions"] if each["type"] == "Ready"), {})
        return status["phase"], ready.get("status", ""), ready.get("reason", ""), ready.get("message", "")

    @property
    def writes(self) -> int:
        return self.api.requests.count("patch")

    def cache(self, image: BoundImage | None = None) -> None:
        """Have an image in the pool already."""
        image = image or a_bound_image()
        marker = f'{{"format": "{image.format}", "virtualSize": {2 * GIB}, "source": "x"}}'.encode()
        self.host.machine.volumes[names.image(image.sha256)] = MemoryVolume(b"image")
        self.host.machine.volumes[names.image_marker(image.sha256)] = MemoryVolume(marker)

    async def connect(self) -> None:
        await self.host.connect(self._domain_event, lambda why: self.reconciler.disconnected())
        self.reconciler.connected(PROFILE, await self.host.domains())
        for key in self.view:
            self.queue.add(key)

    def _told(self, key: Key, new: Object | None) -> None:
        for change in compare(key, self.objects.get(key), new):
            if change.new is None:
                del self.objects[key]
            else:
                self.objects[key] = change.new
            self._changed(change)

    def _changed(self, change: Change) -> None:
        self.view.changed(change)
        if change.new is not None:
            self.queue.add(change.key)
        elif change.old is not None:
            self.reconciler.gone(change.key, change.old["metadata"]["uid"])

    def _domain_event(self, uid: str) -> None:
        if key := self.view.key_of_uid(uid):
            self.queue.add(key)


@asynccontextmanager
async def a_rig(
    host: MemoryHost | None = None, api: WatchedApi | None = None, store: ImageStore | None = None
) -> AsyncIterator[Rig]:
    """A rig, connected to its host and at work; the host and API server of another may be taken over."""
    rig = Rig(host or MemoryHost(), api)
    loop = asyncio.get_running_loop()
    async with new_session() as session:
        store = store or ImageStore(rig.host, session)
        rig.reconciler = Reconciler(
            cast("Client", rig.api.client(lambda verb: rig.trouble)),
            rig.host,
            store,
            rig.view,
            cast("EventRecorder", rig.events),
            rig.metrics,
            node=NODE,
            wake=lambda key: rig.queue.add(key),
            actions=rig.actions,
            fetch_user_data=rig.secrets.fetch,
            backoffs=Backoffs(SteadyBackoff(base=1.0, cap=300.0), SteadyBackoff(base=2.0, cap=30.0)),
            retries=SteadyBackoff(base=2.0, cap=300.0),
            clock=loop.time,
            wall_clock=lambda: EPOCH + timedelta(seconds=loop.time()) + rig.jumped,
        )
        rig.queue = WorkQueue(rig.reconciler.reconcile, workers=8, backoff=SteadyBackoff(), name="instances")
        for (plural, key), obj in list(rig.api.stored.items()):
            if plural == INSTANCES.plural:
                rig._told(key, obj)
        working = asyncio.create_task(rig.queue.run())
        try:
            await rig.connect()
            yield rig
        finally:
            working.cancel()
            await asyncio.wait({working})
            await store.close()
