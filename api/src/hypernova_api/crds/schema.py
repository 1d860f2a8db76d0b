"""A model as a structural schema: the dialect of OpenAPI v3 that the API server takes for custom resources.

pydantic speaks JSON schema 2020-12; the API server takes less, and some things by another name:

    $ref, $defs                    inlined; a model that contains itself is refused
    X | None                       X, and not required: an absent field is absent, never null
    const                          an enum of one
    exclusiveMinimum: 0            minimum: 0, exclusiveMinimum: true (and so with maximum)
    title, examples, deprecated    dropped: the names say it already
    default                        dropped where null; of a model, only what differs from the model's own defaults
    additionalProperties: false    dropped: the API server prunes unknown fields, or refuses them when asked to
    dict[str, Any]                 kept as it is written (x-kubernetes-preserve-unknown-fields)
    a list                         x-kubernetes-list-type: atomic, unless the field is marked otherwise

Anything else that has no structural equivalent raises NotStructural, with the path to it.
"""

from __future__ import annotations

from typing import Any

from hypernova_api.meta import Model

Schema = dict[str, Any]

_KEPT = (
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)
_TRANSLATED = (
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maximum",
    "minimum",
    "properties",
    "required",
    "type",
    "x-kubernetes-validations",
)
_DROPPED = ("$defs", "title", "examples", "deprecated")
_FORMATS = ("date-time", "ipv4", "ipv6", "uuid")
"""Those that pydantic and the API server both know and mean alike. (Not so `duration`: ISO 8601 against Go's.)"""

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NULL = {"type": "null"}
_NO_DEFAULT = object()


class NotStructural(ValueError):
    """A model uses something that the API server's schemas cannot say."""


def structural_schema(model: type[Model]) -> Schema:
    """The structural schema of a model; the same model always gives the same, keys in a readable order.

    Raises:
        NotStructural: the model uses something that has no structural equivalent.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _Translation(schema.get("$defs", {})).node(schema, path=model.__name__)


class _Translation:
    """One run over one model's JSON schema, whose shared parts are `definitions`."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._open: list[str] = []
        """Definitions being inlined now, outermost first: meeting one again means recursion."""

    def node(self, schema: Schema, path: str) -> Schema:
        """The structural equivalent of one node."""
        if "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
            schema = self._without_null(schema, path)
        if "$ref" in schema:
            return self._inlined(schema, path)
        unknown = [key for key in schema if key not in (*_KEPT, *_TRANSLATED, *_DROPPED)]
        if unknown:
            raise NotStructural(f"{path}: {', '.join(sorted(unknown))} has no place in a structural schema")
        if schema.get("format", _FORMATS[0]) not in _FORMATS:
            raise NotStructural(f"{path}: the API server does not know the format {schema['format']!r}")

        result: Schema = {}
        if description := schema.get("description"):
            result["description"] = _unwrapped(description)
        result |= self._type(schema, path)
        if values := _values(schema):
            result["enum"] = values
        result |= self._bounds(schema, path) | {key: schema[key] for key in _KEPT if key in schema}
        if rules := schema.get("x-kubernetes-validations"):
            result["x-kubernetes-validations"] = [{k: rule[k] for k in _RULE_ORDER if k in rule} for rule in rules]
        result |= self._children(schema, path)
        if schema.get("default") is not None:
            result["default"] = _own_part(schema["default"], result)
        return {key: result[key] for key in sorted(result, key=_ORDER.index)}

    def _type(self, schema: Schema, path: str) -> Schema:
        if schema.get("x-kubernetes-int-or-string"):
            # The one union there is; the API server demands exactly this way to write it, or none.
            return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
        if schema.get("type") not in _TYPES:
            raise NotStructural(f"{path}: needs one type of {', '.join(_TYPES)}")
        return {"type": schema["type"]}

    def _children(self, schema: Schema, path: str) -> Schema:
        match schema.get("type"):
            case "array":
                if "items" not in schema:
                    raise NotStructural(f"{path}: say what the list's items are")
                return {
                    "x-kubernetes-list-type": schema.get("x-kubernetes-list-type", "atomic"),
                    "items": self.node(schema["items"], f"{path}[]"),
                }
            case "object" if "properties" in schema:
                properties = {name: self.node(part, f"{path}.{name}") for name, part in schema["properties"].items()}
                required = {"required": schema["required"]} if schema.get("required") else {}
                return {"properties": properties} | required
            case "object" if isinstance(schema.get("additionalProperties"), dict):
                return {"additionalProperties": self.node(schema["additionalProperties"], f"{path}.*")}
            case "object" if schema.get("additionalProperties"):
                return {"x-kubernetes-preserve-unknown-fields": True}
        return {}

    def _bounds(self, schema: Schema, path: str) -> Schema:
        """Minimum and maximum, as OpenAPI 3.0 writes the exclusive ones."""
        bounds: Schema = {}
        for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if inclusive in schema and exclusive in schema:
                raise NotStructural(f"{path}: give {inclusive} or {exclusive}, not both")
            if inclusive in schema:
                bounds[inclusive] = schema[inclusive]
            elif exclusive in schema:
                bounds |= {inclusive: schema[exclusive], exclusive: True}
        return bounds

    def _inlined(self, schema: Schema, path: str) -> Schema:
        """What a $ref refers to. What stands beside the $ref (a description, a default) wins over it."""
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in self._open:
            raise NotStructural(f"{path}: {name} contains itself")
        self._open.append(name)
        try:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            return self.node(self._definitions[name] | beside, path)
        finally:
            self._open.pop()

    def _without_null(self, schema: Schema, path: str) -> Schema:
        """`anyOf: [X, null]` as X. What stands beside the anyOf wins over X."""
        choices = [choice for choice in schema["anyOf"] if choice != _NULL]
        if len(choices) != 1:
            raise NotStructural(f"{path}: a union; make it an object of optional members and a rule that picks one")
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**choices[0], **beside}


_ORDER = (
    "description",
    "type",
    "anyOf",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
    "required",
    "items",
    "additionalProperties",
    "properties",
)
"""What a reader wants to know first, first; the long parts last."""
_RULE_ORDER = ("rule", "message", "reason", "fieldPath")


def _unwrapped(text: str) -> str:
    """A docstring's paragraphs without the line breaks within them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _values(schema: Schema) -> list[Any]:
    """The values that are allowed, where they are listed; else none."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _own_part(default: Any, schema: Schema) -> Any:
    """A default without what the defaults of its parts will put in anyway: mostly `{}` for a model."""
    match default:
        case list() if "items" in schema:
            return [_own_part(item, schema["items"]) for item in default]
        case dict() if "additionalProperties" in schema:
            return {key: _own_part(value, schema["additionalProperties"]) for key, value in default.items()}
        case dict() if "properties" in schema:
            parts = schema["properties"]
            own = {name: _own_part(value, parts[name]) for name, value in default.items() if value is not None}
            absent = {name: _when_absent(name, schema) for name in parts}
            return {name: value for name, value in own.items() if value != absent[name]}
    return default


def _when_absent(name: str, schema: Schema) -> Any:
    """What it is that a part of an object is not there: its default; of a list or map without one, that it is empty."""
    part = schema["properties"][name]
    empty = {"array": [], "object": {}}.get(part.get("type"), _NO_DEFAULT)
    return part.get("default", _NO_DEFAULT if name in schema.get("required", ()) else empty)
