"""A node's Instances and their actions between an API server and a host in memory, in an agent that can be killed."""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, cast

from hypernova_agent import names
from hypernova_agent.actions.actions import NodeActions
from hypernova_agent.actions.board import ACTIONS, Board
from hypernova_agent.host import Host
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.reconcile import Reconciler
from hypernova_agent.telling import INSTANCES
from hypernova_agent.view import View
from hypernova_api.action import FINISHED, ActionPhase
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import compare
from hypernova_kube.resources import Key, Object, Resource, key_of
from support.builders import an_action
from support.fake_api import FakeApi, Trouble
from support.guests import GIB, NODE, a_bound_image, a_bound_instance
from support.machine import Machine, MemoryDomain, MemoryVolume
from support.memory_host import MemoryHost
from support.reconciling import PROFILE, Recorder, SteadyBackoff
from support.secrets import Secrets

EPOCH = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
INSTANCE = Key("shop", "web-1")
CACHED = a_bound_image("cached")


class Killed(BaseException):
    """The process is no more: nothing of it runs on, not even what puts things away."""


class Api(FakeApi):
    """Tells whoever watches of every change, before it answers who has made it."""

    def __init__(self) -> None:
        super().__init__()
        self.watcher: Callable[[Resource, Key, Object | None], None] = lambda resource, key, obj: None
        self.writes: Counter[str] = Counter()
        """By the plural of what was written."""
        self.news = asyncio.Event()

    def put(self, resource: Resource, obj: Object) -> Object:
        stored = super().put(resource, obj)
        self.writes[resource.plural] += 1
        self.news.set()
        self.watcher(resource, key_of(stored), self.find(resource, key_of(stored)))
        return stored

    def twin(self) -> "Api":
        """Another with the same objects, that nobody watches."""
        twin = Api()
        twin.stored = copy.deepcopy(self.stored)
        twin._versions = count(1 + max(int(obj["metadata"]["resourceVersion"]) for obj in self.stored.values()))
        return twin

    def remove(self, resource: Resource, key: Key) -> None:
        del self.stored[resource.plural, key]
        self.watcher(resource, key, None)


class World:
    """What outlives an agent: the API server, and the machine with one guest."""

    def __init__(self, **spec: Any) -> None:
        """A guest that is bound, and not built."""
        self.api = Api()
        self.machine = Machine(has_agent=True, obedient=True)
        self.secrets = Secrets()
        self.uid: str = self.api.put(INSTANCES, a_bound_instance(**spec))["metadata"]["uid"]
        for image in (a_bound_image(), CACHED):
            self.machine.volumes[names.image(image.sha256)] = MemoryVolume(b"image")
            marker = f'{{"format": "qcow2", "virtualSize": {GIB}}}'.encode()
            self.machine.volumes[names.image_marker(image.sha256)] = MemoryVolume(marker)

    def twin(self) -> "World":
        """Another that is the same, and goes its own way."""
        twin = World()
        twin.uid, twin.machine, twin.api = self.uid, copy.deepcopy(self.machine), self.api.twin()
        return twin

    @property
    def guest(self) -> MemoryDomain:
        return self.machine.domains[self.uid]

    def instance(self) -> Object:
        return self.api.find(INSTANCES, INSTANCE)

    def edit(self, *, spec: Object | None = None, status: Object | None = None, **metadata: Any) -> None:
        obj = self.instance()
        obj["spec"] |= spec or {}
        obj["status"] |= status or {}
        obj["metadata"] |= metadata
        self.api.put(INSTANCES, obj)

    def ask(self, type_: str, name: str = "act-1", *, second: int = 0, **spec: Any) -> str:
        """An action as the operator admits it; its UID."""
        resolved = {"rebuild": {"image": CACHED.to_wire()}} if type_ == "Rebuild" else {}
        resolved |= {"rescueImage": CACHED.to_wire()} if type_ == "Rescue" else {}
        admitted = {"phase": "Pending", "nodeName": NODE, "instanceUID": self.uid} | resolved
        obj = an_action(type_, name, INSTANCE.namespace, status=admitted | spec.pop("status", {}), **spec)
        obj["metadata"]["creationTimestamp"] = f"2026-11-21T10:00:{second:02}Z"
        return str(self.api.put(ACTIONS, obj)["metadata"]["uid"])

    def action(self, name: str = "act-1") -> Object:
        return self.api.find(ACTIONS, Key(INSTANCE.namespace, name))

    def told(self, name: str = "act-1") -> tuple[str, str]:
        """Phase and reason."""
        status = self.action(name)["status"]
        complete = next((each for each in status.get("conditions", []) if each["type"] == "Complete"), {})
        return status["phase"], complete.get("reason", "")

    def message(self, name: str = "act-1") -> str:
        return str(self.action(name)["status"]["conditions"][0]["message"])

    async def done(self, name: str = "act-1") -> tuple[str, str]:
        """Wait until an action is done; what is told of it then."""
        await self._shows(name, FINISHED)
        return self.told(name)

    async def begun(self, name: str = "act-1") -> None:
        """Wait until an action runs."""
        await self._shows(name, {ActionPhase.RUNNING})

    async def _shows(self, name: str, phases: Collection[str]) -> None:
        async with asyncio.timeout(10_000):
            while self.told(name)[0] not in phases:
                self.api.news.clear()
                await self.api.news.wait()

    @property
    def starts(self) -> int:
        """Power-ons since the first."""
        return self.guest.starts - 1


class Agent:
    """One process of the agent, until it is killed."""

    def __init__(self, world: World, store: Callable[[MemoryHost], ImageStore], killed_at: int, after: bool) -> None:
        """An agent that is killed at its call of that number (from 0), to API server or host, or just after it."""
        self.world = world
        self.calls: list[str] = []
        self.events = Recorder()
        self.metrics = AgentMetrics()
        self._killed_at, self._after = killed_at, after
        self.host = MemoryHost(world.machine)
        self._objects: dict[str, dict[Key, Object]] = {INSTANCES.plural: {}, ACTIONS.plural: {}}
        self._view = View(self._objects[INSTANCES.plural])
        client = cast("Client", world.api.client(self._trouble))
        self.store = store(self.host)
        loop = asyncio.get_running_loop()
        self.actions = NodeActions(
            client,
            self.host,
            self.store,
            Board(self._objects[ACTIONS.plural]),
            self._view,
            cast("EventRecorder", self.events),
            self.metrics,
            wake=self.wake,
            forget=lambda key, uid: self.reconciler.forget(key, uid),
            fetch_user_data=world.secrets.fetch,
            retries=SteadyBackoff(base=1.0, cap=60.0),
            clock=loop.time,
            wall_clock=lambda: EPOCH + timedelta(seconds=loop.time()),
        )
        self.reconciler = Reconciler(
            client,
            self.host,
            self.store,
            self._view,
            cast("EventRecorder", self.events),
            self.metrics,
            node=NODE,
            wake=self.wake,
            actions=self.actions,
            fetch_user_data=world.secrets.fetch,
            retries=SteadyBackoff(base=2.0, cap=300.0),
            clock=loop.time,
            wall_clock=lambda: EPOCH + timedelta(seconds=loop.time()),
        )
        self._looks: WorkQueue[Key] = WorkQueue(
            self.reconciler.reconcile, workers=2, backoff=Backoff(), name="instances"
        )
        self._failing: WorkQueue[Key] = WorkQueue(self.actions.fail, workers=1, backoff=Backoff(), name="actions")

    async def run(self) -> None:
        """Until cancelled or killed."""
        for name in _HOST_CALLS:
            setattr(self.host, name, self._counted(name, getattr(self.host, name)))
        await self.reconnect()
        for (plural, key), obj in list(self.world.api.stored.items()):
            self.watch(INSTANCES if plural == INSTANCES.plural else ACTIONS, key, obj)
        self.world.api.watcher = self.watch
        async with asyncio.TaskGroup() as group:
            group.create_task(self._looks.run())
            group.create_task(self._failing.run())

    async def reconnect(self) -> None:
        await self.host.connect(self._domain_event, lambda why: self._lost())
        await self.store.clean()
        self.reconciler.connected(PROFILE, await self.host.domains())
        self.wake(INSTANCE)

    def wake(self, key: Key) -> None:
        self._looks.add(key)

    def watch(self, resource: Resource, key: Key, obj: Object | None) -> None:
        objects = self._objects[resource.plural]
        if resource == ACTIONS and obj is not None and obj["status"]["phase"] in FINISHED:
            obj = None  # as the selector has it
        for change in compare(key, objects.get(key), obj):
            if change.new is None:
                objects.pop(key)
            else:
                objects[key] = change.new
            if resource == ACTIONS:
                if self.actions.changed(change):
                    self.wake(INSTANCE)
                if self.actions.bereft(key):
                    self._failing.add(key)
            else:
                self._view.changed(change)
                if change.new is None and change.old is not None:
                    self.reconciler.gone(key, change.old["metadata"]["uid"])
                for action in self.actions.of(change):
                    if self.actions.bereft(action):
                        self._failing.add(action)
                self.wake(key)

    def _lost(self) -> None:
        self.reconciler.disconnected()
        self.actions.disconnected()

    def _domain_event(self, uid: str) -> None:
        if (key := self._view.key_of_uid(uid)) is not None:
            self.wake(key)

    def _call(self, name: str) -> bool:
        """Take note of a call; whether the process is killed just after it."""
        self.calls.append(name)
        number = len(self.calls) - 1
        if 0 <= self._killed_at < number + (not self._after):
            raise Killed
        return number == self._killed_at

    def _trouble(self, verb: str) -> Trouble | None:
        return Trouble(lost=cast("Exception", Killed())) if self._call(verb) else None

    def _counted(self, name: str, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            last = self._call(name)
            answer = await original(*args, **kwargs)
            if last:
                raise Killed
            return answer

        return call


_HOST_CALLS = tuple(
    name for name, call in vars(Host).items() if asyncio.iscoroutinefunction(call) and name not in {"connect", "close"}
)


@asynccontextmanager
async def an_agent(
    world: World, *, killed_at: int = -1, after: bool = False, store: Callable[[MemoryHost], ImageStore] | None = None
) -> AsyncIterator[Agent]:
    """An agent at work, stopped in good order at the end unless it was killed before."""
    async with new_session() as session:
        agent = Agent(world, store or (lambda host: ImageStore(host, session)), killed_at, after)
        running = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            running.cancel()
            await asyncio.wait({running})
            if killed_at < 0 and not running.cancelled():
                running.result()
            await agent.actions.close()
            await agent.host.close()


async def a_world(**spec: Any) -> World:
    """One whose guest runs, or does what else its Instance says."""
    world = World(**spec)
    async with an_agent(world):
        async with asyncio.timeout(1000):
            while "launchedAt" not in world.instance()["status"]:
                world.api.news.clear()
                await world.api.news.wait()
        await asyncio.sleep(10)
    world.api.writes.clear()
    return world
