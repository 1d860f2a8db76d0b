"""Label selectors mean what Kubernetes' own mean. (tests/integration/api/test_selectors.py asks the API server.)"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_api.selectors import LabelRequirement, LabelSelector

KEYS = st.sampled_from(["rack", "example.com/disk", "zone"])
VALUES = st.sampled_from(["", "a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES)
VALUE_LISTS = st.lists(VALUES, min_size=1, max_size=3)
REQUIREMENTS = st.one_of(
    st.builds(LabelRequirement, key=KEYS, operator=st.sampled_from(["In", "NotIn"]), values=VALUE_LISTS),
    st.builds(LabelRequirement, key=KEYS, operator=st.sampled_from(["Exists", "DoesNotExist"])),
)
SELECTORS = st.builds(
    LabelSelector,
    match_labels=st.dictionaries(KEYS, VALUES, max_size=2),
    match_expressions=st.lists(REQUIREMENTS, max_size=3),
)


def requirement(operator: str, *values: str) -> LabelSelector:
    wire: dict[str, Any] = {"key": "rack", "operator": operator} | ({"values": list(values)} if values else {})
    return LabelSelector.model_validate({"matchExpressions": [wire]})


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        pytest.param(LabelSelector(), ["r1", "r2", "empty", "none"], id="nothing said: everything"),
        pytest.param(LabelSelector(match_labels={"rack": "r1"}), ["r1"], id="a label"),
        pytest.param(LabelSelector(match_labels={"rack": ""}), ["empty"], id="an empty label is not an absent one"),
        pytest.param(requirement("In", "r1", "r2"), ["r1", "r2"], id="In"),
        pytest.param(requirement("NotIn", "r1"), ["r2", "empty", "none"], id="NotIn: also what has no such label"),
        pytest.param(requirement("Exists"), ["r1", "r2", "empty"], id="Exists: whatever its value"),
        pytest.param(requirement("DoesNotExist"), ["none"], id="DoesNotExist"),
    ],
)
def test_who_is_selected(selector: LabelSelector, selected: list[str]) -> None:
    objects = {"r1": {"rack": "r1"}, "r2": {"rack": "r2", "a": "b"}, "empty": {"rack": ""}, "none": {"a": "b"}}

    assert [name for name, labels in objects.items() if selector.matches(labels)] == selected


@given(SELECTORS, SELECTORS, LABELS)
def test_all_that_is_said_must_hold(one: LabelSelector, other: LabelSelector, labels: dict[str, str]) -> None:
    said_by_both = LabelSelector(
        match_labels=one.match_labels,
        match_expressions=[
            *one.match_expressions,
            *other.match_expressions,
            *(LabelRequirement(key=key, operator="In", values=[value]) for key, value in other.match_labels.items()),
        ],
    )

    assert said_by_both.matches(labels) == (one.matches(labels) and other.matches(labels))


@given(KEYS, VALUE_LISTS, LABELS)
def test_an_operator_and_its_opposite_never_agree(key: str, values: list[str], labels: dict[str, str]) -> None:
    def holds(operator: str, values: list[str]) -> bool:
        wire = {"key": key, "operator": operator, "values": values}
        return LabelRequirement.model_validate(wire).holds(labels)

    assert holds("In", values) != holds("NotIn", values)
    assert holds("Exists", []) != holds("DoesNotExist", [])


@given(SELECTORS)
def test_a_selector_read_back_is_the_same(selector: LabelSelector) -> None:
    assert LabelSelector.model_validate(selector.to_wire()) == selector
