"""Every CEL rule of every kind, with good and bad input, on the real API server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hypernova_api.kinds import KINDS
from hypernova_api.meta import Model, Rule
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Object
from support.builders import an_instance
from support.rule_cases import AT_CREATION, AT_UPDATE, AtCreation, AtUpdate, Case, placed

PREFIX = {
    "FieldValueInvalid": "Invalid value: ",
    "FieldValueForbidden": "Forbidden: ",
    "FieldValueRequired": "Required value: ",
}
"""What the API server writes before a rule's own message."""

VALUE = re.compile(r'(?<=^Invalid value: )"(object|array|string|integer|number|boolean)": ')
"""The type of the value, which older API servers tell in between."""


def models(annotation: Any) -> Iterator[type[Model]]:
    """The models that an annotation leads to, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def rules() -> dict[tuple[str, str], Rule]:
    return {(model.__name__, rule.message): rule for kind in KINDS for model in models(kind) for rule in model.rules}


def test_every_rule_of_every_kind_has_a_case() -> None:
    assert {(case.model.__name__, case.message) for case in [*AT_CREATION, *AT_UPDATE]} == set(rules())


def name_of(case: Case) -> str:
    return f"{case.model.__name__}: {case.message}"


def refusal(case: Case) -> list[tuple[str, str, str]]:
    """Field, reason and message, as they are to be in the API server's answer."""
    reason = rules()[case.model.__name__, case.message].reason
    return [(case.field, reason, PREFIX[reason] + case.message)]


def causes(error: Invalid) -> list[tuple[str, str, str]]:
    return [(cause["field"], cause["reason"], VALUE.sub("", cause["message"])) for cause in error.details["causes"]]


@pytest.mark.parametrize("case", AT_CREATION, ids=name_of)
async def test_at_creation(case: AtCreation, objects: Any) -> None:
    await objects.create(case.good)

    with pytest.raises(Invalid) as refused:
        await objects.create(case.bad)

    assert causes(refused.value) == refusal(case)


@pytest.mark.parametrize("case", AT_UPDATE, ids=name_of)
async def test_at_update(case: AtUpdate, objects: Any) -> None:
    stored = await objects.create(case.before)
    if "status" in case.before:
        await objects.patch(stored, {"status": case.before["status"]}, "status")
    await objects.patch(stored, case.good, subresource(case.good))

    with pytest.raises(Invalid) as refused:
        await objects.patch(stored, case.bad, subresource(case.bad))

    assert causes(refused.value) == refusal(case)


def subresource(patch: dict[str, Any]) -> str:
    return "status" if "status" in patch else ""


@pytest.mark.parametrize(
    ("before", "patch"),
    [
        (an_instance(), {"scheduling": {"group": "web"}, "availabilityZone": "az1"}),
        (placed(group="web"), {"scheduling": {"group": "db", "nodeSelector": {"rack": "r1"}}}),
        (placed(group="web"), {"scheduling": None}),
        (an_instance(availabilityZone="az1"), {"availabilityZone": "az2"}),
        (an_instance(availabilityZone="az1", status={"phase": "Pending"}), {"availabilityZone": None}),
    ],
)
async def test_where_an_instance_should_go_can_be_edited_until_it_has_a_node(
    before: Object, patch: dict[str, Any], objects: Any
) -> None:
    stored = await objects.create(before)
    if "status" in before:
        await objects.patch(stored, {"status": before["status"]}, "status")

    await objects.patch(stored, {"spec": patch})
