from hypernova_kube.throttle import MOST_KEYS, Throttle, TokenBucket


def test_a_burst_passes_and_then_one_at_a_time():
    bucket = TokenBucket(rate=0.5, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 2.0]
    assert bucket.take(1) == 1.0
    assert bucket.take(2) == 0
    assert bucket.take(2) == 2.0


def test_a_long_rest_gives_no_more_than_the_burst():
    bucket = TokenBucket(rate=1, burst=2, now=0)
    assert [bucket.take(1e6) for _ in range(3)] == [0, 0, 1.0]


def test_a_clock_put_back_gives_nothing_and_takes_nothing():
    bucket = TokenBucket(rate=1, burst=1, now=100)
    assert bucket.take(50) == 0
    assert bucket.take(50) == 1.0
    assert bucket.take(51) == 0


def test_one_who_tries_too_often_does_not_hold_up_another():
    throttle = Throttle(rate=1, burst=1, clock=lambda: 0.0)
    assert throttle.take("mallory") == 0
    assert throttle.take("mallory") == 1.0
    assert throttle.take("alice") == 0


def test_to_look_costs_nothing():
    throttle = Throttle(rate=1, burst=1, clock=lambda: 0.0)
    assert [throttle.wait("alice") for _ in range(5)] == [0.0] * 5
    throttle.take("alice")
    assert throttle.wait("alice") == 1.0


def test_no_more_keys_are_kept_than_is_bearable_and_the_latest_are():
    throttle = Throttle(rate=1, burst=1, clock=lambda: 0.0)
    for number in range(MOST_KEYS + 10):
        throttle.take(number)
    assert len(throttle._buckets) == MOST_KEYS
    assert throttle.wait(MOST_KEYS + 9) == 1.0
    assert throttle.wait(0) == 0
