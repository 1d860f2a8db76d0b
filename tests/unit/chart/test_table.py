"""The table of a chart's values: a row for each, from the comment above it."""

from __future__ import annotations

import pytest

from hack.helm.table import Value, filled, table, values

TEXT = """\
# Of the whole file, and of nothing in it.

# A word.
first: ""
section:
  # Two lines
  # of one sentence.
  amount: {cpu: 1, memory: 2Gi}
  # Nested.
  inner:
    # Deeper.
    deep: null
# A whole list.
many:
  one: {a: 1}
  two: {a: 2}
"""


def test_a_value_has_its_path_its_default_and_the_comment_above_it() -> None:
    assert values(TEXT) == [
        Value("first", '""', "A word."),
        Value("section.amount", '{"cpu": 1, "memory": "2Gi"}', "Two lines of one sentence."),
        Value("section.inner.deep", "null", "Deeper."),
        Value("many", '{"one": {"a": 1}, "two": {"a": 2}}', "A whole list."),
    ]


def test_a_file_of_nothing_has_no_values() -> None:
    assert values("# nothing\n") == []


def test_a_value_without_a_comment_is_told() -> None:
    with pytest.raises(ValueError, match=r"^section\.bare has no comment above it$"):
        table("section:\n  # Said.\n  told: 1\n\n  bare: 2\n")


def test_a_pipe_ends_no_cell() -> None:
    assert table("# This | that.\nx: 1\n")[-1] == "| `x` | `1` | This \\| that. |"


def test_a_page_keeps_all_but_the_table_and_filling_it_again_changes_nothing() -> None:
    page = "before\n<!-- values -->\nold\n<!-- end -->\nafter\n"
    new = filled(page, "# Said.\nx: 1\n")

    rows = "| value | default | meaning |\n|---|---|---|\n| `x` | `1` | Said. |\n"
    assert new == f"before\n<!-- values -->\n{rows}<!-- end -->\nafter\n"
    assert filled(new, "# Said.\nx: 1\n") == new


@pytest.mark.parametrize("page", ["no place\n", "<!-- values -->\n<!-- end -->\n<!-- values -->\n<!-- end -->\n"])
def test_a_page_without_its_one_place_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="places for the table"):
        filled(page, "# Said.\nx: 1\n")
