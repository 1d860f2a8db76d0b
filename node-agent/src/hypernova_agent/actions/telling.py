"""Telling the API server what becomes of an action: its status, an event of what failed, a count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from hypernova_agent.actions import report
from hypernova_agent.actions.board import ACTIONS, Board
from hypernova_agent.actions.report import Failed, Result
from hypernova_agent.metrics import AgentMetrics
from hypernova_api.action import ActionStep, InstanceAction
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object

log = get_logger(__name__)


class ActionTeller:
    """Writes the status of actions, each time on condition that it is still what was looked at.

    Every method raises what the API server does (`KubeError`).
    """

    def __init__(
        self,
        client: Client,
        board: Board,
        events: EventRecorder,
        metrics: AgentMetrics,
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._board = board
        self._events = events
        self._metrics = metrics
        self._wall_clock = wall_clock

    async def begin(self, action: InstanceAction, steps: Sequence[ActionStep]) -> InstanceAction:
        """It runs; returns it as it is then."""
        begun = await self._write(action, report.begun(action, steps, self._wall_clock()))
        log.info("action begun", instance=instance_key(action), action=action.spec.type, name=action.metadata.name)
        return InstanceAction.parse(begun)

    async def wait(self, action: InstanceAction, before: InstanceAction) -> None:
        """It waits for another."""
        await self._tell(action, report.waiting(action, before, self._wall_clock()))

    async def progress(self, action: InstanceAction, steps: Sequence[ActionStep], part: float) -> None:
        """So much of 1 is done."""
        await self._tell(action, report.progressed(action, steps, int(100 * part), self._wall_clock()))

    async def hinder(self, action: InstanceAction, reason: str, message: str) -> None:
        """Something is in its way, and is tried again."""
        await self._tell(action, report.hindered(action, reason, message, self._wall_clock()))

    async def end(self, action: InstanceAction, steps: Sequence[ActionStep], result: Result) -> None:
        """It is done, or has failed."""
        ended = await self._write(action, report.ended(action, steps, result, self._wall_clock()))
        type_, reason = action.spec.type, result.reason if isinstance(result, Failed) else ""
        self._metrics.actions.labels(type_, reason).inc()
        log.info("action ended", instance=instance_key(action), action=type_, name=action.metadata.name, reason=reason)
        if isinstance(result, Failed):
            self._events.warning(ended, result.reason, result.message)

    async def _tell(self, action: InstanceAction, patch: Object | None) -> None:
        if patch is not None:
            await self._write(action, patch)

    async def _write(self, action: InstanceAction, patch: Object) -> Object:
        metadata = action.metadata
        try:
            written = await self._client.patch(ACTIONS, metadata.name, patch, metadata.namespace, subresource="status")
        except Conflict:
            # Somebody has put a label on it, say: go on from what is there now, with the next look.
            self._board.wrote(await self._client.get(ACTIONS, metadata.name, metadata.namespace))
            raise
        self._board.wrote(written)
        return written


def instance_key(action: InstanceAction) -> Key:
    """The name of the Instance that an action is for."""
    return Key(action.metadata.namespace, action.spec.instance)
