"""What the API server demands of a CRD's schema, and of values by it, written down a second time.

Independent of the generator on purpose: from apiextensions' rules for structural schemas, for list types and defaults.
The real API server has the last word (tests/integration/api); this one answers in microseconds.
"""

import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_TYPES = {"array": list, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "string": str}
_KEYWORDS = {
    *("description", "type", "format", "enum", "default", "pattern", "anyOf", "required"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minItems", "maxItems", "minProperties", "maxProperties", "items", "properties", "additionalProperties"),
    *("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
}
_FORMATS = {"date-time", "date", "uuid", "ipv4", "ipv6", "cidr", "mac", "byte", "int32", "int64"}
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def violations(schema: Schema, path: str = "") -> Iterator[str]:
    """What the API server would refuse in a schema; nothing if it is structural."""
    for keyword in schema.keys() - _KEYWORDS:
        yield f"{path}: {keyword} is not allowed"
    if schema.get("x-kubernetes-int-or-string"):
        if "type" in schema or schema.get("anyOf") != _INT_OR_STRING:
            yield f"{path}: int-or-string has no type, and anyOf as it must be"
    elif "anyOf" in schema or schema.get("type") not in _TYPES:
        yield f"{path}: needs one type and no anyOf"
    if schema.get("format", "int64") not in _FORMATS:
        yield f"{path}: unrecognized format"
    if "enum" in schema and (not schema["enum"] or len(schema["enum"]) != len(set(map(repr, schema["enum"])))):
        yield f"{path}: enum must have values, each once"
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema and (schema[exclusive] is not True or bound not in schema):
            yield f"{path}: {exclusive} is a boolean beside {bound}"
    if "default" in schema:
        yield from (f"{path}: bad default: {error}" for error in errors(schema["default"], schema))
    for rule in schema.get("x-kubernetes-validations", ()):
        if not rule["rule"].strip() or not rule["message"].strip() or "\n" in rule["message"]:
            yield f"{path}: a rule needs an expression and a message of one line"
    yield from _object_violations(schema, path)
    yield from _list_violations(schema, path)


def _object_violations(schema: Schema, path: str) -> Iterator[str]:
    if {"properties", "additionalProperties"} <= schema.keys():
        yield f"{path}: properties and additionalProperties exclude each other"
    if isinstance(schema.get("additionalProperties"), bool):
        yield f"{path}: additionalProperties must be a schema"
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            yield f"{path}: {name} is required but not there"
    for name, part in schema.get("properties", {}).items():
        yield from violations(part, f"{path}.{name}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from violations(schema["additionalProperties"], f"{path}.*")


def _list_violations(schema: Schema, path: str) -> Iterator[str]:
    if schema.get("type") != "array":
        if {"items", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"} & schema.keys():
            yield f"{path}: has marks of a list but is none"
        return
    items = schema.get("items", {})
    keys = schema.get("x-kubernetes-list-map-keys", [])
    match schema.get("x-kubernetes-list-type"):
        case "atomic":
            pass
        case "set":
            if items.get("type") in ("array", "object"):
                yield f"{path}: the items of a set are scalars"
        case "map":
            if items.get("type") != "object" or not keys:
                yield f"{path}: the items of a map are objects with keys"
            for key in keys:
                part = items.get("properties", {}).get(key, {})
                if part.get("type") in (None, "array", "object"):
                    yield f"{path}: the key {key} must be a scalar"
                if key not in items.get("required", ()) and "default" not in part:
                    yield f"{path}: the key {key} must be required or have a default"
        case other:
            yield f"{path}: {other} is no list type"
    yield from violations(items, f"{path}[]")


def errors(value: Any, schema: Schema, path: str = "") -> Iterator[str]:
    """Why the API server would refuse a value, unknown fields included; nothing if it takes it."""
    if schema.get("x-kubernetes-int-or-string"):
        types: Any = (int, str)
    else:
        types = _TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        yield f"{path}: {value!r} has the wrong type"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not in {schema['enum']}"
    match value:
        case dict():
            yield from _object_errors(value, schema, path)
        case list():
            yield from _sizes(len(value), schema, "Items", path)
            yield from (
                e for index, item in enumerate(value) for e in errors(item, schema["items"], f"{path}[{index}]")
            )
            keys = schema.get("x-kubernetes-list-map-keys", [])
            names = [repr([item[key] for key in keys]) if keys else repr(item) for item in value]
            if schema["x-kubernetes-list-type"] != "atomic" and len(names) != len(set(names)):
                yield f"{path}: has an item twice"
        case str():
            yield from _sizes(len(value), schema, "Length", path)
            if "pattern" in schema and not re.search(schema["pattern"], value):
                yield f"{path}: {value!r} does not match {schema['pattern']}"
        case int() | float():
            yield from _bounds(value, schema, path)


def _object_errors(value: dict[str, Any], schema: Schema, path: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, part in value.items():
        if name in properties:
            yield from errors(part, properties[name], f"{path}.{name}")
        elif others:
            yield from errors(part, others, f"{path}.{name}")
        elif not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{path}.{name} is unknown"


def _sizes(size: int, schema: Schema, noun: str, path: str) -> Iterator[str]:
    if not schema.get(f"min{noun}", 0) <= size <= schema.get(f"max{noun}", size):
        yield f"{path}: {noun} is {size}"


def _bounds(value: float, schema: Schema, path: str) -> Iterator[str]:
    low, high = schema.get("minimum", value), schema.get("maximum", value)
    if not low <= value <= high:
        yield f"{path}: {value} is not within {low} and {high}"
    if (schema.get("exclusiveMinimum") and value == low) or (schema.get("exclusiveMaximum") and value == high):
        yield f"{path}: {value} is a bound that is excluded"
