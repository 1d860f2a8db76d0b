"""Whatever models are made of, their schema is structural, always the same, and fits what they write."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model

from hypernova_api.crds.schema import NotStructural, structural_schema
from hypernova_api.meta import AS_SET, Model, Rule, Time, immutable, keyed_by
from hypernova_api.quantity import Quantity
from support.structural import errors, violations


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


class Part(Model):
    """A part."""

    name: str
    size: Quantity = Quantity("1Gi")
    colour: Colour = Colour.RED
    note: str | None = None
    rules: ClassVar[list[Rule]] = [Rule("self.name != ''", "a part needs a name")]


class Notes(Model):
    """Lists that need not be there, and one that must."""

    may: list[str] = Field(default_factory=list)
    by_name: dict[str, str] = Field(default_factory=dict)
    must: list[str]


Kind_of_field = tuple[Any, st.SearchStrategy[Any]]
"""An annotation, and the values it takes."""

TEXT = st.text(max_size=8)
SCALARS: list[Kind_of_field] = [
    (str, TEXT),
    (Annotated[str, Field(min_length=1, max_length=3)], st.text(min_size=1, max_size=3)),
    (Annotated[str, Field(pattern=r"^[a-z]+$")], st.from_regex(r"\A[a-z]+\Z")),
    (Time, st.just("2026-01-01T00:00:00Z")),
    (bool, st.booleans()),
    (Annotated[int, Field(ge=1, le=9)], st.integers(1, 9)),
    (Annotated[int, Field(gt=1, lt=9)], st.integers(2, 8)),
    (Annotated[float, Field(ge=0.5, lt=64)], st.floats(0.5, 63)),
    (Literal["a"], st.just("a")),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (Literal[1, 2], st.sampled_from([1, 2])),
    (Colour, st.sampled_from(Colour)),
]
QUANTITIES = st.builds(
    lambda number, suffix: Quantity(f"{number}{suffix}"), st.integers(-(2**63), 2**63), st.sampled_from(["", "Gi"])
)
PARTS = st.builds(Part, name=TEXT, size=QUANTITIES, note=st.none() | TEXT)


def of_lists(item: Kind_of_field) -> Kind_of_field:
    return Annotated[list[item[0]], Field(max_length=4)], st.lists(item[1], max_size=4)


def of_sets(item: Kind_of_field) -> Kind_of_field:
    return Annotated[list[item[0]], AS_SET], st.lists(item[1], max_size=4, unique=True)


def of_dicts(item: Kind_of_field) -> Kind_of_field:
    return dict[str, item[0]], st.dictionaries(TEXT, item[1], max_size=3)


def of_models(fields: list[Kind_of_field]) -> Kind_of_field:
    model = a_model("Nested", {f"field_{index}": (annotation, ...) for index, (annotation, _) in enumerate(fields)})
    values = st.fixed_dictionaries({f"field_{index}": values for index, (_, values) in enumerate(fields)})
    return model, values.map(lambda chosen: model(**chosen))


FIELDS = st.recursive(
    st.sampled_from(
        [
            *SCALARS,
            *map(of_sets, SCALARS[:3]),
            (Quantity, QUANTITIES),
            (Part, PARTS),
            (Annotated[list[Part], keyed_by("name")], st.lists(PARTS, max_size=3, unique_by=lambda part: part.name)),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(of_lists), inner.map(of_dicts), st.lists(inner, min_size=1, max_size=3).map(of_models)
    ),
    max_leaves=4,
)


@st.composite
def models_with_a_value(draw: st.DrawFn) -> tuple[type[Model], Model]:
    """A model of random fields, some optional, some with a default; and one of its values."""
    fields, values = {}, {}
    for index, (annotation, field_values) in enumerate(draw(st.lists(FIELDS, min_size=1, max_size=5))):
        name = f"some_field_{index}"
        match draw(st.sampled_from(["required", "default", "optional"])):
            case "required":
                fields[name] = (annotation, ...)
                values[name] = draw(field_values)
            case "default":
                fields[name] = (annotation, draw(field_values))
                if draw(st.booleans()):
                    values[name] = draw(field_values)
            case "optional":
                fields[name] = (annotation | None, None)
                values[name] = draw(st.none() | field_values)
    model = a_model("Random", fields)
    return model, model(**values)


def a_model(name: str, fields: dict[str, Any]) -> type[Model]:
    return create_model(name, __base__=Model, **fields)


@settings(max_examples=60)
@given(models_with_a_value())
def test_every_schema_is_structural_and_takes_what_the_model_writes(drawn: tuple[type[Model], Model]) -> None:
    model, value = drawn

    schema = structural_schema(model)

    assert list(violations(schema)) == []
    assert list(errors(value.to_wire(), schema)) == []


@settings(max_examples=60)
@given(models_with_a_value())
def test_the_same_model_always_gives_the_same_schema(drawn: tuple[type[Model], Model]) -> None:
    model, _ = drawn

    assert repr(structural_schema(model)) == repr(structural_schema(model))


@settings(max_examples=60)
@given(models_with_a_value())
def test_a_value_read_back_is_the_same_value(drawn: tuple[type[Model], Model]) -> None:
    model, value = drawn

    assert model.model_validate(value.to_wire()).to_wire() == value.to_wire()


def field_schema(annotation: Any, default: Any = ...) -> dict[str, Any]:
    return structural_schema(a_model("One", {"it": (annotation, default)}))["properties"]["it"]


PART = structural_schema(Part)
NOTES = structural_schema(Notes)


@pytest.mark.parametrize(
    ("annotation", "default", "schema"),
    [
        pytest.param(str | None, None, {"type": "string"}, id="optional is the type itself, without a null"),
        pytest.param(Literal["a"], ..., {"type": "string", "enum": ["a"]}, id="one literal is an enum of one"),
        pytest.param(Colour, Colour.RED, {"type": "string", "enum": ["Red", "Blue"], "default": "Red"}, id="enum"),
        pytest.param(
            Annotated[int, Field(gt=1, le=9)],
            2,
            {"type": "integer", "minimum": 1, "exclusiveMinimum": True, "maximum": 9, "default": 2},
            id="an exclusive bound is a boolean beside the bound",
        ),
        pytest.param(
            list[str],
            ...,
            {"type": "array", "x-kubernetes-list-type": "atomic", "items": {"type": "string"}},
            id="a list is atomic",
        ),
        pytest.param(
            Annotated[list[str], AS_SET] | None,
            None,
            {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            id="a list may be a set",
        ),
        pytest.param(
            Annotated[list[Part], keyed_by("name")],
            ...,
            {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": PART,
            },
            id="a list may be a map, and models are inlined with their rules",
        ),
        pytest.param(
            dict[str, Quantity],
            ...,
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "integer"}, {"type": "string"}],
                    "pattern": Quantity.PATTERN,
                    "maxLength": Quantity.MAX_LENGTH,
                    "x-kubernetes-int-or-string": True,
                },
            },
            id="a quantity is an integer or a string",
        ),
        pytest.param(
            dict[str, Any],
            ...,
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="a free dict is kept as it is",
        ),
        pytest.param(Part | None, None, PART, id="an optional model is the model"),
        pytest.param(
            Part,
            Part(name="x", colour=Colour.BLUE),
            PART | {"default": {"name": "x", "colour": "Blue"}},
            id="a model's default is what differs from its own defaults",
        ),
        pytest.param(
            Notes,
            Notes(must=[]),
            NOTES | {"default": {"must": []}},
            id="an empty list that need not be there is no part of a model's default",
        ),
        pytest.param(Time, ..., {"type": "string", "format": "date-time"}, id="a moment is checked as one"),
    ],
)
def test_translation(annotation: Any, default: Any, schema: dict[str, Any]) -> None:
    assert field_schema(annotation, default) == schema


class Tree(Model):
    """A model that contains itself."""

    children: "list[Tree]"


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        (Tree, "One.it.children[]: Tree contains itself"),
        (int | str, "One.it: a union; make it an object of optional members and a rule that picks one"),
        (Part | Tree, "One.it: a union; make it an object of optional members and a rule that picks one"),
        (tuple[int, str], "One.it: prefixItems has no place in a structural schema"),
        (set[str], "One.it: uniqueItems has no place in a structural schema"),
        (timedelta, "One.it: the API server does not know the format 'duration'"),
        (Annotated[int, Field(ge=0, gt=1)], "One.it: give minimum or exclusiveMinimum, not both"),
        (Any, "One.it: needs one type of array, boolean, integer, number, object, string"),
        (Literal["a", 1], "One.it: needs one type of array, boolean, integer, number, object, string"),
        (list, "One.it[]: needs one type of array, boolean, integer, number, object, string"),
    ],
)
def test_what_has_no_structural_form_is_refused_by_its_path(annotation: Any, complaint: str) -> None:
    with pytest.raises(NotStructural) as refused:
        field_schema(annotation)

    assert str(refused.value) == complaint


def test_a_docstring_is_a_description_without_its_line_breaks() -> None:
    class Described(Model):
        """What it is.

        More of
        it.
        """

        plain: int = 0
        part: Part = Part(name="x")
        """Said here, not
        there."""

    schema = structural_schema(Described)

    assert schema["description"] == "What it is.\n\nMore of it."
    assert schema["properties"]["part"]["description"] == "Said here, not there."
    assert "description" not in schema["properties"]["plain"]


@pytest.mark.parametrize(
    ("rule", "expression"),
    [
        (immutable("it", "no"), "has(self.it) == has(oldSelf.it) && (!has(self.it) || self.it == oldSelf.it)"),
        (immutable("it", "no", empty="[]"), "(has(self.it) ? self.it : []) == (has(oldSelf.it) ? oldSelf.it : [])"),
    ],
)
def test_an_immutable_field_is_a_rule_about_itself_and_its_absence(rule: Rule, expression: str) -> None:
    assert rule.to_schema() == {
        "rule": expression,
        "message": "no",
        "reason": "FieldValueForbidden",
        "fieldPath": ".it",
    }


@pytest.mark.parametrize("break_it", [
    lambda s: s.pop("type"),
    lambda s: s.update({"$ref": "#/x"}),
    lambda s: s.update(additionalProperties={"type": "string"}),
    lambda s: s["required"].append("ghost"),
    lambda s: s["properties"]["colour"].update(default="Green"),
    lambda s: s["properties"]["colour"].update(format="colour"),
    lambda s: s["properties"]["colour"].update(enum=["Red", "Red"]),
    lambda s: s["properties"]["size"].update(type="string"),
    lambda s: s["properties"]["name"].update(exclusiveMinimum=1),
    lambda s: s["properties"].update(tags={"type": "array", "items": {"type": "string"}}),
])  # fmt: skip
def test_the_checker_itself_finds_what_is_broken(break_it: Callable[[dict[str, Any]], Any]) -> None:
    schema = structural_schema(Part)
    assert list(violations(schema)) == []

    break_it(schema)

    assert list(violations(schema)) != []
