"""Whose ratio holds for a host."""

import pytest

from hypernova_api.overcommit import DEFAULT_RATIOS, Overcommit, Ratios, ratios


@pytest.mark.parametrize(
    ("own", "aggregates", "expected"),
    [
        pytest.param(None, [], DEFAULT_RATIOS, id="nobody says any: the defaults"),
        pytest.param(Overcommit(), [Overcommit()], DEFAULT_RATIOS, id="everybody says nothing: the defaults"),
        pytest.param(
            Overcommit(cpu=2, memory=1.5, disk=3), [], Ratios(2.0, 1.5, 3.0), id="the host's own, without aggregates"
        ),
        pytest.param(Overcommit(cpu=16), [Overcommit(cpu=2)], Ratios(16.0, 1.0, 1.0), id="the host's own, though more"),
        pytest.param(Overcommit(cpu=1), [Overcommit(cpu=8)], Ratios(1.0, 1.0, 1.0), id="the host's own, though 1"),
        pytest.param(None, [Overcommit(cpu=8)], Ratios(8.0, 1.0, 1.0), id="its aggregate's, though over the default"),
        pytest.param(
            None,
            [Overcommit(cpu=8), Overcommit(cpu=2), Overcommit(cpu=6)],
            Ratios(2.0, 1.0, 1.0),
            id="the smallest of its aggregates",
        ),
        pytest.param(
            None, [Overcommit(cpu=8), Overcommit(memory=2)], Ratios(8.0, 2.0, 1.0), id="each resource from who says one"
        ),
        pytest.param(
            Overcommit(disk=2),
            [Overcommit(cpu=8, disk=4)],
            Ratios(8.0, 1.0, 2.0),
            id="each resource for itself: own disk, the aggregate's cpu, the default memory",
        ),
    ],
)
def test_the_hosts_own_ratio_holds_else_the_smallest_of_its_aggregates_else_the_default(
    own: Overcommit | None, aggregates: list[Overcommit], expected: Ratios
) -> None:
    assert ratios(own, aggregates) == expected
