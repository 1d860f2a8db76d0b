"""Tables, ages and what must not reach a terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from hypernova_cli.tables import duration, moment, printable, since, table, until

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (10 * 60 + 5, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 600, "3h10m"),
        (8 * 3600 + 600, "8h"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (52 * 3600, "2d4h"),
        (8 * 86400 + 3600, "8d"),
        (400 * 86400, "400d"),
    ],
)
def test_a_length_of_time_is_as_kubectl_shows_it(seconds, text):
    assert duration(timedelta(seconds=seconds)) == text


def test_what_never_was_has_no_age():
    assert since(None, NOW) == until(None, NOW) == ""


def test_ages_and_ends_count_from_now():
    assert since(moment("2026-01-01T11:59:00Z"), NOW) == "60s"
    assert until(moment("2026-01-01T20:00:00Z"), NOW) == "8h"
    assert until(moment("2026-01-01T11:00:00Z"), NOW) == "over"


def test_columns_are_aligned_and_what_is_not_there_is_said():
    assert table(["NAME", "NODE", "WHY"], [["web-1", "", "x"], ["a", "node-b", ""]]) == (
        "NAME    NODE     WHY\nweb-1   <none>   x\na       node-b   <none>"
    )


def test_nothing_in_a_table_moves_the_cursor():
    assert printable("red \x1b[31m\nand  bell\x07\u009b") == "red ?[31m and bell??"
    assert "\x1b" not in table(["A"], [["\x1b]0;title\x07"]])
