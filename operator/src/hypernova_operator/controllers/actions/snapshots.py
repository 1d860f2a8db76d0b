"""Images made of what snapshots have left on their nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from hypernova_api import conditions
from hypernova_api.action import IMAGE_CREATED
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, Forbidden, Invalid, NotFound
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_operator.cache.records import InstanceAction
from hypernova_operator.cache.records.action import Owed
from hypernova_operator.controllers.actions import patches
from hypernova_operator.controllers.actions.image import IMAGES, image_of, is_of
from hypernova_operator.controllers.actions.writes import ACTIONS, ActionWrites
from hypernova_operator.controllers.involved import involved
from hypernova_operator.controllers.writes import WRITE_SECONDS

log = get_logger(__name__)

RETRY_SECONDS = 60.0
"""After the API server has refused the Image: who is to change that needs longer."""


class Snapshots:
    """Makes the Image of each Snapshot once: should somebody delete it, that was meant."""

    def __init__(
        self, client: Client, writes: ActionWrites, recorder: EventRecorder, wall_clock: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._writes = writes
        self._recorder = recorder
        self._wall_clock = wall_clock

    async def make(self, action: InstanceAction, owed: Owed) -> float | None:
        """Make it, or say why not.

        Returns:
            Seconds after which to try again; None: not before the Image of that name changes.

        Raises:
            KubeError, TimeoutError: try again later. What was made by then is found then.
        """
        if not self._writes.allowed():
            return None
        key, again = owed.image, None
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._client.create(IMAGES, image_of(action, owed))
        except AlreadyExists:
            try:
                there = await self._client.get(IMAGES, key.name, key.namespace)
            except NotFound:
                return 0.0
            if not is_of(there, action, owed):
                message = (
                    f'there is another Image "{key.name}" by now; once it is gone, this one is made by itself, for as '
                    "long as this InstanceAction is kept"
                )
                return await self._refused(action, "ImageExists", message)
        except (Forbidden, Invalid) as error:
            again = await self._refused(action, "ImageRefused", str(error))
            return RETRY_SECONDS if again is None else again
        if not await self._writes.status(action, patches.image_created(action, self._wall_clock())):
            return 0.0
        self._recorder.normal(involved(ACTIONS, action), IMAGE_CREATED, f'Image "{key.name}", on node {action.node}')
        log.info("image of snapshot created", instance=action.instance, image=key, node=action.node)
        return None

    async def _refused(self, action: InstanceAction, reason: str, message: str) -> float | None:
        said = conditions.find(action.conditions, IMAGE_CREATED)
        if said is not None and (said.reason, said.message) == (reason, message):
            return None
        if not await self._writes.status(action, patches.image_refused(action, reason, message, self._wall_clock())):
            return 0.0
        self._recorder.warning(involved(ACTIONS, action), reason, message)
        return None
