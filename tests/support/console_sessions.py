"""Sessions of the console proxy without a cluster: each is what the test makes it.

sessions = ScriptedSessions(agent.place)
sessions.ending.set_result(REVOKED)               ends its sights
sessions.refusals["sight"] = Refused(403, ...)    what a method answers from now on
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypernova_api.console import ConsoleType, ConsoleUser
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord, Place
from hypernova_console.session import Ending, Session
from hypernova_kube.resources import Key

SESSION = Session(
    key=Key("shop", "web-1-0a1b"),
    uid="session-uid",
    instance=Key("shop", "web-1"),
    instance_uid="instance-uid",
    type=ConsoleType.VNC,
    read_only=False,
    user=ConsoleUser(username="ann@example.com", groups=["dev"]),
    expires_at=datetime.now(UTC) + timedelta(hours=8),
)
INSTANCE = InstanceRecord(SESSION.instance, SESSION.instance_uid, "node-a", "Running", "All is well.", False)
TICKET, KEY = "shop/web-1-0a1b/" + "t" * 43, "k" * 43


@dataclass(slots=True)
class _Sight:
    place: Place
    ending: asyncio.Future[Ending]
    instance: InstanceRecord = INSTANCE

    async def ended(self) -> Ending:
        return await asyncio.shield(self.ending)


class ScriptedSessions:
    """See the module. One session, begun by TICKET and resumed by KEY."""

    def __init__(self, place: Place) -> None:
        self.session = SESSION
        self.refusals: dict[str, Refused] = {}
        self.redeemed: list[str] = []
        self.over = False
        self.viewers = 0
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._place = place

    def change(self, **changes: object) -> None:
        """Another session from now on."""
        self.session = replace(self.session, **changes)

    async def redeem(self, ticket: str, *, peer: str) -> tuple[Session, str]:
        self._check("redeem")
        self.redeemed.append(ticket)
        if ticket != TICKET:
            raise Refused(401, "TicketUnknown", "no such link")
        return self.session, KEY

    async def resume(self, session: Key, key: str, *, peer: str) -> Session:
        self._check("resume")
        if self.over or (session, key) != (self.session.key, KEY):
            raise Refused(401, "SessionUnknown", "no such session")
        return self.session

    async def end(self, session: Session) -> None:
        self._check("end")
        self.over = True

    def connected(self, session: Session) -> int:
        return self.viewers

    @asynccontextmanager
    async def sight(self, session: Session) -> AsyncIterator[_Sight]:
        self._check("sight")
        self.viewers += 1
        try:
            yield _Sight(self._place, self.ending)
        finally:
            self.viewers -= 1

    def _check(self, method: str) -> None:
        if method in self.refusals:
            raise self.refusals[method]
