"""Hearing of a node's InstanceActions, and of Instances that go and leave some behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hypernova_agent.actions.actions import NodeActions
from hypernova_agent.actions.board import ACTIONS, Board, selector
from hypernova_agent.host import Host
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.user_data import FetchUserData
from hypernova_agent.view import View
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Key


class ActionWatch:
    """The actions of one node, and the watch that tells of them."""

    def __init__(
        self,
        client: Client,
        host: Host,
        store: ImageStore,
        instances: View,
        events: EventRecorder,
        metrics: AgentMetrics,
        *,
        node: str,
        wake: Callable[[Key], None],
        forget: Callable[[Key, str], None],
        fetch_user_data: FetchUserData,
    ) -> None:
        """A watch that has not begun; arguments as of `NodeActions`, and the node's name."""
        self._wake = wake
        self._reflector = Reflector(
            client, ACTIONS, self._changed, field_selector=selector(node), on_listed=self._listed
        )
        self._board = board = Board(self._reflector.objects)
        self.actions = NodeActions(
            client,
            host,
            store,
            board,
            instances,
            events,
            metrics,
            wake=wake,
            forget=forget,
            fetch_user_data=fetch_user_data,
        )
        self._bereft: WorkQueue[Key] = WorkQueue(
            self.actions.fail, workers=1, backoff=Backoff(), name="actions", metrics=client.metrics
        )

    async def run(self) -> None:
        """For ever; end it by cancelling. What is under way is left to the next process."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._reflector.run())
                group.create_task(self._bereft.run())
        finally:
            await self.actions.close()

    def hurry(self) -> None:
        """The API server answers again."""
        self._reflector.hurry()

    def instance_changed(self, change: Change) -> None:
        """An Instance is not what it was: its actions may have lost it."""
        for key in self.actions.of(change):
            self._check(key)

    def _listed(self) -> None:
        for action in self._board.listed():
            self._wake(Key(action.metadata.namespace, action.spec.instance))

    def _changed(self, change: Change) -> None:
        news = self.actions.changed(change)
        self._check(change.key)
        obj = change.new if change.new is not None else change.old
        if news and obj is not None:
            self._wake(Key(change.key.namespace, obj["spec"]["instance"]))

    def _check(self, key: Key) -> None:
        if self.actions.bereft(key):
            self._bereft.add(key)
