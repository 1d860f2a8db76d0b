"""Quantities mean what Kubernetes means by them."""

from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity
from pydantic import TypeAdapter, ValidationError

from hypernova_api.quantity import Quantity

LARGEST = 2**63 - 1
READER = TypeAdapter(Quantity)

QUANTITIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "+", "-"]),
    st.from_regex(r"\A([0-9]{1,10}(\.[0-9]{0,9})?|\.[0-9]{1,9})\Z"),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)
EXPONENTS = st.builds(
    lambda number, e, exponent: f"{number}{e}{exponent}",
    st.integers(0, 999),
    st.sampled_from("eE"),
    st.integers(-9, 15),
)


@given(st.integers(-LARGEST, LARGEST))
def test_bytes_written_as_a_quantity_are_the_same_bytes(amount: int) -> None:
    assert Quantity.of_bytes(amount).value == amount


@given(QUANTITIES | EXPONENTS)
def test_the_value_is_that_of_kubernetes_own_client_rounded_up_and_capped(text: str) -> None:
    expected = int(parse_quantity(text).to_integral_value(ROUND_CEILING))

    assert Quantity(text).value == max(-LARGEST, min(expected, LARGEST))


@given(QUANTITIES | EXPONENTS)
def test_a_quantity_stays_as_it_was_written(text: str) -> None:
    assert READER.dump_python(READER.validate_python(text), mode="json") == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "1"), (1024, "1Ki"), (1536, "1536"), (2 * 2**30, "2Gi"), (1000**3, "1000000000"), (2**60, "1Ei")],
)
def test_bytes_are_written_the_shortest_exact_way(amount: int, text: str) -> None:
    assert Quantity.of_bytes(amount) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5Gi", 3 * 2**29),
        ("500M", 500_000_000),
        ("1e3", 1000),
        ("1E", 10**18),
        ("1E3", 1000),
        ("5.", 5),
        (".5k", 500),
        ("100m", 1),
        ("-100m", 0),
        ("1n", 1),
        ("1.0000000000000000000000000001", 2),
        ("9e99", LARGEST),
        ("-9e99", -LARGEST),
    ],
)
def test_every_way_to_write_an_amount(text: str, value: int) -> None:
    assert Quantity(text).value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        "1Gb",
        "1gi",
        "1 Gi",
        "Gi",
        ".",
        "-",
        "1..2",
        "1KiB",
        "0x10",
        "1e",
        "1e+",
        "1_000",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "1e100",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity; write it like 2Gi, 500M or 1024"):
        Quantity(text)


def test_an_endless_number_is_refused_before_it_is_computed() -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        Quantity("9" * 33)


def test_whole_numbers_are_taken_for_strings() -> None:
    assert READER.validate_python(1024) == "1024"
    assert READER.validate_json("1024") == "1024"


@pytest.mark.parametrize("value", [True, 1.5, Decimal(1), None, ["1Gi"]])
def test_anything_else_is_not_a_quantity(value: object) -> None:
    with pytest.raises(ValidationError, match="a quantity is a string like 2Gi or a whole number"):
        READER.validate_python(value)
