"""Whose token it is, asked of the API server: TokenReviews, each answer good for some seconds."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from hypernova_api.conductor import AUDIENCE, Refusal
from hypernova_kube.client import Client
from hypernova_kube.resources import Object, Resource
from hypernova_kube.throttle import TokenBucket
from hypernova_operator.conductor.rules import Refused

REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)

GOOD_SECONDS = 10.0
"""How long an answer is used again. For so long at most a token is good here whose Pod is gone."""

LONGEST_TOKEN = 16 * 1024
"""Characters. A ServiceAccount's has about 1,300."""

MOST_ANSWERS = 1024

_RATE, _BURST = 50.0, 200.0
"""Reviews a second, and at once: what somebody who shows rubbish can have us ask of the API server."""


class Reviews:
    """Asks, and remembers for a moment. No token is kept: what is remembered is found by its digest."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._bucket = TokenBucket(_RATE, _BURST, clock())
        self._answers: OrderedDict[bytes, tuple[float, Object]] = OrderedDict()

    async def review(self, token: str) -> Object:
        """The TokenReview of a token, answered.

        Raises:
            Refused: it is no token, or there were too many others.
            KubeError: the API server does not answer, or refuses.
        """
        if not token or len(token) > LONGEST_TOKEN:
            raise Refused(Refusal.UNAUTHENTICATED, "show the agent's token as Authorization: Bearer")
        digest, now = hashlib.sha256(token.encode()).digest(), self._clock()
        asked_at, answer = self._answers.get(digest, (0.0, None))
        if answer is not None and now - asked_at < GOOD_SECONDS:
            return answer
        if wait := self._bucket.take(now):
            raise Refused(Refusal.TOO_MANY_REQUESTS, "too many tokens are shown at once: ask again", wait)
        spec = {"token": token, "audiences": [AUDIENCE]}
        answered = await self._client.create(
            REVIEWS, {"apiVersion": REVIEWS.api_version, "kind": REVIEWS.kind, "metadata": {}, "spec": spec}
        )
        # Its spec has the token.
        self._answers[digest] = now, {"status": answered.get("status", {})}
        self._answers.move_to_end(digest)
        if len(self._answers) > MOST_ANSWERS:
            self._answers.popitem(last=False)
        return self._answers[digest][1]
