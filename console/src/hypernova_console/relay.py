"""Passing consoles on: what both doors call when they have let a viewer in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiohttp import web

from hypernova_api.console import CloseCode, ConsoleType, ConsoleUser
from hypernova_console.agents import Agents
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord, Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.pump import HEARTBEAT_SECONDS, STOPPING, Goodbye, pump, viewer_socket
from hypernova_console.sessions import Session, Sessions, Sight

_NAMES = {code.value: code.name for code in CloseCode}


class AgentRelay:
    """`consoles.Relay`, by the agents of the nodes."""

    def __init__(
        self,
        sessions: Sessions,
        agents: Agents,
        metrics: ConsoleMetrics,
        *,
        exclusive_vnc: bool = False,
        heartbeat: float = HEARTBEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A relay that passes on nothing yet.

        Args:
            sessions: tell where the guest is, and when it must end.
            agents: the way there.
            metrics: counts.
            exclusive_vnc: whether only one at a time may look at a guest's screen.
            heartbeat: how long a viewer may be silent before he is asked for a sign of life.
            clock: monotonic seconds.
        """
        self._sessions = sessions
        self._agents = agents
        self._metrics = metrics
        self._exclusive_vnc = exclusive_vnc
        self._heartbeat = heartbeat
        self._clock = clock
        self._stopping = asyncio.Event()

    async def __call__(self, request: web.Request, session: Session, *, take_over: bool) -> web.StreamResponse:
        viewer = viewer_socket(self._heartbeat)
        upgrade = viewer.can_prepare(request).ok
        async with self._sessions.sight(session) as sight:
            agent = await self._agents.console(
                session,
                sight.place,
                exclusive=self._exclusive_vnc and session.type is ConsoleType.VNC,
                take_over=take_over and upgrade,
            )
            if not upgrade:
                # A page cannot see why it gets no WebSocket: it asks again without, and hears of all that was before.
                await agent.close()
                raise Refused(426, "UpgradeRequired", "a console is a WebSocket: ask for one")
            with self._metrics.connections.labels(session.type).track_inprogress():
                began = self._clock()
                goodbye = await pump(
                    request,
                    viewer,
                    agent,
                    self._ended(sight),
                    to_viewer=self._metrics.bytes.labels(session.type, "viewer").inc,
                    to_guest=self._metrics.bytes.labels(session.type, "guest").inc,
                )
                self._metrics.seconds.labels(session.type).inc(self._clock() - began)
                self._metrics.endings.labels(session.type, _reason(goodbye)).inc()
        return viewer

    def stop(self) -> None:
        """End all with UNREACHABLE, and each that begins from now on: viewers come again, through another replica."""
        self._stopping.set()

    async def _ended(self, sight: Sight) -> Goodbye:
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(sight.ended())
        try:
            await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                return STOPPING
            ending = ended.result()
            return Goodbye(ending.code, ending.reason)
        finally:
            stopping.cancel()
            ended.cancel()


class AgentScreenshot:
    """`consoles.Screenshot`, by the agents of the nodes."""

    def __init__(self, instances: Instances, agents: Agents) -> None:
        self._instances = instances
        self._agents = agents

    async def __call__(self, instance: InstanceRecord, user: ConsoleUser) -> bytes:
        return await self._agents.screenshot(self._instances.place(instance), instance, user)


def _reason(goodbye: Goodbye) -> str:
    return "ViewerLeft" if goodbye.by_viewer else _NAMES.get(goodbye.code, "OTHER")
