"""A host as one agent has it: each call may be watched, refused, lost or never come back, and dies with the agent."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from hypernova_agent.host import Host, HostError, HostUnreachable
from support.memory_host import MemoryHost
from support.soak_process import Process, shielded

CALLS = sorted(name for name, member in vars(Host).items() if inspect.iscoroutinefunction(member))
"""All that a host can be asked, but for the connection itself."""
CALLS.remove("connect")
CALLS.remove("close")

_SIGNATURES = {name: inspect.signature(getattr(Host, name)) for name in CALLS}

LOOKS = frozenset(
    ("facts", "domains", "domain", "record", "volumes", "volume", "space", "read", "reservations", "guest_info")
)
"""Calls that change nothing."""

_BROKEN_OFF = {"upload", "copy_volume"}
"""Calls that end with their caller; all others are done by a host that has once heard them."""

HANG_SECONDS = 30.0
"""How long the real adapter waits for an answer."""


class HostFate(Enum):
    """What becomes of one call."""

    REFUSED = "the host refuses"
    LOST_BEFORE = "libvirt goes away before the call"
    LOST_AFTER = "libvirt goes away before the answer"
    SLOW = "it takes long"
    HANGS = "no answer comes, though it is done"
    KILLED_BEFORE = "the agent dies before the call"
    KILLED_AFTER = "the agent dies before the answer"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one agent."""

    node: str
    name: str
    arguments: dict[str, Any] = field(hash=False)

    @property
    def changes(self) -> bool:
        """Whether it can change anything."""
        return self.name not in LOOKS

    def __str__(self) -> str:
        parts = [getattr(value, "mac", value) for value in self.arguments.values()]
        shown = ", ".join(str(part)[:60] for part in parts if isinstance(part, str | int | float))
        return f"{self.node}: {self.name}({shown})"


class Witness:
    """Is told what agents ask of hosts. This one takes no notice."""

    def begins(self, process: Process, call: Call) -> HostFate | None:
        """A call is about to be made; says what becomes of it."""

    def done(self, process: Process, call: Call, result: Any) -> None:
        """The host has done it."""


class SoakHost:
    """`hypernova_agent.host.Host`, of one agent."""

    def __init__(self, node: str, memory: MemoryHost, process: Process, witness: Witness) -> None:
        self.memory = memory
        self.deaf = False
        """Set: what befalls domains is not told."""
        self._node = node
        self._process = process
        self._witness = witness
        self._on_lost: Callable[[str], None] = _nobody
        for name in CALLS:
            setattr(self, name, self._forwarded(name))

    def as_host(self) -> Host:
        """The same; its calls are made when it is."""
        return cast("Host", self)

    @property
    def pool_path(self) -> str:
        return self.memory.pool_path

    async def connect(self, on_domain_event: Callable[[str], None], on_lost: Callable[[str], None]) -> None:
        def told(uid: str) -> None:
            if self._process.alive and not self.deaf:
                on_domain_event(uid)

        def lost(why: str) -> None:
            if self._process.alive:
                on_lost(why)

        self._process.check()
        await self.memory.connect(told, lost)
        self._on_lost = lost

    async def close(self) -> None:
        await self.memory.close()

    async def _give_up(self) -> None:
        """As the real adapter does when libvirt hangs: the connection is closed, and said to be lost."""
        lost, self._on_lost = self._on_lost, _nobody
        await self.memory.close()
        lost("libvirt hangs")

    def _forwarded(self, name: str) -> Callable[..., Any]:
        signature = _SIGNATURES[name]

        async def forwarded(*args: Any, **kwargs: Any) -> Any:
            self._process.check()
            arguments = dict(signature.bind(self, *args, **kwargs).arguments)
            del arguments["self"]
            call = Call(self._node, name, arguments)
            fate = self._witness.begins(self._process, call)
            await asyncio.sleep(self._process.rng.uniform(0.0005, 0.01))
            await self._before(fate, name)
            work = self._done(call, args, kwargs)
            result = await (work if name in _BROKEN_OFF else shielded(work))
            await self._after(fate)
            self._process.check()
            return result

        return forwarded

    async def _done(self, call: Call, args: Any, kwargs: Any) -> Any:
        result = await getattr(self.memory, call.name)(*args, **kwargs)
        self._witness.done(self._process, call, result)
        return result

    async def _before(self, fate: HostFate | None, name: str) -> None:
        match fate:
            case HostFate.REFUSED:
                raise HostError(f"internal error: {name} does not work today")
            case HostFate.LOST_BEFORE:
                self.memory.lose()
            case HostFate.SLOW:
                await asyncio.sleep(self._process.rng.uniform(1, HANG_SECONDS - 1))
            case HostFate.KILLED_BEFORE:
                self._process.kill()
                await asyncio.sleep(0)
            case _:
                pass

    async def _after(self, fate: HostFate | None) -> None:
        match fate:
            case HostFate.LOST_AFTER:
                self.memory.lose()
                raise HostUnreachable("libvirt went away")
            case HostFate.HANGS:
                await asyncio.sleep(HANG_SECONDS)
                await self._give_up()
                raise HostUnreachable(f"libvirt did not answer for {HANG_SECONDS:g} s")
            case HostFate.KILLED_AFTER:
                self._process.kill()
                await asyncio.sleep(0)
            case _:
                pass


def _nobody(_: str) -> None:
    """Whom nobody has asked to be told."""
