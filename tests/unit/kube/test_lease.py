import asyncio
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from hypernova_kube.errors import LeadershipLost, ServerError, Unreachable
from hypernova_kube.lease import Elector, Heartbeat, LeaseObserver
from hypernova_kube.resources import LEASES, Key
from support.fake_api import FakeApi, Trouble
from support.virtual_time import now, virtual_time

KEY = Key("hn", "lease")
AWAY = Trouble(refused=Unreachable("no route"))
HANGS = Trouble(before=1e9)


@asynccontextmanager
async def running(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeadershipLost):
            await task


def an_elector(client, identity="one"):
    return Elector(client, *KEY, identity, clock=now, rng=Random(identity))


def a_lease(holder="other", renewed="t0", acquired="long ago", duration=40, name="lease"):
    spec = {"holderIdentity": holder, "renewTime": renewed, "acquireTime": acquired, "leaseDurationSeconds": duration}
    return {"metadata": {"namespace": "hn", "name": name}, "spec": spec}


class TestHeartbeat:
    @virtual_time
    async def test_creates_the_lease_and_then_patches_it_once_an_interval(self):
        api = FakeApi()
        heartbeat = Heartbeat(api.client(), *KEY, "node-a", labels={"app": "agent"}, clock=now)
        async with running(heartbeat.run()):
            await asyncio.sleep(95)
        assert api.requests == ["patch", "create"] + ["patch"] * 9
        lease = api.find(LEASES, KEY)
        assert lease["metadata"]["labels"] == {"app": "agent"}
        assert lease["spec"]["holderIdentity"] == "node-a"
        assert lease["spec"]["leaseDurationSeconds"] == 40

    @virtual_time
    async def test_each_renewal_changes_the_renew_time_only(self):
        api = FakeApi()
        async with running(Heartbeat(api.client(), *KEY, "node-a", clock=now).run()):
            await asyncio.sleep(1)
            before = api.find(LEASES, KEY)["spec"]
            await asyncio.sleep(10)
            after = api.find(LEASES, KEY)["spec"]
        assert before["renewTime"] != after["renewTime"]
        assert {**before, "renewTime": ""} == {**after, "renewTime": ""}

    @pytest.mark.parametrize("trouble", [AWAY, HANGS, Trouble(refused=KeyError("a bug"))], ids=["away", "hangs", "bug"])
    @virtual_time
    async def test_no_trouble_ends_it(self, trouble):
        api, well = FakeApi(), True
        heartbeat = Heartbeat(api.client(lambda verb: None if well else trouble), *KEY, "node-a", clock=now)
        async with running(heartbeat.run()):
            await asyncio.sleep(5)
            well = False
            await asyncio.sleep(300)
            assert heartbeat.age() > 290
            well = True
            await asyncio.sleep(20)
            assert heartbeat.age() < 20

    @pytest.mark.parametrize(("trouble", "reconnects"), [(AWAY, 0), (HANGS, 2)], ids=["away", "hangs"])
    @virtual_time
    async def test_silence_costs_all_connections_and_the_api_server_s_return_is_told_once(self, trouble, reconnects):
        api, well, returns = FakeApi(), True, []
        client = api.client(lambda verb: None if well else trouble)
        heartbeat = Heartbeat(client, *KEY, "node-a", on_return=lambda: returns.append(now()), clock=now)
        async with running(heartbeat.run()):
            await asyncio.sleep(25)
            assert (client.reconnects, returns) == (0, [])
            well = False
            await asyncio.sleep(300)
            assert (client.reconnects, returns) == (reconnects // 2, [])
            well = True
            await asyncio.sleep(100)
        assert client.reconnects == reconnects
        (returned,) = returns
        assert 325 <= returned < 345

    @virtual_time
    async def test_a_lease_somebody_deleted_is_made_again(self):
        api = FakeApi()
        async with running(Heartbeat(api.client(), *KEY, "node-a", clock=now).run()):
            await asyncio.sleep(5)
            api.stored.clear()
            await asyncio.sleep(10)
        assert api.find(LEASES, KEY)


class TestLeaseObserver:
    def test_a_lease_is_alive_for_its_duration_after_each_renewal_seen(self):
        leases = LeaseObserver()
        leases.observe(a_lease(renewed="t0"), 100)
        leases.observe(a_lease(renewed="t1"), 110)
        assert leases.is_alive("lease", 149)
        assert not leases.is_alive("lease", 150)
        assert leases.is_dead("lease", 150)

    def test_seeing_the_same_again_is_no_renewal(self):
        leases = LeaseObserver()
        for when in (100, 110, 120, 130):
            leases.observe(a_lease(renewed="t1" if when > 100 else "t0"), when)
        assert not leases.is_alive("lease", 151)

    def test_a_lease_seen_once_is_neither_alive_nor_dead(self):
        leases = LeaseObserver()
        leases.observe(a_lease(), 100)
        assert not leases.is_alive("lease", 101)
        assert not leases.is_dead("lease", 101)
        assert leases.is_dead("lease", 140)

    def test_a_lease_just_created_is_alive_at_first_sight(self):
        leases = LeaseObserver()
        leases.observe(a_lease(renewed="t0", acquired="t0"), 100)
        assert leases.is_alive("lease", 101)

    @pytest.mark.parametrize("renewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
    def test_wrong_wall_clocks_elsewhere_do_not_matter(self, renewed):
        leases = LeaseObserver()
        leases.observe(a_lease(renewed="t0"), 100)
        leases.observe(a_lease(renewed=renewed), 110)
        assert leases.is_alive("lease", 140)
        assert leases.is_dead("lease", 150)

    def test_an_unknown_or_forgotten_or_empty_lease_is_dead(self):
        leases = LeaseObserver()
        leases.observe(a_lease(), 100)
        leases.forget("lease")
        leases.forget("never seen")
        leases.observe({"metadata": {"name": "empty"}, "spec": {"leaseDurationSeconds": None}}, 100)
        assert leases.is_dead("lease", 100)
        assert leases.is_dead("empty", 100)
        assert not leases.is_alive("empty", 100)

    def test_leases_do_not_know_of_each_other(self):
        leases = LeaseObserver()
        leases.observe(a_lease(renewed="t0", acquired="t0", name="a"), 0)
        leases.observe(a_lease(renewed="t0", acquired="t0", name="b"), 30)
        assert (leases.is_alive("a", 45), leases.is_alive("b", 45)) == (False, True)


class TestElector:
    @virtual_time
    async def test_alone_it_leads_at_once_and_stays(self):
        api = FakeApi()
        elector = an_elector(api.client())
        async with running(elector.run()):
            await asyncio.sleep(0.1)
            assert elector.elected.is_set()
            assert elector.is_leader()
            await asyncio.sleep(1000)
            assert elector.is_leader()
        assert api.requests[:2] == ["get", "create"]
        assert set(api.requests[2:]) == {"replace"}  # one request a renewal

    @virtual_time
    async def test_a_standby_waits_for_as_long_as_the_leader_renews(self):
        api = FakeApi()
        leader, standby = an_elector(api.client(), "one"), an_elector(api.client(), "two")
        async with running(leader.run()):
            await asyncio.sleep(1)
            async with running(standby.run()):
                await asyncio.sleep(1000)
                assert (leader.is_leader(), standby.is_leader()) == (True, False)

    @virtual_time
    async def test_a_standby_takes_over_a_dead_leader_within_20_seconds(self):
        api = FakeApi()
        leader, standby = an_elector(api.client(), "one"), an_elector(api.client(), "two")
        async with running(standby.run()):
            pass  # seen once
        async with running(leader.run()) as dying, running(standby.run()):
            await asyncio.sleep(33)
            dying.cancel()
            died = now()
            await asyncio.wait_for(standby.elected.wait(), 100)
            assert 10 < now() - died < 20
            assert not leader.is_leader()
        lease = api.find(LEASES, KEY)["spec"]
        assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("two", 1)

    @virtual_time
    async def test_after_a_release_the_standby_takes_over_at_its_next_try(self):
        api = FakeApi()
        leader, standby = an_elector(api.client(), "one"), an_elector(api.client(), "two")
        async with running(standby.run()):
            async with running(leader.run()):
                await asyncio.sleep(33)
            await leader.release()
            assert not leader.is_leader()
            released = now()
            await asyncio.wait_for(standby.elected.wait(), 100)
            assert now() - released < 3

    @virtual_time
    async def test_releasing_what_one_does_not_hold_changes_nothing(self):
        api = FakeApi()
        leader, standby = an_elector(api.client(), "one"), an_elector(api.client(), "two")
        async with running(leader.run()):
            await asyncio.sleep(1)
            await standby.release()
            assert api.find(LEASES, KEY)["spec"]["holderIdentity"] == "one"

    @virtual_time
    async def test_a_release_that_fails_is_left_to_run_out(self):
        api, well = FakeApi(), True
        elector = an_elector(api.client(lambda verb: None if well else AWAY))
        async with running(elector.run()):
            await asyncio.sleep(1)
        well = False
        await elector.release()
        assert not elector.is_leader()

    @pytest.mark.parametrize(
        "trouble",
        [AWAY, HANGS, Trouble(refused=ServerError(500, "InternalError", "etcd")), Trouble(lost=Unreachable("cut"))],
        ids=["away", "hangs", "fails", "answers lost"],
    )
    @virtual_time
    async def test_a_leader_stops_leading_when_the_renew_deadline_has_passed(self, trouble):
        api, well = FakeApi(), True
        elector = an_elector(api.client(lambda verb: None if well else trouble))
        async with running(elector.run()) as run:
            await asyncio.sleep(0.1)
            well = False
            await asyncio.sleep(9.8)
            assert elector.is_leader()
            await asyncio.sleep(0.2)
            assert not elector.is_leader()
            with pytest.raises(LeadershipLost, match=r"not renewed for 10 s: \w"):
                await run
            assert not elector.elected.is_set()

    @virtual_time
    async def test_the_deadline_counts_from_the_start_of_a_request_not_from_its_answer(self):
        troubles = iter([None, Trouble(after=9), None, Trouble(after=7)])
        elector = an_elector(FakeApi().client(lambda verb: next(troubles, AWAY)))
        async with running(elector.run()):
            await asyncio.sleep(9.1)  # taken at 0, told at 9, and renewed at once
            assert elector.is_leader()
            await asyncio.sleep(9.5)  # renewed at 11, told at 18
            assert elector.is_leader()
            await asyncio.sleep(2.5)  # 21.1
            assert not elector.is_leader()

    @virtual_time
    async def test_a_short_outage_costs_no_leadership(self):
        api, well = FakeApi(), True
        elector = an_elector(api.client(lambda verb: None if well else AWAY))
        async with running(elector.run()) as run:
            for _ in range(20):
                well = not well
                await asyncio.sleep(7)
            assert elector.is_leader()
            assert not run.done()

    @virtual_time
    async def test_a_renewal_whose_answer_was_lost_is_found_to_be_ours(self):
        api = FakeApi()
        troubles = iter([None, None, Trouble(lost=Unreachable("cut"))])
        elector = an_elector(api.client(lambda verb: next(troubles, None)))
        async with running(elector.run()) as run:
            await asyncio.sleep(60)
            assert elector.is_leader()
            assert not run.done()

    @virtual_time
    async def test_a_lease_taken_by_another_is_lost_at_once(self):
        api = FakeApi()
        elector = an_elector(api.client())
        async with running(elector.run()) as run:
            await asyncio.sleep(5)
            api.put(LEASES, a_lease(holder="thief"))
            with pytest.raises(LeadershipLost, match="held by thief"):
                await asyncio.wait_for(run, 2.1)
            assert not elector.is_leader()

    @virtual_time
    async def test_a_deleted_lease_is_lost_leadership(self):
        api = FakeApi()
        elector = an_elector(api.client())
        async with running(elector.run()) as run:
            await asyncio.sleep(5)
            api.stored.clear()
            with pytest.raises(LeadershipLost, match="deleted"):
                await asyncio.wait_for(run, 2.1)

    @virtual_time
    async def test_a_lease_that_names_us_but_was_not_taken_by_us_is_anothers(self):
        api = FakeApi()
        api.put(LEASES, a_lease(holder="one", duration=15))
        elector = an_elector(api.client(), "one")
        async with running(elector.run()):
            await asyncio.sleep(14)
            assert not elector.is_leader()
            await asyncio.sleep(4)
            assert elector.is_leader()

    @virtual_time
    async def test_two_that_race_for_a_free_lease_do_not_both_get_it(self):
        api = FakeApi()
        slow = Trouble(before=0.5, after=0.5)
        electors = [an_elector(api.client(lambda verb: slow), name) for name in ("one", "two", "three")]
        async with running(electors[0].run()), running(electors[1].run()), running(electors[2].run()):
            await asyncio.sleep(60)
            assert sum(elector.is_leader() for elector in electors) == 1

    def test_times_that_cannot_be_safe_are_refused(self):
        with pytest.raises(ValueError, match="renew_deadline"):
            Elector(FakeApi().client(), *KEY, "one", duration=10, renew_deadline=10)

    @pytest.mark.parametrize("seed", range(6))
    @virtual_time
    async def test_never_do_two_lead_whatever_happens_to_their_requests(self, seed):
        rng, api, led, both = Random(seed), FakeApi(), set(), []

        def trouble(verb):
            if rng.random() < 0.6:
                return None
            return Trouble(
                before=rng.choice([0, 0.1, 3, 9, 14, 30]),
                refused=rng.choice([None, None, Unreachable("no route")]),
                after=rng.choice([0, 0.1, 3, 9, 14, 30]),
                lost=rng.choice([None, Unreachable("cut")]),
            )

        electors = {}

        async def process(place):
            for number in range(1_000_000):
                name = f"{place}-{number}"
                elector = electors[place] = an_elector(api.client(trouble), name)
                async with running(elector.run()) as run:
                    await asyncio.wait([run], timeout=rng.uniform(1, 200))
                if rng.random() < 0.3:
                    await elector.release()  # a clean stop; else a crash, and whoever is asked still says yes

        async def witness():
            while True:
                leaders = {place for place, elector in electors.items() if elector.is_leader()}
                led.update(leaders)
                if len(leaders) > 1:
                    both.append((now(), leaders))
                await asyncio.sleep(0.25)

        async with running(process("a")), running(process("b")), running(process("c")), running(witness()):
            await asyncio.sleep(2000)
        assert both == []
        assert led == {"a", "b", "c"}
