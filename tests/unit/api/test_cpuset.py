"""Sets of CPU numbers, as people and libvirt write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_api.cpuset import HIGHEST_CPU, format_cpuset, parse_cpuset


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", set()),
        ("0", {0}),
        ("0-3", {0, 1, 2, 3}),
        ("0-1,8,10-11", {0, 1, 8, 10, 11}),
        ("8,0-1", {0, 1, 8}),
        ("0-3,2-5", {0, 1, 2, 3, 4, 5}),
        ("7-7", {7}),
        ("8191", {HIGHEST_CPU}),
    ],
)
def test_a_set_is_the_numbers_it_names(text: str, numbers: set[int]) -> None:
    assert parse_cpuset(text) == numbers


@pytest.mark.parametrize("text", [" ", "a", "0-", "-3", "0,", ",0", "0..3", "0-1-2", "1.5", "0x1", "0 1", "^3", "0\n"])
def test_what_is_no_set_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a set of CPUs; write it like 0-3,8"):
        parse_cpuset(text)


@pytest.mark.parametrize(("text", "part"), [("0,5-3", "5-3"), ("8192", "8192"), ("0-9999", "0-9999")])
def test_a_range_that_runs_backwards_or_too_far_is_refused_by_name(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=f"'{part}' is not a range of CPUs up to 8191"):
        parse_cpuset(text)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([0, 1], "0-1"), ([5, 1, 0, 3, 1], "0-1,3,5"), (range(64), "0-63")],
)
def test_a_set_is_written_as_short_as_can_be(numbers: list[int], text: str) -> None:
    assert format_cpuset(numbers) == text


@given(st.frozensets(st.integers(0, HIGHEST_CPU), max_size=100) | st.frozensets(st.integers(0, 20)))
def test_what_is_written_reads_back_the_same(numbers: frozenset[int]) -> None:
    assert parse_cpuset(format_cpuset(numbers)) == numbers
