from __future__ import annotations

from tests.bench.scheduler.measuring import Cloud, timed
from tests.bench.scheduler.report import Row, table

OURS = {"passing_hosts": 992, "decision_p50_ms": 0.05, "decision_p95_ms": 0.08, "memory_mib": 9.0}
NOVA = {
    "passing_hosts": 992,
    "decision_p50_ms": 130.0,
    "decision_p95_ms": 150.0,
    "whole_p50_ms": 280.0,
    "whole_p95_ms": 400.0,
}


def test_ratios_are_of_novas_medians_to_ours() -> None:
    figures = Row(1000, True, OURS, NOVA).figures
    assert round(figures["decision_ratio"]) == 2600
    assert round(figures["whole_ratio"]) == 5600


def test_a_row_tells_which_cloud_it_is_of() -> None:
    assert Row(1000, True, OURS, NOVA).name == "scheduler_1000_hosts_group"
    assert Row(100000, False, OURS, None).name == "scheduler_100000_hosts"


def test_the_table_shows_a_gap_where_nova_was_not_measured() -> None:
    *_, measured, unmeasured = table([Row(1000, True, OURS, NOVA), Row(100000, False, OURS, None)]).splitlines()
    assert " ".join(measured.split()) == "1,000 yes 0.050 0.080 9.0 130.0 150.0 2,600 280.0 400.0 5,600"
    assert " ".join(unmeasured.split()) == "100,000 no 0.050 0.080 9.0 - - - - - -"
    assert len(measured) == len(unmeasured)


def test_hosts_of_group_members_do_not_pass() -> None:
    assert Cloud(1000, group=False, repeats=1).passing == 1000
    assert Cloud(1000, group=True, repeats=1).passing == 992


def test_every_request_is_decided_once() -> None:
    seen: list[int] = []
    assert timed("decision", seen.append, iter(range(20))).keys() == {"decision_p50_ms", "decision_p95_ms"}
    assert seen == list(range(20))
