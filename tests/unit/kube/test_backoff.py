from random import Random

import pytest

from hypernova_kube.backoff import Backoff


def test_waits_double_up_to_the_cap_and_are_spread_over_half_of_it():
    backoff = Backoff(base=1.0, cap=10.0, rng=Random(1))
    for longest in (1, 2, 4, 8, 10, 10):
        assert longest / 2 <= backoff.next("a") <= longest


def test_two_with_the_same_failures_do_not_come_back_together():
    one, other = Backoff(rng=Random(1)), Backoff(rng=Random(2))
    assert one.next("a") != other.next("a")


def test_keys_do_not_know_of_each_other():
    backoff = Backoff(base=1.0, rng=Random(1))
    for _ in range(10):
        backoff.next("a")
    assert backoff.next("b") <= 1.0
    assert (backoff.attempts("a"), backoff.attempts("b"), backoff.attempts("c")) == (10, 1, 0)


def test_success_starts_over():
    backoff = Backoff(base=1.0, rng=Random(1))
    for _ in range(5):
        backoff.next("a")
    backoff.forget("a")
    backoff.forget("never seen")
    assert backoff.attempts("a") == 0
    assert backoff.next("a") <= 1.0


def test_failing_for_weeks_overflows_nothing():
    backoff = Backoff(cap=300.0)
    for _ in range(5000):
        wait = backoff.next("a")
    assert wait == pytest.approx(225, abs=75)
