"""How often the API server is asked whose a token is."""

from __future__ import annotations

from typing import Any, cast

import pytest

from hypernova_kube.client import Client
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Object, Resource
from hypernova_operator.conductor.reviews import GOOD_SECONDS, LONGEST_TOKEN, MOST_ANSWERS, Reviews
from hypernova_operator.conductor.rules import Refused


class Reviewer:
    """An API server that answers reviews with the token itself as the user, and a clock."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.now = 100.0
        self.away = False
        self.reviews = Reviews(cast("Client", self), clock=lambda: self.now)

    async def create(self, resource: Resource, obj: Object) -> Object:
        if self.away:
            raise Unreachable("gone")
        self.asked.append(obj["spec"])
        return obj | {"status": {"user": {"username": obj["spec"]["token"]}}}


async def test_a_token_is_reviewed_for_the_conductor_alone_and_again_after_a_while() -> None:
    reviewer = Reviewer()
    for _ in range(3):
        answer = await reviewer.reviews.review("token-1")
    assert answer == {"status": {"user": {"username": "token-1"}}}, "what is kept holds the token"
    assert reviewer.asked == [{"token": "token-1", "audiences": ["hypernova-conductor"]}]
    reviewer.now += GOOD_SECONDS
    await reviewer.reviews.review("token-1")
    assert len(reviewer.asked) == 2


async def test_no_token_is_taken_for_another() -> None:
    reviewer = Reviewer()
    for token in ("token-1", "token-2", "token-1"):
        assert (await reviewer.reviews.review(token))["status"]["user"]["username"] == token
    assert len(reviewer.asked) == 2


async def test_a_failure_is_no_answer() -> None:
    reviewer = Reviewer()
    reviewer.away = True
    with pytest.raises(Unreachable):
        await reviewer.reviews.review("token-1")
    reviewer.away = False
    assert await reviewer.reviews.review("token-1")


@pytest.mark.parametrize("token", ["", "x" * (LONGEST_TOKEN + 1)], ids=["none", "endless"])
async def test_what_is_no_token_is_not_reviewed(token: str) -> None:
    reviewer = Reviewer()
    with pytest.raises(Refused, match="Authorization: Bearer"):
        await reviewer.reviews.review(token)
    assert reviewer.asked == []


async def test_who_shows_rubbish_without_end_does_not_have_the_api_server_asked_without_end() -> None:
    reviewer = Reviewer()
    refusals = []
    for number in range(2 * MOST_ANSWERS):
        try:
            await reviewer.reviews.review(f"rubbish-{number}")
        except Refused as error:
            refusals.append(error)
    assert len(reviewer.asked) == 200
    assert len(refusals) == 2 * MOST_ANSWERS - 200
    assert all(error.status == 429 and error.retry_after > 0 for error in refusals)
    reviewer.now += 1
    assert await reviewer.reviews.review("token-1")
