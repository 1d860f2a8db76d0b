"""The kinds as a page of tables for people: docs/reference.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hypernova_api.crds.schema import Schema, structural_schema
from hypernova_api.meta import GROUP, VERSION, Kind

HEAD = f"""\
# The kinds of {GROUP}/{VERSION}

Generated from the models in `api/` by `make crds`. `kubectl explain` says the same for the cluster at hand.
"""


def reference(kinds: Iterable[type[Kind]]) -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *(line for kind in kinds for line in _section(kind))])


def _section(kind: type[Kind]) -> Iterator[str]:
    schema = structural_schema(kind)
    yield from (f"## {kind.kind}", "", schema["description"], "")
    scope = "In a namespace" if kind.namespaced else "For the whole cluster"
    yield f"{scope}; `kubectl get {kind.plural}`, short `{'`, `'.join(kind.short_names)}`."
    for part in ("spec", "status"):
        if part in schema["properties"]:
            yield from ("", "| field | type | default | meaning |", "|---|---|---|---|")
            yield from _rows(schema["properties"][part], f"{part}.")
    if rules := list(_rules(schema)):
        yield from ("", "The API server refuses what breaks these rules:", "", *rules)
    yield ""


def _rows(schema: Schema, prefix: str) -> Iterator[str]:
    for name, part in schema["properties"].items():
        default = "*required*" if name in schema.get("required", ()) else _code(part.get("default", ""))
        yield f"| `{prefix}{name}` | {_type(part)} | {default} | {part['description'].replace('|', '&#124;')} |"
        items = part.get("items", part)
        if "properties" in items:
            yield from _rows(items, f"{prefix}{name}[]." if "items" in part else f"{prefix}{name}.")


def _rules(schema: Schema, prefix: str = "") -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"- `{(prefix + rule.get('fieldPath', '')).removeprefix('.')}`: {rule['message']}"
    for name, part in schema.get("properties", {}).items():
        yield from _rules(part, f"{prefix}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{prefix}[]")


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return ", ".join(map(_code, schema["enum"]))
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    bounds = f" {schema['minimum']} to {schema['maximum']}" if {"minimum", "maximum"} <= schema.keys() else ""
    return f"{schema.get('type', 'quantity')}{bounds}"


def _code(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"`{text}`" if text else ""
