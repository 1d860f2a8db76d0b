import asyncio

import pytest

from hypernova_api.console import ConsoleType, ConsoleUser
from hypernova_console import rights
from hypernova_console.rights import GOOD_SECONDS, Rights, to_act_on, to_look_at
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Key, Object, Resource
from support.virtual_time import now, virtual_time

WEB = Key("shop", "web-1")
ALICE = ConsoleUser(username="alice", uid="7", groups=["ops"], extra={"scopes": ["vm", "net"]})


class Reviews:
    """An API server that answers SubjectAccessReviews."""

    def __init__(self, allowed: bool = True) -> None:
        self.allowed = allowed
        self.error: Exception | None = None
        self.asked: list[Object] = []

    async def create(self, resource: Resource, obj: Object) -> Object:
        self.asked.append(obj)
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        return {**obj, "status": {"allowed": self.allowed}}


@virtual_time
async def test_the_api_server_is_asked_about_the_very_user_and_the_very_instance():
    reviews = Reviews()
    assert await Rights(reviews, clock=now).may(ALICE, to_look_at(WEB, ConsoleType.SERIAL))
    assert reviews.asked[0]["spec"] == {
        "user": "alice",
        "uid": "7",
        "groups": ["ops"],
        "extra": {"scopes": ["vm", "net"]},
        "resourceAttributes": {
            "verb": "get",
            "group": "subresources.compute.hypernova.dev",
            "version": "v1alpha1",
            "resource": "instances",
            "subresource": "serial",
            "namespace": "shop",
            "name": "web-1",
        },
    }


@virtual_time
async def test_a_power_button_takes_the_right_to_create_actions():
    reviews = Reviews()
    await Rights(reviews, clock=now).may(ALICE, to_act_on(WEB))
    assert reviews.asked[0]["spec"]["resourceAttributes"] == {
        "verb": "create",
        "group": "compute.hypernova.dev",
        "version": "v1alpha1",
        "resource": "instanceactions",
        "namespace": "shop",
    }


@virtual_time
async def test_an_answer_is_good_for_some_seconds_and_not_longer():
    reviews = Reviews()
    asking = Rights(reviews, clock=now)
    permission = to_look_at(WEB, ConsoleType.VNC)
    assert await asking.may(ALICE, permission)
    reviews.allowed = False
    assert await asking.may(ALICE, permission)
    assert not await asking.may(ALICE, permission, within=0)
    reviews.allowed = True
    assert not await asking.may(ALICE, permission)
    await asyncio.sleep(GOOD_SECONDS)
    assert await asking.may(ALICE, permission)
    assert len(reviews.asked) == 3


@virtual_time
async def test_an_answer_is_for_one_user_as_he_is_and_one_thing():
    reviews = Reviews()
    asking = Rights(reviews, clock=now)
    vnc = to_look_at(WEB, ConsoleType.VNC)
    for user, permission in [
        (ALICE, vnc),
        (ALICE.model_copy(update={"groups": []}), vnc),
        (ALICE.model_copy(update={"extra": {}}), vnc),
        (ALICE, to_look_at(WEB, ConsoleType.SERIAL)),
        (ALICE, to_look_at(Key("shop", "web-2"), ConsoleType.VNC)),
        (ALICE, to_look_at(Key("mine", "web-1"), ConsoleType.VNC)),
    ]:
        await asking.may(user, permission)
    assert len(reviews.asked) == 6


@virtual_time
async def test_of_a_hundred_who_ask_the_same_at_once_one_asks():
    reviews = Reviews()
    asking = Rights(reviews, clock=now)
    answers = await asyncio.gather(*(asking.may(ALICE, to_look_at(WEB, ConsoleType.VNC)) for _ in range(100)))
    assert (answers, len(reviews.asked)) == ([True] * 100, 1)


@virtual_time
async def test_no_answer_is_never_taken_for_one():
    reviews = Reviews()
    asking = Rights(reviews, clock=now)
    permission = to_look_at(WEB, ConsoleType.VNC)
    reviews.error = Unreachable("connection refused")
    with pytest.raises(Unreachable):
        await asking.may(ALICE, permission)
    reviews.error = None
    assert await asking.may(ALICE, permission)


@virtual_time
async def test_no_more_answers_are_kept_than_is_bearable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rights, "MOST_ANSWERS", 3)
    asking = Rights(Reviews(), clock=now)
    for number in range(5):
        await asking.may(ALICE, to_look_at(Key("shop", f"web-{number}"), ConsoleType.VNC))
    assert len(asking._asked) == 3
