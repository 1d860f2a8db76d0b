"""Telling the API server what came of a look at an Instance: its status, and events of what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hypernova_agent.desired import Desired, Guest
from hypernova_agent.host import Domain
from hypernova_agent.outcome import Ended, Failed, Outcome, Settled
from hypernova_agent.status import Facts, status_patch, verdict
from hypernova_agent.view import View
from hypernova_api.instance import Instance
from hypernova_kube.client import Client
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Resource

log = get_logger(__name__)

INSTANCES = Resource.of(Instance)


@dataclass(frozen=True, slots=True)
class News:
    """What came of a look."""

    desired: Desired
    outcome: Outcome
    domain: Domain | None
    restarts: int = 0
    """As `Facts.restarts`."""

    refused: str = ""
    """As `Facts.refused`."""


class Teller:
    """Says what is new, and nothing twice."""

    def __init__(self, client: Client, view: View, events: EventRecorder, wall_clock: Callable[[], datetime]) -> None:
        self._client = client
        self._view = view
        self._events = events
        self._wall_clock = wall_clock

    async def tell(self, key: Key, instance: Instance, news: News) -> None:
        """Have the status of an Instance say it, on condition that it is still what was looked at.

        Raises:
            KubeError: from the API server.
        """
        outcome, guest = news.outcome, news.desired.guest
        told = verdict(news.desired, outcome, news.domain)
        facts = Facts(
            settled=outcome if isinstance(outcome, Settled) else None,
            launched=news.domain is not None,
            restarts=news.restarts,
            refused=news.refused,
            build=guest.build if isinstance(guest, Guest) else None,
        )
        patch = status_patch(instance, told, self._wall_clock(), facts)
        if patch is None:
            return
        written = await self._client.patch(INSTANCES, key.name, patch, key.namespace, subresource="status")
        self._view.wrote(written)
        log.info("status", instance=key, phase=told.phase, reason=told.reason)
        match outcome:
            case Failed(reason=reason, message=message):
                self._events.warning(written, reason, message)
            case Ended():
                self._events.warning(written, told.reason, "the guest ended by itself")
