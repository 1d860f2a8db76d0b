"""All that an Instance says, as it says it: what a look now and then would miss."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from hypernova_kube.client import Client
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Object
from support.agents import INSTANCES, ready_of
from support.waiting import eventually_async


@dataclass(frozen=True, slots=True)
class Sighting:
    """A state of an Instance."""

    at: float
    """Monotonic seconds."""

    obj: Object

    @property
    def said(self) -> tuple[str, str]:
        """Its phase, and the reason of its condition Ready."""
        return self.obj.get("status", {}).get("phase", ""), ready_of(self.obj).get("reason", "")


class Witness:
    """What has been seen of one Instance, in order, and when a process of its guest was last seen to end."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.ends: list[float] = []

    def says(self, phase: str, reason: str) -> Sighting | None:
        """When it first said so."""
        return next((each for each in self.sightings if each.said == (phase, reason)), None)

    async def waits_for(self, phase: str, reason: str, seconds: float = 60) -> Sighting:
        """The first time that it says so, in the past or to come."""
        try:
            return await eventually_async(lambda: self.says(phase, reason), f"{phase} {reason}", seconds)
        except AssertionError as error:
            error.add_note(f"it has said {[each.said for each in self.sightings]}")
            raise


@asynccontextmanager
async def witness(client: Client, namespace: str, name: str, pids: Callable[[], list[int]]) -> AsyncIterator[Witness]:
    """Watch an Instance, and the processes that `pids` gives, for the time of the block."""
    seen = Witness()

    def changed(change: Change) -> None:
        if change.new is not None:
            seen.sightings.append(Sighting(time.monotonic(), change.new))

    async def watch_ends() -> None:
        before: set[int] = set()
        while True:
            now = set(pids())
            seen.ends += [time.monotonic() for _ in before - now]
            before = now
            await asyncio.sleep(0.02)

    reflector = Reflector(client, INSTANCES, changed, namespace=namespace, field_selector=f"metadata.name={name}")
    tasks = [asyncio.create_task(reflector.run()), asyncio.create_task(watch_ends())]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
