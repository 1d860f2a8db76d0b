"""A node's InstanceActions between an API server and a host in memory, in a process that can be killed at any call.

The Instances' looks are a stand-in for `hypernova_agent.reconcile`: one that gives a guest the power-on that an action
asks for, and nothing else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypernova_agent import names
from hypernova_agent.actions.actions import INSTANCES, NodeActions
from hypernova_agent.actions.board import ACTIONS, Board
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.host import Definition, Domain, DomainState, Host, HostUnreachable
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.outcome import Outcome, Settled
from hypernova_agent.view import View
from hypernova_api.action import FINISHED, ActionPhase
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound, Unreachable
from hypernova_kube.events import EventRecorder
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import compare
from hypernova_kube.resources import Key, Object, Resource, key_of
from support.builders import an_action
from support.fake_api import FakeApi, Trouble
from support.guests import GIB, NODE, OWNER, a_bound_image, a_bound_instance
from support.machine import Machine, MemoryDomain, MemoryVolume
from support.memory_host import MemoryHost
from support.reconciling import Recorder, SteadyBackoff

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
        self.news = asyncio.Event()

    def put(self, resource: Resource, obj: Object) -> Object:
        stored = super().put(resource, obj)
        self.news.set()
        self.watcher(resource, key_of(stored), self.find(resource, key_of(stored)))
        return stored

    def remove(self, resource: Resource, key: Key) -> None:
        del self.stored[resource.plural, key]
        self.watcher(resource, key, None)


class World:
    """What outlives an agent: the API server and the machine with one guest that runs."""

    def __init__(self, **manners: Any) -> None:
        self.api = Api()
        self.machine = Machine(**manners)
        obj = self.api.put(INSTANCES, a_bound_instance())
        self.uid: str = obj["metadata"]["uid"]
        owner = replace(OWNER, uid=self.uid)
        defined = Definition(volumes=(names.root_disk(self.uid),))
        self.machine.domains[self.uid] = MemoryDomain(
            owner, "", defined, names.console_log(self.uid), state=DomainState.RUNNING, running=defined
        )
        self.machine.volumes[names.root_disk(self.uid)] = MemoryVolume(b"disk" * 100, capacity=GIB)
        self.machine.volumes[names.console_log(self.uid)] = MemoryVolume(b"log in: ")
        self.machine.volumes[names.image(CACHED.sha256)] = MemoryVolume(b"image")
        marker = f'{{"format": "qcow2", "virtualSize": {GIB}}}'.encode()
        self.machine.volumes[names.image_marker(CACHED.sha256)] = MemoryVolume(marker)

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
        admitted = {"phase": "Pending", "nodeName": NODE, "instanceUid": self.uid} | resolved
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
    def writes(self) -> int:
        return self.api.requests.count("patch")


class Agent:
    """One process of the agent, until it is killed."""

    def __init__(self, world: World, store: Callable[[MemoryHost], ImageStore], killed_at: int, after: bool) -> None:
        """An agent that is killed at its call of that number (from 0), to API server or host, or just after it."""
        self.world = world
        self.calls: list[str] = []
        self.forgotten: list[str] = []
        self.events = Recorder()
        self.metrics = AgentMetrics()
        self.outcome: Outcome | None = None
        """What looks make of the guest instead of what it is."""

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
            forget=lambda key, uid: self.forgotten.append(uid),
            retries=SteadyBackoff(base=1.0, cap=60.0),
            clock=loop.time,
            wall_clock=lambda: EPOCH + timedelta(seconds=loop.time()),
        )
        self._client = client
        self._looks: WorkQueue[Key] = WorkQueue(self._look, workers=2, backoff=Backoff(), name="instances")
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
        await self.host.connect(self._domain_event, lambda why: self.actions.disconnected())
        await self.store.clean()
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
                self.actions.changed(change)
                if self.actions.bereft(key):
                    self._failing.add(key)
                self.wake(INSTANCE)
            else:
                self._view.changed(change)
                for action in self.actions.of(change):
                    if self.actions.bereft(action):
                        self._failing.add(action)
                self.wake(key)

    async def _look(self, key: Key) -> float | None:
        instance = self._view.instance(key)
        if instance is None or instance.metadata.deletion_timestamp is not None:
            return None
        try:
            domain = await self.host.domain(instance.metadata.uid)
            ask = await self.actions.begin(instance, domain)
            if ask is None:
                return 0.0
            if ask != NOTHING:
                domain = await self._power_on(instance.metadata.uid, ask, instance.spec.power_state == "Running")
            await self.actions.settle(instance, ask, self.outcome or Settled(domain), domain)
        except (Conflict, NotFound):
            return 0.0
        except (Unreachable, HostUnreachable):
            return 5.0
        return None

    async def _power_on(self, uid: str, ask: Ask, on: bool) -> Domain | None:
        guest = self.world.guest
        if self.outcome is None:
            if (guest.running or guest.defined).boot != ask.boot:
                await self.host.destroy(uid)
                guest.defined = replace(guest.defined, boot=ask.boot)
            if on:
                await self.host.start(uid)
        return await self.host.domain(uid)

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
