"""Who looks at which guest: who may come beside whom, and who of them writes.

Only the agent sees all viewers of a guest, through however many proxies they come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hypernova_agent.console.endings import Ending, taken_over
from hypernova_api.console import ConsoleType

MOST_VIEWERS = 32
"""Of one console of one guest."""

Console = tuple[str, ConsoleType]
"""The UID of a domain, and what of it is looked at."""


@dataclass(eq=False, slots=True)
class Viewer:
    """One connection to one console."""

    user: str
    session: str
    """NAMESPACE/NAME of its ConsoleSession: one that comes again while its old connection still seems to be there."""

    read_only: bool
    exclusive: bool
    since: datetime
    ended: asyncio.Future[Ending] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Why it is to end, once it is."""

    def end(self, ending: Ending) -> None:
        """End it; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(ending)


class InUse(Exception):
    """Those who are there are in the way. The text says who, and what can be done.

    Attributes:
        holder: the user who has been there longest of them.
    """

    def __init__(self, holder: str, message: str) -> None:
        super().__init__(message)
        self.holder = holder


class Full(Exception):
    """Too many look at it already."""


def in_the_way(present: Iterable[Viewer], comer: Viewer) -> list[Viewer]:
    """Those beside whom one cannot come: if either wants to be alone. Pure."""
    return [viewer for viewer in present if viewer.exclusive or comer.exclusive]


def writer(present: Sequence[Viewer], holder: Viewer | None) -> Viewer | None:
    """Who writes: who did, else who of those that may has been there longest. Pure."""
    if holder in present:
        return holder
    return next((viewer for viewer in present if not viewer.read_only), None)


class Sharing:
    """The viewers of all consoles of a node."""

    def __init__(self) -> None:
        self._viewers: dict[Console, list[Viewer]] = {}

    def of(self, uid: str) -> list[Viewer]:
        """All who look at anything of a guest."""
        return [viewer for (whose, _), viewers in self._viewers.items() if whose == uid for viewer in viewers]

    def all(self) -> list[Viewer]:
        """All there are."""
        return [viewer for viewers in self._viewers.values() for viewer in viewers]

    def enter(self, console: Console, comer: Viewer, *, take_over: bool) -> None:
        """Let one in, ending those in his way if he wants that, or if they are of his own session.

        Raises:
            InUse: somebody is in the way.
            Full: there are MOST_VIEWERS.
        """
        present = self._viewers.get(console, [])
        others = in_the_way(present, comer)
        strangers = [viewer for viewer in others if viewer.session != comer.session]
        if strangers and not take_over:
            raise _in_use(strangers)
        staying = [viewer for viewer in present if viewer not in others]
        if len(staying) >= MOST_VIEWERS:
            raise Full(f"{len(staying)} look at it already, and no more can")
        for viewer in others:
            viewer.end(taken_over(comer.user))
        self._viewers[console] = [*staying, comer]

    def leave(self, console: Console, viewer: Viewer) -> None:
        """One is gone; one who was ended is not counted any more, and may leave."""
        left = [other for other in self._viewers.get(console, []) if other is not viewer]
        if left:
            self._viewers[console] = left
        else:
            self._viewers.pop(console, None)


def _in_use(strangers: Sequence[Viewer]) -> InUse:
    first = strangers[0]
    who = f"{first.user} and {len(strangers) - 1} more are" if len(strangers) > 1 else f"{first.user} is"
    how = "alone with it" if first.exclusive else "looking at it"
    return InUse(
        first.user, f"{who} {how} since {first.since:%Y-%m-%dT%H:%M:%SZ}: come with takeOver=true to end that, or later"
    )
