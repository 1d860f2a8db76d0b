"""Sessions over an API server in memory: who gets in, once, and who no longer."""

from __future__ import annotations

import asyncio

import pytest

from hypernova_api.console import CloseCode, ConsoleType, ConsoleUser
from hypernova_console.errors import Refused
from hypernova_console.instances import HYPERVISORS, INSTANCES
from hypernova_console.session import SESSIONS
from hypernova_console.sessions import Ending, Session
from hypernova_console.tickets import digest_of, new_secret
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import Key
from support.builders import a_condition, a_hypervisor
from support.console_replicas import ALICE, VNC, WEB, Replica, World, a_world
from support.fake_api import Trouble
from support.virtual_time import now, virtual_time

PEER = "10.0.0.1"
HOUR = 3600.0


async def refusal(replica: Replica, ticket: str, peer: str = PEER) -> str:
    """Why a ticket is refused, as `STATUS REASON`."""
    with pytest.raises(Refused) as refused:
        await replica.sessions.redeem(ticket, peer=peer)
    return f"{refused.value.status} {refused.value.reason}"


async def no_sight(replica: Replica, session: Session) -> str:
    """Why a session gets no connection."""
    with pytest.raises(Refused) as refused:
        async with replica.sessions.sight(session):
            raise AssertionError("it has one")
    return f"{refused.value.status} {refused.value.reason}"


async def ending(replica: Replica, session: Session, happens: object, seconds: float = 5.0) -> Ending:
    """How a connection ends after something happens, which it does in time."""
    async with replica.sessions.sight(session) as sight:
        await asyncio.sleep(0.1)
        assert not sight.over
        happens()
        async with asyncio.timeout(seconds):
            return await sight.ended()


# Tickets


@virtual_time
async def test_a_ticket_begins_a_session_for_whom_and_what_it_was_made():
    async with a_world() as world:
        replica = await world.replica()
        user = ConsoleUser(username="alice", uid="7", groups=["ops"], extra={"scopes": ["vm"]})
        offered, ticket = await replica.sessions.offer(user, WEB, ConsoleType.SERIAL, read_only=True)
        session, key = await replica.sessions.redeem(ticket.text(), peer=PEER)
        assert (session.instance, session.instance_uid, session.type) == (WEB, "uid-web-1", ConsoleType.SERIAL)
        assert (session.user, session.read_only, session.key) == (user, True, offered.key)
        assert await replica.sessions.resume(session.key, key, peer=PEER) == session


@virtual_time
async def test_neither_ticket_nor_key_is_stored():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        _, key = await replica.sessions.redeem(ticket, peer=PEER)
        (stored,) = world.sessions()
        secret = ticket.rpartition("/")[2]
        assert secret not in str(stored)
        assert key not in str(stored)
        assert stored["spec"]["ticket"]["digest"] == digest_of(secret)
        assert stored["status"]["keyDigest"] == digest_of(key)
        assert stored["metadata"]["ownerReferences"][0]["uid"] == "uid-web-1"


@virtual_time
async def test_a_ticket_is_good_for_one_time():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        await replica.sessions.redeem(ticket, peer=PEER)
        assert await refusal(replica, ticket) == "401 TicketUsed"
        await asyncio.sleep(1)
        assert await refusal(replica, ticket) == "401 TicketUsed"
        assert (replica.counted("made"), replica.counted("redeemed"), replica.counted("TicketUsed")) == (1, 1, 2)


@virtual_time
async def test_a_ticket_made_by_one_replica_is_good_at_another_before_its_watch_has_told():
    async with a_world() as world:
        one = await world.replica()
        another = await world.replica()
        ticket = await one.ticket()
        session, key = await another.sessions.redeem(ticket, peer=PEER)
        assert await one.sessions.resume(session.key, key, peer=PEER) == session


@pytest.mark.parametrize("tries", range(5))
def test_of_two_replicas_that_get_a_ticket_at_once_one_begins_the_session(tries: int):
    @virtual_time
    async def both() -> None:
        async with a_world() as world:
            slow = lambda verb: Trouble(before=0.01 * tries, after=0.02) if verb == "patch" else None  # noqa: E731
            one, another = await world.replica(), await world.replica(slow)
            ticket = await one.ticket()
            got = await asyncio.gather(
                *(each.sessions.redeem(ticket, peer=PEER) for each in (one, another, one, another)),
                return_exceptions=True,
            )
            begun = [each for each in got if isinstance(each, tuple)]
            refused = [each.reason for each in got if isinstance(each, Refused)]
            assert (len(begun), refused) == (1, ["TicketUsed"] * 3)
            session, key = begun[0]
            assert await another.sessions.resume(session.key, key, peer=PEER) == session

    both()


@virtual_time
async def test_a_replica_that_dies_takes_no_session_with_it():
    async with a_world() as world:
        one = await world.replica()
        session, key = await one.begin()
        del one
        another = await world.replica()
        assert await another.sessions.resume(session.key, key, peer=PEER) == session


@virtual_time
async def test_a_ticket_that_is_not_used_in_time_is_good_for_nothing():
    async with a_world() as world:
        replica = await world.replica()
        in_time, late = await replica.ticket(), await replica.ticket()
        await asyncio.sleep(59)
        await replica.sessions.redeem(in_time, peer=PEER)
        await asyncio.sleep(1)
        assert await refusal(replica, late) == "401 TicketExpired"


@virtual_time
async def test_forged_altered_and_withdrawn_tickets_all_look_alike():
    async with a_world() as world:
        replica = await world.replica()
        ticket, other = await replica.ticket(), await replica.ticket()
        place, _, secret = ticket.rpartition("/")
        with_letter = f"{place}/{'A' if secret[0] != 'A' else 'B'}{secret[1:]}"
        withdrawn = await replica.ticket()
        world.api.drop(SESSIONS, Key(*withdrawn.split("/")[:2]))
        forged = {
            "another's secret": f"{place}/{other.rpartition('/')[2]}",
            "a letter changed": with_letter,
            "no such session": f"shop/web-1-000000000000/{secret}",
            "another namespace": f"mine/{place.rpartition('/')[2]}/{secret}",
            "a guess": f"{place}/{new_secret()}",
            "no ticket": "?",
            "its digest": f"{place}/{digest_of(secret)[:43]}",
            "withdrawn": withdrawn,
        }
        seen = {name: await refusal(replica, each) for name, each in forged.items()}
        assert set(seen.values()) == {"401 TicketUnknown"}, seen
        assert replica.counted("TicketUnknown") == len(forged)
        await replica.sessions.redeem(ticket, peer=PEER)


@virtual_time
async def test_a_session_opened_through_the_api_server_has_no_ticket_to_guess():
    async with a_world() as world:
        replica = await world.replica()
        session = await replica.sessions.open(ALICE, WEB, VNC, read_only=False)
        assert await refusal(replica, f"{session.key}/{new_secret()}") == "401 TicketUnknown"
        with pytest.raises(Refused, match="no such session"):
            await replica.sessions.resume(session.key, new_secret(), peer=PEER)


@virtual_time
async def test_a_ticket_is_not_for_the_instance_that_has_taken_the_name():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        world.remake_instance()
        await asyncio.sleep(1)
        assert await refusal(replica, ticket) == "410 InstanceGone"


@virtual_time
async def test_a_ticket_for_an_instance_that_is_being_deleted_is_refused():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        world.place_instance("node-a", deletionTimestamp="2026-01-01T00:00:00Z")
        await asyncio.sleep(1)
        assert await refusal(replica, ticket) == "410 InstanceGone"


@virtual_time
async def test_who_has_lost_the_right_meanwhile_is_refused_and_may_use_the_ticket_when_it_is_back():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        world.rights.without = {"alice"}
        assert await refusal(replica, ticket) == "403 Forbidden"
        world.rights.without = set()
        await replica.sessions.redeem(ticket, peer=PEER)


@virtual_time
async def test_nobody_gets_a_ticket_without_the_right_to_the_console_itself():
    async with a_world() as world:
        replica = await world.replica()
        world.rights.without = {"alice"}
        with pytest.raises(Refused, match=r"alice may not get instances/vnc in group .* of web-1 in namespace shop"):
            await replica.ticket()
        assert world.sessions() == []


@virtual_time
async def test_no_ticket_for_an_instance_that_is_not_there():
    async with a_world() as world:
        replica = await world.replica()
        with pytest.raises(Refused, match="there is no Instance web-2 in namespace shop") as refused:
            await replica.ticket(instance=Key("shop", "web-2"))
        assert refused.value.status == 404


@virtual_time
async def test_an_instance_made_just_now_gets_a_ticket_before_the_watch_has_told():
    async with a_world() as world:
        replica = await world.replica()
        obj = world.api.find(INSTANCES, WEB)
        obj["metadata"] |= {"name": "web-2", "uid": "uid-web-2"}
        world.api.put(INSTANCES, obj)
        assert replica.instances.find(Key("shop", "web-2")) is None
        await replica.ticket(instance=Key("shop", "web-2"))


@virtual_time
async def test_a_label_on_the_session_does_not_cost_its_user_the_ticket():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        (obj,) = world.sessions()
        await asyncio.sleep(1)
        world.api.put(SESSIONS, {**obj, "metadata": {**obj["metadata"], "labels": {"seen": "yes"}}})
        await replica.sessions.redeem(ticket, peer=PEER)


@virtual_time
async def test_a_session_whose_beginning_was_done_but_not_answered_has_begun():
    async with a_world() as world:
        lost = Trouble(lost=Unreachable("connection reset"))
        replica = await world.replica(lambda verb: lost if verb == "patch" else None)
        session, key = await replica.sessions.redeem(await replica.ticket(), peer=PEER)
        assert await replica.sessions.resume(session.key, key, peer=PEER) == session


@virtual_time
async def test_while_the_api_server_is_away_a_ticket_stays_good():
    async with a_world() as world:
        away = {"patch", "get"}
        refused = Trouble(refused=Unreachable("connection refused"))
        replica = await world.replica(lambda verb: refused if verb in away else None)
        ticket = await replica.ticket()
        await asyncio.sleep(1)
        assert await refusal(replica, ticket) == "503 Unavailable"
        away.clear()
        await replica.sessions.redeem(ticket, peer=PEER)


# Guessing


@virtual_time
async def test_who_guesses_has_to_wait_and_nobody_else_has():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        reasons = [await refusal(replica, f"shop/web-1/{new_secret()}", "10.6.6.6") for _ in range(25)]
        assert reasons == ["401 TicketUnknown"] * 20 + ["429 TooManyTries"] * 5
        assert await refusal(replica, ticket, "10.6.6.6") == "429 TooManyTries"
        await replica.sessions.redeem(ticket, peer=PEER)
        await asyncio.sleep(6)
        assert await refusal(replica, "?", "10.6.6.6") == "401 TicketUnknown"
        assert await refusal(replica, "?", "10.6.6.6") == "429 TooManyTries"


@virtual_time
async def test_to_guess_keys_is_to_guess():
    async with a_world() as world:
        replica = await world.replica()
        session, key = await replica.begin()
        for _ in range(20):
            with pytest.raises(Refused, match="no such session"):
                await replica.sessions.resume(session.key, new_secret(), peer="10.6.6.6")
        with pytest.raises(Refused, match="too many tries") as refused:
            await replica.sessions.resume(session.key, key, peer="10.6.6.6")
        assert refused.value.retry_after == pytest.approx(5, abs=0.1)
        await replica.sessions.resume(session.key, key, peer=PEER)


@virtual_time
async def test_guesses_from_everywhere_cost_the_api_server_little_and_hold_up_no_known_ticket():
    async with a_world() as world:
        replica = await world.replica()
        ticket = await replica.ticket()
        await asyncio.sleep(1)
        before = world.api.requests.count("get")
        peers = [f"10.6.{number // 250}.{number % 250}" for number in range(1000)]
        reasons = [await refusal(replica, f"shop/web-9/{new_secret()}", peer) for peer in peers]
        assert reasons.count("429 TooManyTries") == 1000 - reasons.count("401 TicketUnknown") >= 850
        assert world.api.requests.count("get") - before <= 100
        await replica.sessions.redeem(ticket, peer=PEER)


@virtual_time
async def test_a_user_gets_so_many_tickets_and_no_more():
    async with a_world() as world:
        replica = await world.replica()
        for _ in range(30):
            await replica.ticket()
        with pytest.raises(Refused, match="before asking for another link"):
            await replica.ticket()
        await replica.ticket(ConsoleUser(username="bob"))


# Sights


@virtual_time
async def test_a_sight_is_of_the_node_that_has_the_guest():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        async with replica.sessions.sight(session) as sight:
            assert (sight.place.node_name, sight.place.address, sight.place.port) == ("node-a", "127.0.0.1", 7001)
            assert replica.sessions.connected(session) == 1
        assert replica.sessions.connected(session) == 0


@virtual_time
async def test_who_deletes_the_session_ends_it_at_every_replica():
    async with a_world() as world:
        one, another = await world.replica(), await world.replica()
        session, _ = await one.begin()
        async with one.sessions.sight(session) as first, another.sessions.sight(session) as second:
            await asyncio.sleep(1)
            world.api.drop(SESSIONS, session.key)
            async with asyncio.timeout(1):
                assert (await first.ended()).code == (await second.ended()).code == CloseCode.REVOKED
        assert await no_sight(another, session) == "401 SessionUnknown"


@virtual_time
async def test_a_session_ends_when_its_time_is_over_and_not_before():
    async with a_world() as world:
        replica = await world.replica()
        session, key = await replica.begin()
        async with replica.sessions.sight(session) as sight:
            await asyncio.sleep(8 * HOUR - 5)
            assert not sight.over
            assert (await sight.ended()).code is CloseCode.EXPIRED
            assert now() == pytest.approx(8 * HOUR, abs=2)
        assert await no_sight(replica, session) == "401 SessionExpired"
        with pytest.raises(Refused, match="as long as it may") as refused:
            await replica.sessions.resume(session.key, key, peer=PEER)
        assert refused.value.reason == "SessionExpired"


@virtual_time
async def test_a_session_ends_within_a_minute_of_its_right():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        async with replica.sessions.sight(session) as sight:
            await asyncio.sleep(600)
            world.rights.without = {"alice"}
            async with asyncio.timeout(60):
                assert (await sight.ended()).code is CloseCode.REVOKED
        assert await no_sight(replica, session) == "403 Forbidden"


@virtual_time
async def test_a_session_goes_on_while_nobody_can_say_whether_it_may():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        async with replica.sessions.sight(session) as sight:
            world.rights.trouble = Unreachable("connection refused")
            await asyncio.sleep(HOUR)
            assert not sight.over
            world.rights.trouble = None
            world.rights.without = {"alice"}
            async with asyncio.timeout(60):
                await sight.ended()


@virtual_time
async def test_no_new_sight_while_nobody_can_say_whether_it_may_be():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        world.rights.trouble = Unreachable("connection refused")
        assert await no_sight(replica, session) == "503 Unavailable"


@virtual_time
async def test_a_session_that_was_withdrawn_unseen_ends_at_the_next_review(monkeypatch: pytest.MonkeyPatch):
    async with a_world() as world:
        replica = await world.replica()
        # Made and gone between two lists of a watch that was broken: nothing tells of it.
        monkeypatch.setattr(world.api, "_tell", lambda *_: None)
        session = await replica.sessions.open(ALICE, WEB, VNC, read_only=False)
        async with replica.sessions.sight(session) as sight:
            del world.api.stored[SESSIONS.plural, session.key]
            async with asyncio.timeout(60):
                assert (await sight.ended()).code is CloseCode.REVOKED


@virtual_time
async def test_a_replica_whose_watch_is_behind_does_not_take_the_new_instance_for_the_old(
    monkeypatch: pytest.MonkeyPatch,
):
    async with a_world() as world:
        behind = await world.replica()
        world.place_instance("node-a", deletionTimestamp="2026-01-01T00:00:00Z")
        await asyncio.sleep(1)
        monkeypatch.setattr(world.api, "_tell", lambda *_: None)
        world.remake_instance()
        session, _ = await (await world.replica()).begin()
        async with behind.sessions.sight(session) as sight:
            await asyncio.sleep(1)
            assert not sight.over


@virtual_time
async def test_a_deleted_instance_ends_its_sessions():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        end = await ending(
            replica, session, lambda: world.place_instance("node-a", deletionTimestamp="2026-01-01T00:00:00Z")
        )
        assert (end.code, end.code.final) == (CloseCode.GONE, True)
        assert await no_sight(replica, session) == "410 InstanceGone"


@virtual_time
async def test_an_instance_made_anew_under_the_name_is_not_looked_at():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        assert (await ending(replica, session, world.remake_instance)).code is CloseCode.GONE
        assert await no_sight(replica, session) == "410 InstanceGone"


@virtual_time
async def test_a_guest_that_has_moved_is_looked_at_anew_on_its_node():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        end = await ending(replica, session, lambda: world.place_instance("node-b"))
        assert (end.code, end.code.final) == (CloseCode.MOVED, False)
        assert "node-b" in end.reason
        async with replica.sessions.sight(session) as sight:
            assert (sight.place.node_name, sight.place.port) == ("node-b", 7002)


@virtual_time
async def test_what_does_not_concern_a_session_does_not_end_it():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        other, _ = await replica.begin()
        async with replica.sessions.sight(session) as sight:
            await replica.sessions.end(other)
            obj = world.api.find(INSTANCES, WEB)
            obj["status"]["phase"] = "Stopped"
            world.api.put(INSTANCES, obj)
            await asyncio.sleep(HOUR)
            assert not sight.over


@virtual_time
async def test_a_node_that_offers_no_console_is_named():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        world.api.put(HYPERVISORS, a_hypervisor("node-a", status={"conditions": [a_condition("Ready")]}))
        await asyncio.sleep(1)
        with pytest.raises(Refused, match="node-a offers no consoles"):
            async with replica.sessions.sight(session):
                pass
        silent = a_condition("Ready", None, "NoHeartbeat", "not heard of for 60 s")
        world.api.put(HYPERVISORS, a_hypervisor("node-a", status={"conditions": [silent]}))
        await asyncio.sleep(1)
        with pytest.raises(Refused, match="node-a does not answer: not heard of for 60 s") as refused:
            async with replica.sessions.sight(session):
                pass
        assert (refused.value.status, refused.value.reason) == (503, "HostUnreachable")


@virtual_time
async def test_an_instance_without_a_node_has_no_console_yet():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        obj = world.api.find(INSTANCES, WEB)
        world.api.put(INSTANCES, {**obj, "status": {"phase": "Pending"}})
        await asyncio.sleep(1)
        assert await no_sight(replica, session) == "409 GuestOff"


# Sweep


@virtual_time
async def test_what_is_over_is_swept_and_what_is_not_stays():
    async with a_world() as world:
        replica = await world.replica()
        await replica.ticket()
        begun, _ = await replica.begin()
        opened = await replica.sessions.open(ALICE, WEB, VNC, read_only=False)
        await asyncio.sleep(60 + 60 + 75)
        assert {obj["metadata"]["name"] for obj in world.sessions()} == {begun.key.name, opened.key.name}
        await asyncio.sleep(8 * HOUR)
        assert world.sessions() == []


@virtual_time
async def test_a_session_whose_maker_died_before_it_began_is_swept():
    async with a_world() as world:
        refused = Trouble(refused=Unreachable("killed"))
        dying = await world.replica(lambda verb: refused if verb == "patch" else None)
        with pytest.raises(Refused):
            await dying.sessions.open(ALICE, WEB, VNC, read_only=False)
        assert len(world.sessions()) == 1
        await world.replica()
        await asyncio.sleep(200)
        assert world.sessions() == []


@virtual_time
async def test_to_end_a_session_twice_is_no_error_and_hits_no_other_of_its_name():
    async with a_world() as world:
        replica = await world.replica()
        session, _ = await replica.begin()
        await replica.sessions.end(session)
        await replica.sessions.end(session)
        (other,) = [world.api.put(SESSIONS, _named(session, world))]
        await replica.sessions.end(session)
        assert world.sessions()[0]["metadata"]["uid"] == other["metadata"]["uid"]
        await asyncio.sleep(1)
        assert await no_sight(replica, session) == "401 SessionUnknown"


def _named(session: Session, world: World) -> dict[str, object]:
    metadata = {"name": session.key.name, "namespace": session.key.namespace, "uid": "uid-other"}
    return {"metadata": metadata, "spec": {}}
