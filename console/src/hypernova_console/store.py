"""ConsoleSessions as they are stored: looked up, begun once, deleted. Errors of the API server become refusals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from pydantic import ValidationError

from hypernova_api.console import ConsoleSession
from hypernova_console.errors import Refused
from hypernova_console.session import SESSIONS, Session, text_of
from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, Conflict, KubeError, NotFound, in_words
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Key, Object
from hypernova_kube.throttle import TokenBucket

LOOKUPS = 20.0, 100.0
"""Sessions asked for of which no watch has told, in all: a second, and at once. Guesses cost the API server no more."""


class SessionStore:
    """The ConsoleSessions of the cluster; mostly those that the watch has told of."""

    def __init__(
        self,
        client: Client,
        on_change: Callable[[Change], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._lookups = TokenBucket(*LOOKUPS, monotonic())
        self._reflector = Reflector(client, SESSIONS, on_change)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        await self._reflector.run()

    @property
    def synced(self) -> bool:
        """Whether all that there were at the beginning are known."""
        return self._reflector.synced.is_set()

    def all(self) -> Iterable[Object]:
        """Those there are, as the watch last told."""
        return list(self._reflector.objects.values())

    async def find(self, key: Key, enough: Callable[[ConsoleSession], bool] = lambda kind: True) -> Object | None:
        """The one of that name, and valid; as the watch has told, if that is `enough`, else as it is stored.

        Raises:
            Refused: 429 TooManyTries, 503 Unavailable.
        """
        try:
            known = self._reflector.objects.get(key)
            if known is not None and enough(ConsoleSession.parse(known)):
                return known
            if wait := self._lookups.take(self._monotonic()):
                raise too_many(wait)
            stored = await self._client.get(SESSIONS, key.name, key.namespace)
            ConsoleSession.parse(stored)
        except (NotFound, ValidationError):
            return None
        except KubeError as error:
            raise unavailable(error) from error
        return stored

    async def again(self, session: Session) -> Object | None:
        """The same one as it is stored now; None if it is gone.

        Raises:
            KubeError: nobody knows.
        """
        try:
            obj = await self._client.get(SESSIONS, session.key.name, session.key.namespace)
        except NotFound:
            return None
        return obj if obj["metadata"]["uid"] == session.uid else None

    async def is_there(self, session: Session) -> bool:
        """Whether nobody has ended it, as far as is known.

        Raises:
            KubeError: nobody knows.
        """
        known = self._reflector.objects.get(session.key)
        if known is not None:
            return bool(known["metadata"]["uid"] == session.uid)
        return await self.again(session) is not None

    async def create(self, obj: Object) -> Object:
        """As stored.

        Raises:
            Refused: 403 Forbidden (a quota, a policy, a namespace that is being deleted), 503 Unavailable.
        """
        try:
            return await self._client.create(SESSIONS, obj)
        except ApiError as error:
            if error.status in (403, 422):
                raise Refused(403, "Forbidden", f"no session can be made: {error.message}") from error
            raise unavailable(error) from error
        except KubeError as error:
            raise unavailable(error) from error

    async def begin(self, obj: Object, now: datetime, key_digest: str = "") -> Object:
        """The session, begun, as stored: at most one of all who try this with the same object gets it.

        Raises:
            Conflict: it is not as in `obj` any more.
            NotFound: it is gone.
            KubeError: nothing was done, or nobody knows.
        """
        metadata = obj["metadata"]
        expires_at = now + timedelta(seconds=obj["spec"]["maxSeconds"])
        status = {"startedAt": text_of(now), "expiresAt": text_of(expires_at)}
        patch = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "uid": metadata["uid"]},
            "status": status | ({"keyDigest": key_digest} if key_digest else {}),
        }
        return await self._client.patch(SESSIONS, metadata["name"], patch, metadata["namespace"], subresource="status")

    async def delete(self, session: Session) -> None:
        """No error if it is gone already.

        Raises:
            Refused: 503 Unavailable.
        """
        try:
            await self._client.delete(SESSIONS, session.key.name, session.key.namespace, uid=session.uid)
        except (NotFound, Conflict):
            return
        except KubeError as error:
            raise unavailable(error) from error


def too_many(wait: float) -> Refused:
    """For who is to wait some seconds."""
    return Refused(429, "TooManyTries", f"too many tries: wait {wait:.0f} s", retry_after=wait)


def unavailable(error: KubeError) -> Refused:
    """For who asked for what the API server would have to do, or to know."""
    return Refused(503, "Unavailable", f"the API server cannot be asked now, try again: {in_words(error)}")
