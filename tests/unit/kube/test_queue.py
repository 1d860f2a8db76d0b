import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from hypernova_kube.backoff import Backoff
from hypernova_kube.metrics import Metrics
from hypernova_kube.queue import WorkQueue
from support.virtual_time import now, virtual_time


@asynccontextmanager
async def running(reconcile, workers=1, backoff=None, metrics=None):
    queue = WorkQueue(reconcile, workers=workers, backoff=backoff or Backoff(base=8.0), name="test", metrics=metrics)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class Work:
    """A reconcile that takes a second, and remembers when it worked on what."""

    def __init__(self, results=()):
        self.done = []
        self.active = Counter()
        self.most_at_once = 0
        self.most_on_one_key = 0
        self.results = list(results)

    async def __call__(self, key):
        self.active[key] += 1
        self.most_on_one_key = max(self.most_on_one_key, self.active[key])
        self.most_at_once = max(self.most_at_once, self.active.total())
        self.done.append((now(), key))
        await asyncio.sleep(1)
        self.active[key] -= 1
        result = self.results.pop(0) if self.results else None
        if isinstance(result, BaseException):
            raise result
        return result


@virtual_time
async def test_a_key_added_often_while_it_waits_is_worked_on_once():
    work = Work()
    async with running(work) as queue:
        for _ in range(5):
            queue.add("a")
        await asyncio.sleep(10)
    assert work.done == [(0, "a")]


@virtual_time
async def test_first_in_first_out():
    work = Work()
    async with running(work) as queue:
        for key in "cab":
            queue.add(key)
        queue.add("c")
        await asyncio.sleep(10)
    assert work.done == [(0, "c"), (1, "a"), (2, "b")]


@virtual_time
async def test_a_key_added_while_being_worked_on_is_worked_on_once_more():
    work = Work()
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")
        queue.add("a")
        await asyncio.sleep(10)
    assert work.done == [(0, "a"), (1, "a")]


@virtual_time
async def test_no_key_is_ever_with_two_workers_and_all_workers_are_used():
    work = Work()
    async with running(work, workers=3) as queue:
        for _ in range(20):
            for key in "abcde":
                queue.add(key)
            await asyncio.sleep(0.3)
        await asyncio.sleep(10)
    assert (work.most_at_once, work.most_on_one_key) == (3, 1)


@virtual_time
async def test_keys_added_in_work_go_behind_those_that_wait():
    work = Work()
    async with running(work) as queue:
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(0.5)
        queue.add("a")
        await asyncio.sleep(10)
    assert [key for _, key in work.done] == ["a", "b", "a"]


@virtual_time
async def test_the_earlier_time_wins():
    work = Work()
    async with running(work) as queue:
        queue.add("a", after=30)
        queue.add("a", after=5)
        queue.add("a", after=20)
        queue.add("b", after=30)
        queue.add("b")
        await asyncio.sleep(100)
    assert work.done == [(0, "b"), (5, "a")]


@virtual_time
async def test_a_later_time_does_not_put_off_a_key_that_waits():
    work = Work()
    async with running(work) as queue:
        queue.add("b")
        queue.add("a")
        queue.add("a", after=30)
        await asyncio.sleep(100)
    assert work.done == [(0, "b"), (1, "a")]


@virtual_time
async def test_a_later_time_asked_for_while_being_worked_on_is_kept():
    work = Work()
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a", after=40)
        queue.add("a", after=10)
        await asyncio.sleep(100)
    assert work.done == [(0, "a"), (10.5, "a")]


@virtual_time
async def test_reconcile_asks_to_be_called_again():
    work = Work([60.0, 0.0, None])
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(1000)
    assert work.done == [(0, "a"), (61, "a"), (62, "a")]


@virtual_time
async def test_a_key_added_meanwhile_comes_before_the_time_reconcile_asked_for():
    work = Work([60.0])
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
        queue.add("a")
        await asyncio.sleep(1000)
    assert work.done == [(0, "a"), (1, "a")]


@virtual_time
async def test_failures_are_retried_after_growing_waits_and_success_starts_over():
    work = Work([ValueError(), ValueError(), None])
    backoff = Backoff(base=8.0)
    async with running(work, backoff=backoff) as queue:
        queue.add("a")
        await asyncio.sleep(1.5)
        assert backoff.attempts("a") == 1
        await asyncio.sleep(100)
    (first, second, third) = (when for when, _ in work.done)
    assert 1 + 4 <= second - first <= 1 + 8
    assert 1 + 8 <= third - second <= 1 + 16
    assert backoff.attempts("a") == 0


@virtual_time
async def test_a_failing_key_does_not_hold_up_others():
    work = Work([ValueError()])
    async with running(work) as queue:
        queue.add("bad")
        queue.add("good")
        await asyncio.sleep(2)
        assert work.done == [(0, "bad"), (1, "good")]


@virtual_time
async def test_a_cancellation_that_is_not_for_the_worker_counts_as_a_failure():
    work = Work([asyncio.CancelledError()])
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(100)
    assert len(work.done) == 2


@virtual_time
async def test_ending_the_queue_cancels_what_is_being_worked_on():
    work = Work()
    async with running(work) as queue:
        queue.add("a")
        await asyncio.sleep(0.5)
    await asyncio.sleep(100)
    assert work.active["a"] == 1  # begun, never ended


@virtual_time
async def test_depth_and_age_tell_of_the_keys_that_wait_for_a_worker():
    work, registry = Work(), CollectorRegistry()
    async with running(work, metrics=Metrics(registry)) as queue:
        assert (queue.depth, queue.oldest_age) == (0, 0)
        for key in "abc":
            queue.add(key)
        queue.add("later", after=50)
        await asyncio.sleep(0.5)
        assert (queue.depth, queue.oldest_age) == (2, 0.5)
        assert registry.get_sample_value("hypernova_queue_depth", {"queue": "test"}) == 2
        await asyncio.sleep(10)
        assert (queue.depth, queue.oldest_age) == (0, 0)
    assert registry.get_sample_value("hypernova_queue_reconcile_seconds_count", {"queue": "test"}) == 3
