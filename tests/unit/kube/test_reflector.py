import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Listing, WatchEvent
from hypernova_kube.errors import Expired, Forbidden, ServerError, Unreachable
from hypernova_kube.metrics import Metrics
from hypernova_kube.reflector import Change, Reflector, compare, identity
from hypernova_kube.resources import LEASES, Key, key_of
from support.virtual_time import now, virtual_time


def a_lease(name="a", version=1, uid=""):
    return {"metadata": {"namespace": "hn", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}}


def kept(*objects):
    return {key_of(obj): obj for obj in objects}


A, B = Key("hn", "a"), Key("hn", "b")


class TestCompare:
    def test_the_same_version_is_no_change(self):
        assert compare(A, a_lease(version=1), a_lease(version=1)) == []
        assert compare(A, None, None) == []

    def test_added_modified_gone(self):
        old, new = a_lease(version=1), a_lease(version=2)
        assert compare(A, None, new) == [Change(A, None, new)]
        assert compare(A, old, new) == [Change(A, old, new)]
        assert compare(A, old, None) == [Change(A, old, None)]

    def test_deleted_and_made_anew_is_gone_then_added(self):
        old, new = a_lease(version=1, uid="first"), a_lease(version=9, uid="second")
        assert compare(A, old, new) == [Change(A, old, None), Change(A, None, new)]


class ScriptedClient:
    """Answers lists and watches from a script, and remembers what was asked. Silent at the script's end."""

    def __init__(self, *script):
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.asked = []
        self.version = 1 << 40
        """That the server is at."""
        self._script = iter(script)

    async def current_version(self, *_, **__):
        return self.version

    async def stream(self, resource, **_):
        self.asked.append((now(), "list"))
        answer = next(self._script)
        if isinstance(answer, Exception):
            raise answer
        for obj in answer.items:
            if obj is SILENCE:
                await asyncio.Event().wait()
            if isinstance(obj, Exception):
                raise obj
            yield event("ADDED", obj)
        yield bookmark(answer.resource_version)

    async def watch(self, resource, *, resource_version, timeout_seconds, **_):
        assert 240 <= timeout_seconds <= 360
        self.asked.append((now(), f"watch {resource_version}"))
        for event in next(self._script, [SILENCE]):
            if isinstance(event, Exception):
                raise event
            if event is SILENCE:
                await asyncio.Event().wait()
            yield event

    @property
    def questions(self):
        return [question for _, question in self.asked]


SILENCE = object()


def listing(*objects, version=10):
    return Listing(list(objects), str(version))


def event(kind, obj):
    return WatchEvent(kind, obj)


def bookmark(version):
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


@asynccontextmanager
async def reflecting(client, on_change=None, **options):
    changes = []
    reflector = Reflector(
        client,
        LEASES,
        on_change or changes.append,
        backoff=Backoff(base=1.0, cap=30.0, rng=Random(1)),
        clock=now,
        rng=Random(1),
        **options,
    )
    reflector.changes = changes
    task = asyncio.create_task(reflector.run())
    try:
        yield reflector
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class TestReflector:
    @virtual_time
    async def test_lists_then_watches_from_there(self):
        new = a_lease("a", version=11)
        client = ScriptedClient(listing(a_lease("a"), a_lease("b")), [event("MODIFIED", new), SILENCE])
        async with reflecting(client) as reflector:
            assert not reflector.synced.is_set()
            await asyncio.sleep(1)
            assert reflector.synced.is_set()
            assert reflector.objects[A] == new
            assert set(reflector.objects) == {A, B}
            assert client.questions == ["list", "watch 10"]
            assert [change.key for change in reflector.changes] == [A, B, A]

    @virtual_time
    async def test_when_synced_the_first_changes_have_been_told(self):
        client = ScriptedClient(listing(a_lease("a"), a_lease("b")))
        async with reflecting(client) as reflector:
            await reflector.synced.wait()
            assert len(reflector.changes) == 2

    @virtual_time
    async def test_a_change_is_told_when_it_is_in_the_objects(self):
        client, seen = ScriptedClient(listing(a_lease("a"))), []
        async with reflecting(client, lambda change: seen.append(change.key in reflector.objects)) as reflector:
            await asyncio.sleep(1)
        assert seen == [True]

    @virtual_time
    async def test_a_silent_watch_is_taken_for_dead_and_begun_again_by_a_list(self):
        client = ScriptedClient(listing(), [bookmark(20), SILENCE], listing(version=15), [SILENCE])
        async with reflecting(client, inactivity_timeout=70) as reflector:
            await asyncio.sleep(69)
            assert client.questions == ["list", "watch 10"]
            assert reflector.last_activity_age() == 69
            await asyncio.sleep(3)
            assert client.questions == ["list", "watch 10", "list", "watch 15"]
        assert client.registry.get_sample_value(
            "hypernova_kube_watch_restarts_total", {"resource": "leases", "cause": "stalled"}
        )

    @virtual_time
    async def test_a_watch_the_server_ends_is_begun_again_at_once(self):
        client = ScriptedClient(listing(), [bookmark(20)], [bookmark(21)], [SILENCE])
        async with reflecting(client):
            await asyncio.sleep(0.1)
            assert client.questions == ["list", "watch 10", "watch 20", "watch 21"]

    @virtual_time
    async def test_watches_that_end_without_a_word_are_not_begun_in_a_tight_loop(self):
        client = ScriptedClient(listing(), *[[]] * 100)
        async with reflecting(client):
            await asyncio.sleep(60)
        assert len(client.asked) < 12

    @virtual_time
    async def test_a_silent_watch_that_lasted_is_begun_again_at_once(self):
        """A busy server cuts the watches of many clients at once, of those who had nothing to hear too."""

        class Cutting(ScriptedClient):
            async def watch(self, resource, **options):
                async for event in super().watch(resource, **options):
                    yield event
                await asyncio.sleep(20)

        client = Cutting(listing(), *[[]] * 10)
        async with reflecting(client):
            await asyncio.sleep(61)
        assert client.questions == ["list", *["watch 10"] * 4]

    @virtual_time
    async def test_who_wants_little_of_each_object_keeps_little_and_is_told_all(self):
        first, second = a_lease("a", version=10), a_lease("a", version=11)
        client = ScriptedClient(listing(first), [event("MODIFIED", second), SILENCE])
        async with reflecting(client, keep=identity) as reflector:
            await asyncio.sleep(0.1)
        (key,) = reflector.objects
        assert reflector.objects[key] == identity(second) != second
        assert reflector.changes == [Change(key, None, first), Change(key, identity(first), second)]

    @virtual_time
    async def test_an_unreachable_server_is_asked_again_ever_more_rarely(self):
        client = ScriptedClient(*[Unreachable("no route")] * 100)
        async with reflecting(client):
            await asyncio.sleep(600)
        gaps = [after - before for (before, _), (after, _) in zip(client.asked, client.asked[1:], strict=False)]
        assert gaps[0] <= 1
        assert 15 <= max(gaps) <= 30
        assert set(client.questions) == {"list"}

    @virtual_time
    async def test_a_server_that_comes_back_with_an_old_store_is_listed_anew(self):
        brought_back, listed = a_lease("b", version=3), []
        client = ScriptedClient(listing(a_lease("a")), [Unreachable("cut")], listing(brought_back, version=7))
        client.version = 9
        async with reflecting(client, on_listed=lambda: listed.append(now())) as reflector:
            await asyncio.sleep(5)
            assert dict(reflector.objects) == {B: brought_back}
        assert client.questions == ["list", "watch 10", "list", "watch 7"]
        assert len(listed) == 2

    @virtual_time
    async def test_a_cut_watch_goes_on_where_it_was_without_a_list(self):
        new = a_lease("a", version=11)
        client = ScriptedClient(listing(a_lease("a")), [event("MODIFIED", new), Unreachable("cut")])
        async with reflecting(client):
            await asyncio.sleep(5)
        assert client.questions == ["list", "watch 10", "watch 11"]

    @virtual_time
    async def test_an_expired_version_lists_again_and_tells_what_vanished(self):
        a, b, c = a_lease("a"), a_lease("b", version=2), a_lease("c", version=15)
        client = ScriptedClient(
            listing(a, b), [Expired(410, "Expired", "too old")], listing(b, c, version=20), [SILENCE]
        )
        async with reflecting(client) as reflector:
            await asyncio.sleep(5)
        assert client.questions == ["list", "watch 10", "list", "watch 20"]
        assert reflector.changes[2:] == [Change(A, a, None), Change(Key("hn", "c"), None, c)]

    @virtual_time
    async def test_what_vanished_is_told_before_all_else_that_is_new(self):
        a, b, newer = a_lease("a"), a_lease("b"), a_lease("b", version=15)
        client = ScriptedClient(listing(a, b), [Expired(410, "Expired", "too old")], listing(newer, version=20))
        async with reflecting(client) as reflector:
            await asyncio.sleep(5)
        assert reflector.changes[2:] == [Change(A, a, None), Change(B, b, newer)]

    @virtual_time
    async def test_a_first_list_is_told_as_it_comes_and_counts_when_it_is_whole(self):
        client = ScriptedClient(listing(a_lease("a"), SILENCE))
        async with reflecting(client) as reflector:
            await asyncio.sleep(1)
            assert [change.key for change in reflector.changes] == [A]
            assert not reflector.synced.is_set()

    @virtual_time
    async def test_a_list_that_breaks_off_is_begun_again_and_nothing_is_told_twice(self):
        a, b = a_lease("a"), a_lease("b")
        for broken, seconds in ((Unreachable("cut"), 5), (SILENCE, 80)):
            client = ScriptedClient(listing(a, b, broken), listing(b, version=20), [SILENCE])
            async with reflecting(client) as reflector:
                await asyncio.sleep(seconds)
            assert client.questions[:3] == ["list", "list", "watch 20"]
            assert reflector.changes[:3] == [Change(A, None, a), Change(B, None, b), Change(A, a, None)]
            assert set(reflector.objects) == {B}

    objects = st.lists(
        st.builds(a_lease, st.sampled_from("abcd"), st.integers(1, 3), st.sampled_from(["u", "v"])),
        unique_by=key_of,
    )

    @given(objects, objects)
    def test_following_the_changes_leads_from_one_list_to_the_next(self, before, after):
        @virtual_time
        async def test():
            client = ScriptedClient(listing(*before), [Expired(410, "Expired", "too old")], listing(*after))
            async with reflecting(client) as reflector:
                await asyncio.sleep(5)
            state = {}
            for change in reflector.changes:
                assert state.get(change.key) == change.old
                if change.new is None:
                    del state[change.key]
                else:
                    state[change.key] = change.new
            assert state == kept(*after) == dict(reflector.objects)

        test()

    @virtual_time
    async def test_other_errors_list_again_too(self):
        for error in (Forbidden(403, "Forbidden", "no"), ServerError(500, "", "etcd"), ServerError(504, "", "future")):
            client = ScriptedClient(listing(), [error], listing(version=20), [SILENCE])
            async with reflecting(client):
                await asyncio.sleep(5)
            assert client.questions == ["list", "watch 10", "list", "watch 20"]

    @virtual_time
    async def test_the_old_object_of_a_change_is_what_was_told_before(self):
        first, second, last = a_lease("a", 1), a_lease("a", 11), a_lease("a", 12)
        client = ScriptedClient(listing(first), [event("MODIFIED", second), event("DELETED", last), SILENCE])
        async with reflecting(client) as reflector:
            await asyncio.sleep(1)
        assert reflector.changes == [Change(A, None, first), Change(A, first, second), Change(A, second, None)]
        assert not reflector.objects

    @virtual_time
    async def test_deletion_of_something_unknown_is_no_change(self):
        client = ScriptedClient(listing(), [event("DELETED", a_lease("a")), SILENCE])
        async with reflecting(client) as reflector:
            await asyncio.sleep(1)
        assert reflector.changes == []

    @virtual_time
    async def test_an_exception_of_the_callback_is_logged_and_costs_nothing(self, caplog):
        told = []

        def on_change(change):
            told.append(change.key)
            raise ValueError("a bug")

        client = ScriptedClient(listing(a_lease("a"), a_lease("b")), [event("DELETED", a_lease("a")), SILENCE])
        with caplog.at_level(logging.ERROR):
            async with reflecting(client, on_change) as reflector:
                await asyncio.sleep(5)
        assert told == [A, B, A]
        assert set(reflector.objects) == {B}
        assert client.questions == ["list", "watch 10"]
        assert caplog.records[0].exc_info

    @virtual_time
    async def test_even_a_timeout_of_the_callback_is_not_taken_for_silence(self):
        def on_change(change):
            raise TimeoutError

        client = ScriptedClient(listing(), [event("ADDED", a_lease("a")), SILENCE])
        async with reflecting(client, on_change):
            await asyncio.sleep(5)
        assert client.questions == ["list", "watch 10"]
