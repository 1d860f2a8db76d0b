"""What goes on in a cluster while something is done to our release: Instances are created, and consoles looked at."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from selectors import DefaultSelector

from hypernova_api.console import ConsoleType
from hypernova_cli.connection import Ending
from hypernova_cli.consoles import Consoles
from hypernova_cli.errors import NoConsoleProxy
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, KubeError
from hypernova_kube.reflector import Change, Reflector
from support.agents import INSTANCES
from support.builders import an_instance
from support.waiting import eventually, eventually_async

NAMESPACE = "default"
CREATE_SECONDS = 5.0
RETRY_SECONDS = 0.1
GONE = "gone"


@dataclass(frozen=True, slots=True)
class Break:
    """A connection to a console that was ended, and could be opened again."""

    ending: Ending
    seconds: float
    """Until it could."""

    tries: int
    """How often that was tried."""


@dataclass(slots=True)
class Meanwhile:
    """What has been seen so far."""

    created: list[str] = field(default_factory=list)
    """Names of the Instances that were created."""

    refused: list[str] = field(default_factory=list)
    """Why a creation failed, in the API server's words. It was tried again."""

    phases: dict[str, list[str]] = field(default_factory=dict)
    """Of each Instance, by name, in order; `gone` at the end of one that was deleted."""

    breaks: list[Break] = field(default_factory=list)
    """Of the one connection to a guest's screen, which is opened again whenever it ends."""

    connected: bool = False
    """Whether the screen is looked at now."""

    def passed(self, *names: str) -> set[str]:
        """All phases that any of them was in."""
        return {phase for name in names for phase in self.phases[name]}

    # What is done

    async def watch(self, client: Client) -> None:
        """See each state of each Instance."""

        def changed(change: Change) -> None:
            status = {} if change.new is None else change.new.get("status", {})
            phase = GONE if change.new is None else str(status.get("phase", ""))
            seen = self.phases.setdefault(change.key.name, [])
            if seen[-1:] != [phase]:
                seen.append(phase)

        await Reflector(client, INSTANCES, changed, namespace=NAMESPACE).run()

    async def create(self, client: Client, prefix: str) -> None:
        """What a pipeline of users does: it creates an Instance every five seconds, and what fails, again at once."""
        wanted = {"flavor": "m1.boot", "image": {"name": "boot"}, "terminationGracePeriodSeconds": 0}
        while True:
            name = f"{prefix}-{len(self.created)}"
            try:
                await client.create(INSTANCES, an_instance(name, NAMESPACE, **wanted))
            except AlreadyExists:
                pass  # it was done, and only its answer lost
            except KubeError as error:
                self.refused.append(str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.created.append(name)
            await asyncio.sleep(CREATE_SECONDS)

    async def look(self, client: Client, name: str) -> None:
        """See the screen of a guest, and whenever that ends, try until it is there again."""
        consoles = Consoles(client, NAMESPACE)
        ending, ended, tries = None, 0.0, 0
        while True:
            tries += 1
            try:
                async with consoles.connected(name, ConsoleType.VNC, {}) as connection:
                    if ending is not None:
                        self.breaks.append(Break(ending, time.monotonic() - ended, tries))
                    self.connected = True
                    while not isinstance(told := await connection.receive(), Ending):
                        pass
                self.connected = False
                ending, ended, tries = told, time.monotonic(), 0
            except (KubeError, NoConsoleProxy):
                await asyncio.sleep(RETRY_SECONDS)


@contextmanager
def meanwhile(kubeconfig: Path, *, prefix: str = "", looking_at: str = "") -> Iterator[Meanwhile]:
    """All of that for the time of the block, with an administrator's rights.

    Args:
        kubeconfig: theirs.
        prefix: of the names of what is created; nothing is if it is empty.
        looking_at: the guest whose screen is looked at, from before the block begins; none if it is empty.
    """
    seen, selector, over = Meanwhile(), DefaultSelector(), asyncio.Event()
    loop = asyncio.SelectorEventLoop(selector)
    errors: list[BaseException] = []

    async def work() -> None:
        async with await Client.connect(kubeconfig, component="test") as client:
            tasks = [seen.watch(client)]
            tasks += [seen.create(client, prefix)] if prefix else []
            tasks += [seen.look(client, looking_at)] if looking_at else []
            running = [asyncio.create_task(task) for task in (over.wait(), *tasks)]
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in running:
                task.cancel()
            results = await asyncio.gather(*running, return_exceptions=True)
            errors.extend(result for result in results if isinstance(result, Exception))
        # TLS says good-bye after its client is closed. What is left then is the loop's own way to be woken.
        await eventually_async(lambda: len(selector.get_map()) == 1, "all connections to be closed", 60)

    thread = threading.Thread(target=loop.run_until_complete, args=[work()], name="meanwhile")
    thread.start()
    try:
        if looking_at:
            eventually(lambda: seen.connected, f"{looking_at}'s screen", 60)
        yield seen
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
    assert not errors, errors
