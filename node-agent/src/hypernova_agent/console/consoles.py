"""What of this node's guests can be seen: where it is, who sees it, and why that ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar
from weakref import WeakValueDictionary

from hypernova_agent.console import endings
from hypernova_agent.console.endings import Ending
from hypernova_agent.console.request import ConsoleRequest, Refused
from hypernova_agent.console.serial import SerialPorts
from hypernova_agent.console.sharing import Full, InUse, Sharing, Viewer
from hypernova_agent.desired import domain_uid
from hypernova_agent.host import Domain, DomainState, Host, HostError, HostFault, HostUnreachable
from hypernova_agent.metrics import AgentMetrics
from hypernova_api.console import ConsoleType
from hypernova_api.instance import Instance
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object

T = TypeVar("T")

log = get_logger(__name__)

_OFF = frozenset({DomainState.SHUT_OFF, DomainState.CRASHED})

_LOOKS = 20
_LOOK_SECONDS = 0.1
"""How long libvirt may take to notice that a guest has ended whose screen has."""


class Consoles:
    """The consoles of one node's guests."""

    def __init__(
        self,
        host: Host,
        instance: Callable[[Key], Instance | None],
        metrics: AgentMetrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Consoles that nobody looks at.

        Args:
            host: where the guests are.
            instance: an Instance as it was last known; None if it is not on this node.
            metrics: what is counted.
            clock: the time of day, in UTC.
        """
        self.host = host
        self.metrics = metrics
        self.serial_ports = SerialPorts(host)
        self._instance = instance
        self._clock = clock
        self._sharing = Sharing()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def domain_of(self, asked: ConsoleRequest) -> str:
        """The UID of the domain that is asked for.

        Raises:
            Refused: no Instance of this node is meant.
        """
        instance = self._instance(asked.instance)
        if instance is None or instance.metadata.uid != asked.uid:
            raise Refused(
                404, "InstanceNotHere", f"there is no Instance {asked.instance} with UID {asked.uid} on this node"
            )
        return domain_uid(instance)

    async def have(self, uid: str, opening: Callable[[str], Awaitable[T]]) -> T:
        """What the host opens or shows of a guest: of each one thing at a time, as each takes a thread.

        Raises:
            Refused: it cannot be had.
        """
        turn = self._turns.setdefault(uid, asyncio.Lock())
        try:
            async with turn:
                return await opening(uid)
        except HostUnreachable as error:
            raise Refused(503, "HostUnreachable", f"libvirt on the node does not answer: {error}") from error
        except HostError as error:
            if _is_off(await self._domain(uid)):
                raise Refused(409, "GuestOff", "the guest is off: it has a console while it runs") from error
            raise Refused(502, "HostError", str(error)) from error

    @contextlib.contextmanager
    def seat(self, asked: ConsoleRequest, uid: str, kind: ConsoleType) -> Iterator[Viewer]:
        """One who looks, from now on until he is done.

        Raises:
            Refused: others are in the way.
        """
        console = (uid, kind)
        viewer = Viewer(
            asked.user, asked.session, read_only=asked.read_only, exclusive=asked.exclusive, since=self._clock()
        )
        try:
            self._sharing.enter(console, viewer, take_over=asked.take_over)
        except InUse as error:
            raise Refused(409, "InUse", str(error), holder=error.holder) from error
        except Full as error:
            raise Refused(429, "TooManyViewers", str(error)) from error
        log.info("console opened", instance=asked.instance, console=kind.value, user=asked.user, session=asked.session)
        try:
            with self.metrics.consoles.labels(kind.value).track_inprogress():
                yield viewer
        finally:
            self._sharing.leave(console, viewer)
            log.info(
                "console closed",
                instance=asked.instance,
                console=kind.value,
                user=asked.user,
                session=asked.session,
                age_s=(self._clock() - viewer.since).total_seconds(),
            )

    async def why_ended(self, asked: ConsoleRequest, uid: str) -> Ending:
        """Why the host has ended what a viewer saw."""
        for _ in range(_LOOKS):
            instance = self._instance(asked.instance)
            if instance is None or instance.metadata.uid != asked.uid:
                return endings.MOVED  # whoever comes again hears whether it was deleted
            if instance.metadata.deletion_timestamp:
                return endings.GONE
            try:
                domain = await self.host.domain(uid)
            except HostFault:
                return endings.LIBVIRT_AWAY
            if _is_off(domain):
                return endings.GUEST_OFF
            await asyncio.sleep(_LOOK_SECONDS)
        return endings.CUT

    def viewers(self, uid: str) -> list[Viewer]:
        """All who look at a guest."""
        return self._sharing.of(uid)

    def gone(self, obj: Object) -> None:
        """An Instance, as it was last seen, is not on this node any more."""
        deleted = "deletionTimestamp" in obj["metadata"]
        for viewer in self._sharing.of(obj.get("status", {}).get("domainUID") or obj["metadata"]["uid"]):
            viewer.end(endings.GONE if deleted else endings.MOVED)

    def end(self) -> None:
        """Nobody sees anything any more: the agent ends."""
        for viewer in self._sharing.all():
            viewer.end(endings.RESTARTING)

    async def _domain(self, uid: str) -> Domain | None:
        try:
            return await self.host.domain(uid)
        except HostFault as error:
            raise Refused(503, "HostUnreachable", f"libvirt on the node does not answer: {error}") from error


def _is_off(domain: Domain | None) -> bool:
    return domain is None or domain.state in _OFF
