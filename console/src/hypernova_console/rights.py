"""What users may do, asked of the API server: SubjectAccessReviews, each answer good for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hypernova_api.action import InstanceAction
from hypernova_api.console import SUBRESOURCES_GROUP, ConsoleType, ConsoleUser
from hypernova_api.meta import VERSION
from hypernova_kube.client import Client
from hypernova_kube.resources import Key, Object, Resource

REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)

GOOD_SECONDS = 5.0
"""How long an answer is used again: much less than between two looks at a session."""

MOST_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class Permission:
    """To do one thing to one object."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str = ""
    """Empty where there is none yet, as for `create`."""

    subresource: str = ""

    def __str__(self) -> str:
        whole = "/".join(part for part in (self.resource, self.subresource) if part)
        return f"{self.verb} {whole} in group {self.group}" + (f" of {self.name}" if self.name else "")

    def review(self, user: ConsoleUser) -> Object:
        """The question whether `user` has it, as a SubjectAccessReview."""
        attributes = {
            "verb": self.verb,
            "group": self.group,
            "version": VERSION,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        spec = {
            "user": user.username,
            "uid": user.uid,
            "groups": user.groups,
            "extra": user.extra,
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        return {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind, "metadata": {}, "spec": spec}


def to_look_at(instance: Key, type_: ConsoleType) -> Permission:
    """What a console takes."""
    return Permission("get", SUBRESOURCES_GROUP, "instances", instance.namespace, instance.name, type_.subresource)


def to_act_on(instance: Key) -> Permission:
    """What a power button takes: RBAC knows no name of an InstanceAction that is yet to be made."""
    return Permission("create", InstanceAction.group, InstanceAction.plural, instance.namespace)


class Rights:
    """Asks, and remembers for a moment. Of many who ask the same at once, one asks the API server."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._asked: OrderedDict[tuple[str, Permission], tuple[float, asyncio.Task[bool]]] = OrderedDict()

    async def may(self, user: ConsoleUser, permission: Permission, *, within: float = GOOD_SECONDS) -> bool:
        """Whether a user has a permission.

        Args:
            user: who.
            permission: what for.
            within: how old the answer may be, in seconds.

        Raises:
            KubeError: nobody knows.
        """
        key, now = (user.model_dump_json(), permission), self._clock()
        asked_at, answer = self._asked.get(key, (0.0, None))
        if answer is None or now - asked_at >= within:
            answer = asyncio.create_task(self._ask(user, permission))
            # A failure is no answer: whoever comes next asks again. Its result is taken, whoever is left to see it.
            answer.add_done_callback(partial(self._forget_failure, key))
            self._asked[key] = now, answer
            self._asked.move_to_end(key)
            if len(self._asked) > MOST_ANSWERS:
                self._asked.popitem(last=False)
        return await asyncio.shield(answer)

    async def _ask(self, user: ConsoleUser, permission: Permission) -> bool:
        review = await self._client.create(REVIEWS, permission.review(user))
        return bool(review.get("status", {}).get("allowed"))

    def _forget_failure(self, key: tuple[str, Permission], answer: asyncio.Task[bool]) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        if failed and self._asked.get(key, (0.0, None))[1] is answer:
            del self._asked[key]
