"""What flavors ask of the metadata of aggregates."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_operator.scheduler import Aggregate, Requirement
from hypernova_operator.scheduler.filters.requirements import AggregateRequirements, holds
from support.scheduling import a_host, a_table, a_want

# operator, what is asked for, values of the host's aggregates (none: without the key), whether it holds
OPERATORS = [
    ("=", "ssd", ["ssd"], True),
    ("=", "ssd", ["hdd", "ssd"], True),
    ("=", "ssd", ["hdd"], False),
    ("=", "ssd", [], False),
    ("=", "10", ["10.0"], False),
    ("!=", "ssd", ["hdd"], True),
    ("!=", "ssd", ["hdd", "ssd"], False),
    ("!=", "ssd", [], True),
    ("<", "10", ["9"], True),
    ("<", "10", ["10"], False),
    ("<", "10", ["11", "9.5"], True),
    ("<=", "10", ["10.0"], True),
    ("<=", "10", ["10.000000000000001"], False),
    (">", "9", ["10"], True),
    (">", "9", ["9"], False),
    (">", "-1", ["0"], True),
    (">", "2.5", ["+3"], True),
    (">=", "10", ["10"], True),
    (">=", "10", ["9.999999999999999"], False),
    (">=", "10", [], False),
    (">", "999999999999999", ["1" + "0" * 30], True),
    (">=", "0", ["many"], False),
    (">=", "0", ["inf"], False),
    ("<", "0", ["nan", "1_0", "1e3", " -1", ""], False),
    ("<=", "many", ["1"], False),
    ("In", "ssd nvme", ["nvme"], True),
    ("In", "ssd nvme", ["hdd"], False),
    ("In", "ssd nvme", [], False),
    ("NotIn", "ssd nvme", ["hdd"], True),
    ("NotIn", "ssd nvme", ["hdd", "nvme"], False),
    ("NotIn", "ssd nvme", [], True),
    ("AllIn", "ssd nvme", ["nvme", "hdd", "ssd"], True),
    ("AllIn", "ssd nvme", ["nvme"], False),
    ("AllIn", "ssd nvme", [], False),
    ("Between", "1 2", ["1"], False),
]


@pytest.mark.parametrize(("operator", "asked", "values", "expected"), OPERATORS)
def test_operators(operator: str, asked: str, values: list[str], expected: bool) -> None:
    assert holds(Requirement("key", operator, tuple(asked.split())), frozenset(values)) is expected


NUMBERS = st.from_regex(r"[+-]?[0-9]{1,15}([.][0-9]{1,15})?", fullmatch=True)
SMALL_NUMBERS = st.sampled_from(["0", "-0", "1", "+1", "1.0", "-1", "2", "10", "9"])
WORDS = st.sampled_from(["ssd", "hdd", "nvme"])

MEANING = {
    "=": lambda values, asked: asked[0] in values,
    "!=": lambda values, asked: asked[0] not in values,
    "<": lambda values, asked: any(Fraction(value) < Fraction(asked[0]) for value in values),
    "<=": lambda values, asked: any(Fraction(value) <= Fraction(asked[0]) for value in values),
    ">": lambda values, asked: any(Fraction(value) > Fraction(asked[0]) for value in values),
    ">=": lambda values, asked: any(Fraction(value) >= Fraction(asked[0]) for value in values),
    "In": lambda values, asked: any(one in values for one in asked),
    "NotIn": lambda values, asked: not any(one in values for one in asked),
    "AllIn": lambda values, asked: all(one in values for one in asked),
}


@given(st.sampled_from(["<", "<=", ">", ">="]), SMALL_NUMBERS | NUMBERS, st.frozensets(SMALL_NUMBERS | NUMBERS), WORDS)
def test_numbers_are_compared_exactly_and_words_beside_them_are_no_numbers(
    operator: str, asked: str, values: frozenset[str], word: str
) -> None:
    assert holds(Requirement("key", operator, (asked,)), values | {word}) is MEANING[operator](values, [asked])


@given(st.sampled_from(["In", "NotIn", "AllIn"]), st.lists(WORDS, min_size=1), st.frozensets(WORDS))
def test_lists_are_looked_up(operator: str, asked: list[str], values: frozenset[str]) -> None:
    assert holds(Requirement("key", operator, tuple(asked)), values) is MEANING[operator](values, asked)


@given(st.sampled_from(["=", "!="]), WORDS, st.frozensets(WORDS))
def test_one_value_is_looked_up(operator: str, asked: str, values: frozenset[str]) -> None:
    assert holds(Requirement("key", operator, (asked,)), values) is MEANING[operator](values, [asked])


def test_a_host_has_the_values_of_all_its_aggregates_and_must_meet_all_requirements() -> None:
    fast = Aggregate("fast", {"disk": frozenset({"ssd"}), "net": frozenset({"10g"})})
    big = Aggregate("big", {"disk": frozenset({"hdd"}), "ram": frozenset({"512"})})
    table = a_table(a_host("a", aggregates=(big, fast)), a_host("b", aggregates=(fast,)), a_host("c"))

    def passing(*requirements: Requirement) -> str:
        mask = AggregateRequirements().mask(table, a_want(requirements=requirements))
        return "".join(host.name for host, passes in zip(table, mask, strict=True) if passes)

    assert passing(Requirement("disk", "AllIn", ("hdd", "ssd"))) == "a"
    assert passing(Requirement("disk", "!=", ("hdd",))) == "bc"
    assert passing(Requirement("net", "=", ("10g",)), Requirement("ram", "<", ("1024",))) == "a"
    assert passing(Requirement("net", "=", ("10g",)), Requirement("ram", "NotIn", ("512",))) == "b"
