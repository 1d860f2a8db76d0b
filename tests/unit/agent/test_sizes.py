"""Bytes for people."""

import pytest

from hypernova_agent.sizes import part, size


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (280 << 20, "280 MiB"),
        ((4 << 30) + (100 << 20), "4.1 GiB"),
        (5 << 60, "5 EiB"),
        (5 << 72, "20480 EiB"),
    ],
)
def test_an_amount_is_written_in_its_own_unit(amount: int, text: str) -> None:
    assert size(amount) == text


def test_a_part_is_written_in_the_unit_of_the_whole() -> None:
    assert part(120 << 20, 280 << 20) == "120 of 280 MiB"
    assert part(0, 512) == "0 of 512 bytes"
    assert part(100 << 20, 2 << 30) == "0.1 of 2 GiB"
