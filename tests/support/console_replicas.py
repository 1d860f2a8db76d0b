"""Replicas of the console proxy over one API server in memory, in virtual time: all but sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from hypernova_api.console import ConsoleType, ConsoleUser
from hypernova_console.instances import HYPERVISORS, INSTANCES, Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.rights import Rights
from hypernova_console.session import SESSIONS
from hypernova_console.sessions import Session, Sessions
from hypernova_kube.errors import KubeError
from hypernova_kube.resources import Key, Object, Resource
from support.builders import a_condition, a_hypervisor, an_instance
from support.fake_api import FakeApi, FakeClient, Trouble
from support.virtual_time import now

WEB = Key("shop", "web-1")
ALICE = ConsoleUser(username="alice", groups=["system:authenticated"])
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
VNC = ConsoleType.VNC


def clock() -> datetime:
    """The time of day: the loop's clock starts at midnight."""
    return MIDNIGHT + timedelta(seconds=now())


class Reviews:
    """Answers SubjectAccessReviews: everybody may do everything, except who is taken out."""

    def __init__(self) -> None:
        self.without: set[str] = set()
        """Users who may nothing."""

        self.trouble: KubeError | None = None

    async def create(self, _: Resource, review: Object) -> Object:
        if self.trouble is not None:
            raise self.trouble
        return {**review, "status": {"allowed": review["spec"]["user"] not in self.without}}


class Replica:
    """One proxy."""

    def __init__(self, client: FakeClient, reviews: Reviews, seed: int) -> None:
        self.metrics = ConsoleMetrics(client.registry)
        self.registry = client.registry
        self.instances = Instances(client)
        self.sessions = Sessions(
            client,
            self.instances,
            Rights(reviews, clock=now),
            self.metrics,
            ticket_seconds=60,
            session_seconds=8 * 3600,
            review_seconds=60,
            clock=clock,
            monotonic=now,
            random_bytes=random.Random(seed).randbytes,
            rng=random.Random(seed),
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.instances.run())
            group.create_task(self.sessions.run())

    async def ticket(self, user: ConsoleUser = ALICE, instance: Key = WEB, type_: ConsoleType = VNC) -> str:
        """A new one, as the browser gets it."""
        _, ticket = await self.sessions.offer(user, instance, type_, read_only=False)
        return ticket.text()

    async def begin(self) -> tuple[Session, str]:
        """A session that a browser has begun, and its key."""
        return await self.sessions.redeem(await self.ticket(), peer="10.0.0.1")

    def counted(self, result: str) -> float:
        """Tickets of which this came."""
        return self.registry.get_sample_value("hypernova_console_tickets_total", {"result": result}) or 0.0


class World:
    """A cluster with the Instance web-1 on node-a, and a node-b beside."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.rights = Reviews()
        self._seeds = count()
        self._stack = AsyncExitStack()
        for port, node in enumerate(("node-a", "node-b"), 7001):
            console = {"address": "127.0.0.1", "port": port}
            self.api.put(
                HYPERVISORS, a_hypervisor(node, status={"console": console, "conditions": [a_condition("Ready")]})
            )
        self.place_instance("node-a")

    def place_instance(self, node: str, uid: str = "uid-web-1", **metadata: str) -> Object:
        """web-1 as it is on a node."""
        obj = an_instance("web-1", "shop", status={"nodeName": node, "phase": "Running"})
        obj["metadata"] |= {"uid": uid, **metadata}
        return self.api.put(INSTANCES, obj)

    def remake_instance(self) -> None:
        """Another Instance of the same name."""
        self.api.drop(INSTANCES, WEB)
        self.place_instance("node-a", uid="uid-another")

    def sessions(self) -> list[Object]:
        """What is stored."""
        return [obj for (plural, _), obj in self.api.stored.items() if plural == SESSIONS.plural]

    async def replica(self, trouble: Callable[[str], Trouble | None] = lambda verb: None) -> Replica:
        """A proxy that knows all that there is now."""
        replica = Replica(self.api.client(trouble), self.rights, next(self._seeds))
        running = asyncio.create_task(replica.run())
        self._stack.callback(running.cancel)
        await asyncio.sleep(0.01)
        assert replica.instances.synced
        assert replica.sessions.synced
        return replica

    async def close(self) -> None:
        """End all replicas."""
        await self._stack.aclose()


@asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    """It, and its end."""
    world = World()
    try:
        yield world
    finally:
        await world.close()
