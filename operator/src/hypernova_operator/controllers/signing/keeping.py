"""The authority made once and kept: the Secret that holds it, and the ConfigMap that tells all whom to trust."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from hypernova_api.certificates import AUTHORITY
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, KubeError, NotFound, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Object, Resource
from hypernova_operator.controllers.signing.authority import Authority, BrokenAuthority, from_secret, new_authority
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")

LOOK_SECONDS = 30.0
"""How often it is looked whether both are as they should be."""


class Keeper:
    """Keeps the authority, as the leader.

    Whoever replaces the Secret has another authority used, and whoever deletes it has a new one made; all who hear of
    it from the ConfigMap get new certificates at once.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        metrics: Metrics,
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._authority: Authority | None = None
        self._subscribers: list[Callable[[], None]] = []

    @property
    def authority(self) -> Authority | None:
        """What to sign with; None while there is nothing that is good."""
        authority = self._authority
        return authority if authority is not None and self._wall_clock() < authority.ends_at else None

    def subscribe(self, on_change: Callable[[], None]) -> None:
        """Have `on_change` called whenever the authority is another one."""
        self._subscribers.append(on_change)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        backoff = Backoff(cap=LOOK_SECONDS)
        while True:
            wait = LOOK_SECONDS
            try:
                await self.keep()
                backoff.forget(AUTHORITY)
            except (KubeError, BrokenAuthority) as error:
                wait = backoff.next(AUTHORITY)
                log.error("no authority", name=AUTHORITY, error=in_words(error), retry_in_s=wait)
            await asyncio.sleep(wait)

    async def keep(self) -> None:
        """Make what is missing, and put right what is wrong.

        Raises:
            KubeError: the API server does not answer, or refuses.
            BrokenAuthority: the Secret is there, and keeps none. It may be an administrator's, and is left alone.
        """
        authority = from_secret(await self._secret())
        if authority.ends_at <= self._wall_clock():
            raise BrokenAuthority(
                f"it ended on {authority.ends_at:%Y-%m-%d}: delete the Secret {AUTHORITY} to get another"
            )
        await self._tell(authority)
        if self._authority is None or authority.certificate != self._authority.certificate:
            self._authority = authority
            self._metrics.authority_expiry.set(authority.ends_at.timestamp())
            log.info("authority in use", name=AUTHORITY, message=f"good until {authority.ends_at:%Y-%m-%d}")
            for on_change in self._subscribers:
                on_change()

    async def _secret(self) -> Object:
        try:
            return await self._client.get(SECRETS, AUTHORITY, self._namespace)
        except NotFound:
            pass
        try:
            return await self._client.create(SECRETS, new_authority(self._wall_clock()).secret(self._namespace))
        except AlreadyExists:
            # Another leader, one that does not know yet that it is none any more: its authority is as good as ours.
            return await self._client.get(SECRETS, AUTHORITY, self._namespace)

    async def _tell(self, authority: Authority) -> None:
        wanted = authority.config_map(self._namespace)
        try:
            found = await self._client.get(CONFIG_MAPS, AUTHORITY, self._namespace)
        except NotFound:
            await self._client.create(CONFIG_MAPS, wanted)
            return
        if found.get("data") != wanted["data"]:
            others = dict.fromkeys(found.get("data") or {})
            await self._client.patch(CONFIG_MAPS, AUTHORITY, {"data": others | wanted["data"]}, self._namespace)
