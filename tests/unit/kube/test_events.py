import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from hypernova_kube.errors import Forbidden, Unreachable
from hypernova_kube.events import EventRecorder
from support.fake_api import FakeApi, Trouble
from support.virtual_time import now, virtual_time

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def an_object(name="web-1", namespace="shop", uid=""):
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"uid-{name}", "resourceVersion": "7"}
    return {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": metadata}


@asynccontextmanager
async def recording(client):
    recorder = EventRecorder(client, "agent", "node-a", clock=now, wall_clock=lambda: EPOCH + timedelta(seconds=now()))
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def events(api):
    return [obj for (plural, _), obj in api.stored.items() if plural == "events"]


def dropped(client, cause):
    return client.registry.get_sample_value("hypernova_events_dropped_total", {"cause": cause}) or 0


@virtual_time
async def test_an_event_says_what_who_and_about_what():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        recorder.warning(an_object(), "ImageChecksumMismatch", "want a, got b")
        await asyncio.sleep(1)
    (event,) = events(api)
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "ImageChecksumMismatch", "want a, got b")
    assert event["involvedObject"] == {
        "apiVersion": "example.com/v1",
        "kind": "Gadget",
        "namespace": "shop",
        "name": "web-1",
        "uid": "uid-web-1",
        "resourceVersion": "7",
    }
    assert event["metadata"]["namespace"] == "shop"
    assert (event["reportingComponent"], event["reportingInstance"]) == ("agent", "node-a")
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


@virtual_time
async def test_the_same_again_is_one_event_that_grows_and_is_written_twice_a_minute_at_most():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        for _ in range(60):
            recorder.normal(an_object(), "Pulling", "still")
            await asyncio.sleep(1)
        await asyncio.sleep(60)
    (event,) = events(api)
    assert event["count"] == 60
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z")
    assert api.requests == ["create", "patch", "patch"]


@virtual_time
async def test_another_reason_message_type_or_object_is_another_event():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        recorder.normal(an_object(), "A", "a")
        recorder.warning(an_object(), "A", "a")
        recorder.normal(an_object(), "B", "a")
        recorder.normal(an_object(), "A", "b")
        recorder.normal(an_object("web-2"), "A", "a")
        recorder.normal(an_object(uid="made anew"), "A", "a")
        await asyncio.sleep(1)
    assert len(events(api)) == 6


@virtual_time
async def test_ten_minutes_later_the_same_is_a_new_event():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(599)
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(601)
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(1)
    assert [event["count"] for event in events(api)] == [2, 1]


@virtual_time
async def test_one_object_cannot_flood():
    api = FakeApi()
    client = api.client()
    async with recording(client) as recorder:
        for number in range(50):
            recorder.normal(an_object(), "A", f"message {number}")
        recorder.normal(an_object("web-2"), "A", "a quiet one")
        await asyncio.sleep(1)
        assert len(events(api)) == 20 + 1
        assert dropped(client, "rate_limited") == 30
        await asyncio.sleep(60)
        recorder.normal(an_object(), "A", "a minute later")
        await asyncio.sleep(1)
    assert len(events(api)) == 22


@virtual_time
async def test_many_objects_cannot_fill_the_memory():
    client = FakeApi().client()
    recorder = EventRecorder(client, "agent", "node-a", clock=now)
    for number in range(5000):
        recorder.normal(an_object(f"web-{number}"), "A", "a")
    assert dropped(client, "overflow") == 3000


@virtual_time
async def test_events_that_are_written_make_room_for_new_ones():
    api = FakeApi()
    client = api.client()
    async with recording(client) as recorder:
        for number in range(2100):
            recorder.normal(an_object(f"web-{number}"), "A", "a")
            await asyncio.sleep(0.001)
    assert dropped(client, "overflow") == 0
    assert len(events(api)) >= 2099


@virtual_time
async def test_while_the_server_is_away_events_are_dropped_and_counted_and_nobody_waits():
    api, away = FakeApi(), True
    client = api.client(lambda verb: Trouble(refused=Unreachable("no route")) if away else None)
    async with recording(client) as recorder:
        for number in range(10):
            recorder.normal(an_object(f"web-{number}"), "A", "a")
        await asyncio.sleep(1)
        assert dropped(client, "error") == 10
        away = False
        recorder.normal(an_object(), "A", "back")
        await asyncio.sleep(1)
    assert [event["message"] for event in events(api)] == ["back"]


@virtual_time
async def test_a_server_that_hangs_is_given_up():
    client = FakeApi().client(lambda verb: Trouble(before=1e6))
    async with recording(client) as recorder:
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(11)
    assert dropped(client, "error") == 1


@virtual_time
async def test_a_refused_event_costs_no_other():
    api = FakeApi()
    troubles = iter([Trouble(refused=Forbidden(403, "Forbidden", "namespace is being terminated"))])
    client = api.client(lambda verb: next(troubles, None))
    async with recording(client) as recorder:
        recorder.normal(an_object("web-1"), "A", "a")
        recorder.normal(an_object("web-2"), "A", "a")
        await asyncio.sleep(1)
    assert [event["involvedObject"]["name"] for event in events(api)] == ["web-2"]
    assert dropped(client, "error") == 1


@virtual_time
async def test_an_event_the_server_has_forgotten_is_told_anew():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(1)
        api.stored.clear()
        recorder.normal(an_object(), "A", "a")
        await asyncio.sleep(60)
    assert [event["count"] for event in events(api)] == [2]


@virtual_time
async def test_events_of_cluster_scoped_objects_are_where_kubectl_looks_for_them():
    api = FakeApi()
    obj = an_object()
    del obj["metadata"]["namespace"]
    async with recording(api.client()) as recorder:
        recorder.normal(obj, "A", "a")
        await asyncio.sleep(1)
    (event,) = events(api)
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["namespace"] == ""


@virtual_time
async def test_long_names_and_messages_are_cut_to_what_the_server_takes():
    api = FakeApi()
    async with recording(api.client()) as recorder:
        recorder.normal(an_object("x" * 253), "A", "y" * 5000)
        await asyncio.sleep(1)
    (event,) = events(api)
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["message"]) <= 1024
