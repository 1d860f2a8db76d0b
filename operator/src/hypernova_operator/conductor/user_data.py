"""User data in Secrets, read for the agent that builds the guest."""

from __future__ import annotations

import time
from collections.abc import Callable

from hypernova_api.action import InstanceAction
from hypernova_api.conductor import Refusal
from hypernova_api.instance import Instance
from hypernova_kube.client import Client
from hypernova_kube.errors import Forbidden, KubeError, NotFound, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Object, Resource
from hypernova_kube.throttle import Throttle
from hypernova_operator.conductor import rules
from hypernova_operator.conductor.reviews import Reviews
from hypernova_operator.conductor.rules import Refused, Wanted

log = get_logger(__name__)

SECRETS = Resource("", "v1", "secrets", "Secret")
INSTANCES = Resource.of(Instance)
ACTIONS = Resource.of(InstanceAction)

_RATE, _BURST = 5.0, 100.0
"""Requests a second, and at once, of one node: it asks once for each guest that it builds."""


class UserDataReader:
    """Answers agents. Nothing of a Secret is kept, or logged."""

    def __init__(self, client: Client, namespace: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """A reader; `namespace` is Hypernova's."""
        self._client = client
        self._namespace = namespace
        self._reviews = Reviews(client, clock=clock)
        self._throttle = Throttle(_RATE, _BURST, clock)

    async def read(self, token: str, wanted: Wanted) -> bytes:
        """The user data, for the agent that shows the token.

        Raises:
            Refused: there is none for it.
        """
        try:
            node = rules.node_of(await self._reviews.review(token), self._namespace)
            if wait := self._throttle.take(node):
                raise Refused(Refusal.TOO_MANY_REQUESTS, f"node {node} asks too often: ask again", wait)
            content = await self._for_node(wanted, node)
        except KubeError as error:
            message = f"the conductor has no answer from the API server: {in_words(error)}"
            raise Refused(Refusal.API_SERVER_AWAY, message) from error
        log.info("user data handed out", instance=wanted.instance, node=node, bytes=len(content))
        return content

    async def _for_node(self, wanted: Wanted, node: str) -> bytes:
        namespace, name = wanted.instance
        # Asked of the API server each time: a standby's cache, or ours, may lag behind what the agent has seen.
        found = await self._find(INSTANCES, name, namespace)
        instance = rules.checked(Instance.parse(found) if found is not None else None, wanted, node)
        if wanted.action:
            found = await self._find(ACTIONS, wanted.action, namespace)
            reference = rules.secret_of_action(InstanceAction.parse(found) if found is not None else None, wanted)
        else:
            reference = rules.secret_of_instance(instance)
        try:
            secret = await self._find(SECRETS, reference.name, namespace)
        except Forbidden:
            raise rules.forbidden(namespace, self._namespace) from None
        return rules.content_of(secret, reference)

    async def _find(self, resource: Resource, name: str, namespace: str) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace)
        except NotFound:
            return None
