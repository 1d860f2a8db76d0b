"""What every kind is made of: the base models, and the marks that the CRD generator reads.

A kind is one module that reads like its documentation. Fields are snake_case in Python and camelCase on the wire.
Facts that Python's types cannot say stand beside the fields as class attributes: `rules` (CEL, checked by the API
server), `columns` (what `kubectl get` prints) and `selectable` (fields usable in a fieldSelector); or in a field's
Annotated: `AS_SET`, `keyed_by`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

GROUP = "compute.hypernova.dev"
VERSION = "v1alpha1"
CATEGORY = "hypernova"

FINALIZER = f"{GROUP}/domain"
"""Kept on an Instance until its domain, volumes and ports are gone."""

CREATED_BY = f"{GROUP}/created-by"
"""Annotation with the user who created an Instance; written by the API server's admission, never by us."""

HYPERVISOR_LABEL = f"{GROUP}/hypervisor"
"""Nodes labelled so with value "true" run the agent and take Instances."""

Scope = Literal["Namespaced", "Cluster"]
Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]

Namespace = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
"""Name of a namespace."""

Name = Annotated[
    str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
"""Name of an object, as Kubernetes allows it: a DNS subdomain."""

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment as RFC 3339: `2026-01-01T00:00:00Z`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of x-kubernetes-validations; `self` is the model the rule is written in.

    `field` is the JSON path (`.image`) the error is reported at; without it, the model itself.
    """

    expression: str
    message: str
    reason: Reason = "FieldValueInvalid"
    field: str = ""

    def to_schema(self) -> dict[str, str]:
        """The rule as an item of x-kubernetes-validations."""
        place = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.expression, "message": self.message, "reason": self.reason} | place


def immutable(field: str, message: str, *, empty: str = "") -> Rule:
    """The rule that a field stays as it was created, absent if it was absent.

    Args:
        field: its name on the wire.
        message: why it cannot be edited, and what to do instead.
        empty: the CEL literal that an absent field is equal to, e.g. `[]`.
    """
    now, before = f"self.{field}", f"oldSelf.{field}"
    # Not `self.?field == oldSelf.?field`: the API server cannot bound the cost of comparing optionals, and refuses it.
    if empty:
        same = f"(has({now}) ? {now} : {empty}) == (has({before}) ? {before} : {empty})"
    else:
        same = f"has({now}) == has({before}) && (!has({now}) || {now} == {before})"
    return Rule(same, message, "FieldValueForbidden", f".{field}")


@dataclass(frozen=True, slots=True)
class ListType:
    """How the API server tells the items of a list apart when several write it (server-side apply).

    Put into a field's Annotated. A list without it is one value, replaced whole (`atomic`).
    """

    name: Literal["set", "map"]
    keys: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Write the mark into the field's schema."""
        keys = {"x-kubernetes-list-map-keys": list(self.keys)} if self.keys else {}
        return handler(core_schema) | {"x-kubernetes-list-type": self.name} | keys


AS_SET = ListType("set")
"""The items are scalars, and each is there once."""


def keyed_by(*fields: str) -> ListType:
    """The items are objects, each known by these fields (names on the wire; required in the item)."""
    return ListType("map", fields)


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column. `priority` 1 shows it only with `kubectl get -o wide`."""

    name: str
    json_path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    priority: int = 0


AGE = Column("Age", ".metadata.creationTimestamp", "date")


def wire_name(name: str) -> str:
    """A field's name in JSON: camelCase, and UID in capitals, as the API conventions want acronyms."""
    return to_camel(name).replace("Uid", "UID")


class Model(BaseModel):
    """A part of a kind. Frozen; unknown fields are ignored, as a newer version may have written them."""

    model_config = ConfigDict(
        alias_generator=wire_name, populate_by_name=True, frozen=True, use_attribute_docstrings=True
    )

    rules: ClassVar[list[Rule]] = []

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Write the rules into the model's schema."""
        schema = handler(core_schema)
        if cls.rules:
            handler.resolve_ref_schema(schema)["x-kubernetes-validations"] = [rule.to_schema() for rule in cls.rules]
        return schema

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as the API server takes it: camelCase, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ObjectMeta(Model):
    """The part of Kubernetes' metadata that Hypernova reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: list[str] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Kind(Model):
    """A custom resource. Subclasses declare `spec` and mostly `status`.

    Class keywords: `scope`, `short_names`, and `plural` where it is not the lower-cased kind with an s.
    """

    group: ClassVar[str] = GROUP
    version: ClassVar[str] = VERSION
    kind: ClassVar[str]
    plural: ClassVar[str]
    scope: ClassVar[Scope]
    namespaced: ClassVar[bool]
    short_names: ClassVar[list[str]]
    columns: ClassVar[list[Column]] = [AGE]
    selectable: ClassVar[list[str]] = []

    metadata: ObjectMeta = ObjectMeta()

    def __init_subclass__(
        cls,
        *,
        scope: Scope = "Namespaced",
        short_names: tuple[str, ...] = (),
        plural: str = "",
        **kwargs: Any,
    ) -> None:
        """Take the class keywords and derive the names that follow from the class's own."""
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__
        cls.plural = plural or f"{cls.__name__.lower()}s"
        cls.scope = scope
        cls.namespaced = scope == "Namespaced"
        cls.short_names = list(short_names)

    @classmethod
    def parse(cls, obj: dict[str, Any]) -> Self:
        """Read an object as the API server returned it. Raises pydantic.ValidationError."""
        return cls.model_validate(obj)
