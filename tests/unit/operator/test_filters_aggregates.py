"""What is asked of the aggregates that hosts are in, while these come and go."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from hypernova_api.selectors import LabelSelector
from hypernova_operator.scheduler import Aggregate, HostTable, Isolation
from hypernova_operator.scheduler.combinations import Aggregates, Combinations
from hypernova_operator.scheduler.filters.isolation import OneOf, ProjectIsolation
from support.scheduling import a_host, a_table, a_want

POOLS = [Aggregate("one"), Aggregate("two"), Aggregate("three")]
SOME = st.lists(st.sampled_from(POOLS), unique_by=lambda pool: pool.name).map(tuple)
CHANGES = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | SOME))


def names(aggregates: Aggregates) -> tuple[str, ...]:
    """What can be compared."""
    return tuple(aggregate.name for aggregate in aggregates)


@given(CHANGES)
def test_answers_follow_hosts_from_aggregate_to_aggregate(changes: list[tuple[str, Aggregates | None]]) -> None:
    table = HostTable()
    asked = OneOf(frozenset({"one", "three"}))
    for name, aggregates in changes:
        if aggregates is None:
            table.remove(name)
        else:
            table.put(a_host(name, aggregates=aggregates))
        assert table.where_aggregates(asked).tolist() == [asked(host.aggregates) for host in table]
        combinations = table.aggregates_of(table.labelled)
        assert {names(one) for one in combinations} == {names(host.aggregates) for host in table}


def test_numbers_of_combinations_that_nobody_is_in_are_used_again() -> None:
    combinations = Combinations()
    first = combinations.join((Aggregate("one"),))
    other = combinations.join(())
    combinations.leave(first)
    assert combinations.join((Aggregate("two"),)) == first != other
    assert combinations.where(OneOf(frozenset({"two"}))).tolist() == [True, False]


def test_what_hosts_share_is_asked_about_once() -> None:
    @dataclass(frozen=True)
    class Counting:
        """Everything is true; how often it was asked for is kept."""

        asked: list[Aggregates]

        def __call__(self, aggregates: Aggregates) -> bool:
            self.asked.append(aggregates)
            return True

        def __hash__(self) -> int:
            return 0

    about = Counting([])
    table = a_table(*(a_host(str(number), aggregates=(POOLS[number % 2],)) for number in range(10)))
    for _ in range(3):
        assert table.where_aggregates(about).all()
    assert len(about.asked) == 2


def test_two_aggregates_that_contradict_each_other_take_nobody() -> None:
    def kept_for(team: str) -> Aggregate:
        return Aggregate(team, {}, Isolation(LabelSelector(match_labels={"team": team}), confine=False))

    table = a_table(a_host("a", aggregates=(kept_for("acme"), kept_for("globex"))))
    for team in ("acme", "globex"):
        want = a_want(namespace_labels=(("team", team),))
        assert not ProjectIsolation().mask(table, want).any()
    assert ProjectIsolation().reason(table, want, table.labelled) == "kept for other namespaces (by aggregate acme)"


def test_an_aggregate_that_changes_all_the_time_takes_no_more_numbers() -> None:
    table = a_table(a_host("a"))
    for number in range(10):
        table.put(a_host("a", aggregates=(Aggregate("a", {"version": frozenset(str(number))}),)))
        assert table.aggregates[0] < 2


def test_an_aggregate_that_changes_is_asked_anew() -> None:
    open_to_all, closed = Aggregate("a"), Aggregate("a", {}, Isolation(LabelSelector(match_labels={"x": "y"}), False))
    table = a_table(a_host("a", aggregates=(open_to_all,)))
    assert ProjectIsolation().mask(table, a_want()).all()
    table.put(a_host("a", aggregates=(closed,)))
    assert not ProjectIsolation().mask(table, a_want()).any()
