"""News wakes those it concerns, and not all."""

from __future__ import annotations

from hypernova_kube.resources import Key
from hypernova_operator.cache.records import Amount
from hypernova_operator.controllers.waiting import Address, Named, Share, Waiting
from support.scheduling import a_want

A, B, C = (Key("default", name) for name in "abc")
FLAVOR = Named("Flavor", Key("", "m1.small"))
IMAGE = Named("Image", Key("default", "debian-12"))
SMALL, LARGE = a_want(vcpus=1), a_want(vcpus=64)


def waiting(**needs: object) -> Waiting:
    index = Waiting()
    for name, need in needs.items():
        index.wait(Key("default", name), [need])
    return index


def test_all_who_wait_for_a_name_are_woken() -> None:
    assert waiting(a=FLAVOR, b=IMAGE, c=FLAVOR).for_named(FLAVOR) == [A, C]


def test_room_wakes_the_first_of_those_who_want_the_same() -> None:
    assert waiting(a=SMALL, b=LARGE, c=SMALL).for_room() == [A, B]


def test_when_the_first_goes_it_is_the_next_ones_turn() -> None:
    index = waiting(a=SMALL, b=SMALL, c=SMALL)
    assert index.leave(A) == [B]
    assert index.for_room() == [B]


def test_when_the_last_goes_it_is_nobodys_turn() -> None:
    index = waiting(a=SMALL)
    assert index.leave(A) == []
    assert index.for_room() == []
    assert len(index) == 0


def test_who_left_for_a_name_gives_nobody_a_turn() -> None:
    assert waiting(a=FLAVOR, b=FLAVOR).leave(A) == []


def test_waiting_on_keeps_ones_place() -> None:
    index = waiting(a=SMALL, b=SMALL)
    index.wait(A, [SMALL])
    assert index.for_room() == [A]


def test_waiting_for_something_else_is_no_longer_waiting_for_this() -> None:
    index = waiting(a=FLAVOR)
    index.wait(A, [SMALL])
    assert index.for_named(FLAVOR) == []
    assert index.for_room() == [A]


def test_addresses_have_a_line_of_their_own() -> None:
    assert waiting(a=Address("default"), b=Address("default"), c=SMALL).for_room() == [A, C]


def test_leaving_without_having_waited_is_nothing() -> None:
    assert Waiting().leave(A) == []


def test_the_first_who_wants_something_else_now_gives_the_next_its_turn() -> None:
    index = waiting(a=SMALL, b=SMALL)
    assert index.wait(A, [LARGE]) == [B]
    assert index.wait(B, [SMALL]) == []


def test_who_waits_for_a_share_of_a_quota_is_woken_with_those_who_wait_for_room() -> None:
    def share(vcpus: int) -> Share:
        return Share(Key("shop", "limits"), "", Amount(1, vcpus, 0, 0))

    assert waiting(a=share(1), b=share(1), c=share(8)).for_room() == [A, C]
