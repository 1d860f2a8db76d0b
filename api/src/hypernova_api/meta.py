"""What every kind is made of: the base models, and the marks that the CRD generator reads.

A kind is one module that reads like its documentation. Fields are snake_case in Python and camelCase on the wire.
Facts that JSON schema cannot say stand beside the fields as class attributes: `rules` (CEL, checked by the API server),
`columns` (what `kubectl get` prints) and `selectable` (fields usable in a fieldSelector).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of x-kubernetes-validations; `self` is the model the rule is written in.

    `field` is the JSON path (`.image`) the error is reported at, and `reason` one of the API's: FieldValueInvalid,
    FieldValueForbidden, FieldValueRequired, FieldValueDuplicate.
    """

    expression: str
    message: str
    reason: str = "FieldValueInvalid"
    field: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column. `priority` 1 shows it only with `kubectl get -o wide`."""

    name: str
    json_path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    priority: int = 0


AGE = Column("Age", ".metadata.creationTimestamp", "date")


class Model(BaseModel):
    """A part of a kind. Frozen; unknown fields are ignored, as a newer version may have written them."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, use_attribute_docstrings=True
    )

    rules: ClassVar[list[Rule]] = []

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
