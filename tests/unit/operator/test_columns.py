"""Columns are what lists of rows would be."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hypernova_operator.scheduler.columns import Columns
from support.clouds import examples

NAMES = st.sampled_from(("a", ("b", 1), 3))


def test_the_row_that_goes_is_filled_by_the_last_one() -> None:
    columns = Columns()
    columns.add("number", int)
    for number in (10, 20, 30):
        row = columns.append()
        columns.view("number")[row] = number
    assert columns.remove(0) == 2
    assert columns.view("number").tolist() == [30, 20]


def test_writing_to_a_view_writes_to_the_column() -> None:
    columns = Columns()
    columns.add("number", int)
    row = columns.append()
    columns.view("number")[row] = 5
    assert columns.view("number").tolist() == [5]


class Table(RuleBasedStateMachine):
    """Columns beside a dict of lists, under anything that can be done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = Columns()
        self.lists: dict[object, list[int]] = {}
        self.rows = 0

    @rule(name=NAMES)
    def a_column_comes(self, name: str) -> None:
        if name not in self.lists:
            assert self.columns.add(name, int).tolist() == [0] * self.rows
            self.lists[name] = [0] * self.rows

    @rule(name=NAMES)
    def a_column_goes(self, name: str) -> None:
        if self.lists.pop(name, None) is not None:
            self.columns.drop(name)

    @rule(values=st.lists(st.integers(1, 9), min_size=1, max_size=20))
    def rows_come(self, values: list[int]) -> None:
        for value in values:
            row = self.columns.append()
            assert row == self.rows
            self.rows += 1
            for name, cells in self.lists.items():
                assert self.columns.view(name)[row] == 0, "a new row holds what an old one left"
                self.columns.view(name)[row] = value
                cells.append(value)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def a_row_goes(self, data: st.DataObject) -> None:
        row = data.draw(st.integers(0, self.rows - 1))
        self.rows -= 1
        assert self.columns.remove(row) == self.rows
        for cells in self.lists.values():
            cells[row] = cells[-1]
            cells.pop()

    @invariant()
    def they_are_equal(self) -> None:
        assert self.columns.rows == self.rows
        for name, cells in self.lists.items():
            assert self.columns.view(name).tolist() == cells


Table.TestCase.settings = examples(60, stateful_step_count=20)
TestTable = Table.TestCase
