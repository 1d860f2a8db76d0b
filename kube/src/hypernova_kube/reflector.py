"""A copy of one resource's objects, kept equal to the API server's. (Signatures; the bodies follow.)"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hypernova_kube.client import Client
from hypernova_kube.resources import Key, Object, Resource


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object: added (no old), modified (both) or gone (no new)."""

    key: Key
    old: Object | None
    new: Object | None


class Reflector:
    """Lists, watches and keeps the objects of one resource, telling every difference once."""

    synced: asyncio.Event
    """Set when the first list is in `objects` and its Changes have been told."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        on_change: Callable[[Change], None],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        inactivity_timeout: float = 70.0,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        raise NotImplementedError

    @property
    def objects(self) -> Mapping[Key, Object]:
        """The objects as last seen, without managedFields. Read only; do not change them."""
        raise NotImplementedError

    def last_activity_age(self) -> float:
        """Seconds since the API server last told us anything."""
        raise NotImplementedError

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        raise NotImplementedError
