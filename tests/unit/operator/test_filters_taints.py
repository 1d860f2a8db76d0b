"""Taints and tolerations, as Kubernetes has them."""

from __future__ import annotations

import pytest

from hypernova_operator.scheduler import Taint, Toleration
from hypernova_operator.scheduler.filters.node import Taints, tolerates
from support.scheduling import a_host, a_table, a_want

TAINT = Taint("gpu", "a100", "NoSchedule")

TOLERATIONS = {
    "the same key, value and effect": (Toleration("gpu", "Equal", "a100", "NoSchedule"), True),
    "the same key and value, any effect": (Toleration("gpu", "Equal", "a100", ""), True),
    "another effect": (Toleration("gpu", "Equal", "a100", "NoExecute"), False),
    "another value": (Toleration("gpu", "Equal", "h100", "NoSchedule"), False),
    "no value, which is a value like any other": (Toleration("gpu", "Equal", "", "NoSchedule"), False),
    "another key": (Toleration("fpga", "Equal", "a100", "NoSchedule"), False),
    "the key, whatever its value": (Toleration("gpu", "Exists", "", "NoSchedule"), True),
    "the key, whatever its value and effect": (Toleration("gpu", "Exists", "", ""), True),
    "the key, of another effect": (Toleration("gpu", "Exists", "", "NoExecute"), False),
    "another key, whatever its value": (Toleration("fpga", "Exists", "", ""), False),
    "everything": (Toleration("", "Exists", "", ""), True),
    "everything of an effect": (Toleration("", "Exists", "", "NoSchedule"), True),
    "everything of another effect": (Toleration("", "Exists", "", "NoExecute"), False),
}


@pytest.mark.parametrize(("toleration", "expected"), TOLERATIONS.values(), ids=TOLERATIONS)
def test_a_toleration_is_about_a_taint(toleration: Toleration, expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


ANY_GPU = Toleration("gpu", "Exists", "", "")
NEVER = Toleration("gpu", "Equal", "h100", "NoSchedule")

NODES: dict[str, tuple[tuple[Taint, ...], tuple[Toleration, ...], bool]] = {
    "no taint, no toleration": ((), (), True),
    "a taint that nothing tolerates": ((TAINT,), (NEVER,), False),
    "a taint that one of several tolerates": ((TAINT,), (NEVER, ANY_GPU), True),
    "of two taints one is tolerated": ((TAINT, Taint("db", "", "NoSchedule")), (ANY_GPU,), False),
    "NoExecute keeps away what is not there yet": ((Taint("db", "", "NoExecute"),), (), False),
    "PreferNoSchedule is a wish": ((Taint("db", "", "PreferNoSchedule"),), (), True),
    "an empty value equals an empty value": (
        (Taint("db", "", "NoSchedule"),),
        (Toleration("db", "Equal", "", ""),),
        True,
    ),
}


@pytest.mark.parametrize(("taints", "tolerations", "passes"), NODES.values(), ids=NODES)
def test_a_node_takes_who_tolerates_all_its_repelling_taints(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], passes: bool
) -> None:
    table = a_table(a_host(taints=taints))
    assert Taints().mask(table, a_want(tolerations=tolerations)).tolist() == [passes]


def test_a_taint_that_comes_and_goes_is_followed() -> None:
    table = a_table(a_host())
    assert Taints().mask(table, a_want()).tolist() == [True]
    table.put(a_host(taints=(TAINT,)))
    assert Taints().mask(table, a_want()).tolist() == [False]
    table.put(a_host())
    assert Taints().mask(table, a_want()).tolist() == [True]
