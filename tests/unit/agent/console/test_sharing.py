"""Who may look at a guest beside whom, and who of them writes."""

from datetime import UTC, datetime

import pytest

from hypernova_agent.console.endings import Ending
from hypernova_agent.console.sharing import MOST_VIEWERS, Full, InUse, Sharing, Viewer, in_the_way, writer
from hypernova_api.console import LONGEST_REASON, CloseCode, ConsoleType

SCREEN = ("uid-1", ConsoleType.VNC)
SERIAL = ("uid-1", ConsoleType.SERIAL)


def viewer(user: str, session: str = "", *, exclusive: bool = False, read_only: bool = False) -> Viewer:
    return Viewer(user, session or f"shop/{user}", read_only, exclusive, datetime(2026, 11, 21, 10, 15, tzinfo=UTC))


async def test_those_who_share_are_in_nobodys_way() -> None:
    ada, bob = viewer("ada"), viewer("bob")
    assert in_the_way([ada], bob) == []
    assert in_the_way([ada], viewer("eve", exclusive=True)) == [ada]
    assert in_the_way([ada, viewer("eve", exclusive=True)], bob)[0].user == "eve"


async def test_one_who_is_alone_keeps_others_out_and_they_are_told_who_he_is() -> None:
    sharing = Sharing()
    sharing.enter(SCREEN, viewer("eve", exclusive=True), take_over=False)
    with pytest.raises(InUse, match=r"eve is alone with it since 2026-11-21T10:15:00Z: .*takeOver=true") as refused:
        sharing.enter(SCREEN, viewer("ada"), take_over=False)
    assert refused.value.holder == "eve"
    assert [each.user for each in sharing.all()] == ["eve"]


async def test_one_who_would_be_alone_is_kept_out_by_all_who_look() -> None:
    sharing = Sharing()
    for user in ("ada", "bob", "cy"):
        sharing.enter(SCREEN, viewer(user), take_over=False)
    with pytest.raises(InUse, match="ada and 2 more are looking at it"):
        sharing.enter(SCREEN, viewer("eve", exclusive=True), take_over=False)


async def test_whoever_is_in_the_way_is_ended_when_it_is_taken_over_and_learns_by_whom() -> None:
    sharing = Sharing()
    present = [viewer("ada"), viewer("bob")]
    for each in present:
        sharing.enter(SCREEN, each, take_over=False)
    eve = viewer("eve", exclusive=True)
    sharing.enter(SCREEN, eve, take_over=True)
    assert [each.ended.result() for each in present] == [Ending(CloseCode.TAKEN_OVER, "eve has taken it over")] * 2
    assert sharing.all() == [eve]
    for each in present:  # they leave as they notice
        sharing.leave(SCREEN, each)
    assert sharing.all() == [eve]


async def test_taking_over_ends_nobody_who_shares() -> None:
    sharing = Sharing()
    ada = viewer("ada")
    sharing.enter(SCREEN, ada, take_over=False)
    sharing.enter(SCREEN, viewer("bob"), take_over=True)
    assert not ada.ended.done()


async def test_a_session_that_comes_again_is_not_kept_out_by_its_own_old_connection() -> None:
    sharing = Sharing()
    old, new = (viewer("ada", "shop/one", exclusive=True) for _ in range(2))
    sharing.enter(SCREEN, old, take_over=False)
    sharing.enter(SCREEN, new, take_over=False)
    assert old.ended.done()
    assert sharing.all() == [new]


async def test_screen_and_serial_port_are_apart_and_so_are_guests() -> None:
    sharing = Sharing()
    eve = viewer("eve", exclusive=True)
    sharing.enter(SCREEN, eve, take_over=False)
    others = [viewer("ada", exclusive=True), viewer("bob", exclusive=True)]
    sharing.enter(SERIAL, others[0], take_over=False)
    sharing.enter(("uid-2", ConsoleType.VNC), others[1], take_over=False)
    assert sharing.of("uid-1") == [eve, others[0]]


async def test_a_console_has_so_many_viewers_and_no_more() -> None:
    sharing = Sharing()
    for number in range(MOST_VIEWERS):
        sharing.enter(SCREEN, viewer(f"user-{number}"), take_over=False)
    with pytest.raises(Full):
        sharing.enter(SCREEN, viewer("one-more"), take_over=True)
    sharing.enter(SCREEN, viewer("eve", exclusive=True), take_over=True)
    assert len(sharing.all()) == 1


async def test_one_writes_and_when_he_leaves_the_next_who_may() -> None:
    ada, ron, bob = viewer("ada"), viewer("ron", read_only=True), viewer("bob")
    assert writer([ron], None) is None
    assert writer([ron, ada, bob], None) is ada
    assert writer([ada, ron, bob], bob) is bob
    assert writer([ron, bob], ada) is bob
    assert writer([ron], ada) is None


async def test_the_reason_fits_a_close_frame_whatever_the_user_is_called() -> None:
    sharing = Sharing()
    ada = viewer("ada")
    sharing.enter(SCREEN, ada, take_over=False)
    sharing.enter(SCREEN, viewer("é" * 500, exclusive=True), take_over=True)
    reason = ada.ended.result().reason
    assert reason.startswith("éé")
    assert reason.endswith("…")
    assert len(reason.encode()) in (LONGEST_REASON, LONGEST_REASON - 1)
