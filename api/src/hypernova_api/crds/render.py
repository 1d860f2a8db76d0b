"""A kind as the CustomResourceDefinition that is committed under crds/."""

from __future__ import annotations

from typing import Any

import yaml

from hypernova_api.crds.schema import structural_schema
from hypernova_api.meta import CATEGORY, Column, Kind

HEADER = "# Generated from hypernova_api.{module} by `make crds`: edit that instead.\n"
MAX_SELECTABLE = 8
"""The API server takes no more selectableFields in a version."""


def custom_resource_definition(kind: type[Kind]) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind.

    Every kind has the status subresource, also one without a status yet: giving it one later is then only an addition.

    Raises:
        NotStructural: a model uses something that has no structural equivalent.
        ValueError: too many selectable fields.
    """
    if len(kind.selectable) > MAX_SELECTABLE:
        raise ValueError(f"{kind.kind}: {len(kind.selectable)} selectable fields, at most {MAX_SELECTABLE} are allowed")
    version: dict[str, Any] = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "selectableFields": [{"jsonPath": path} for path in kind.selectable],
        "schema": {"openAPIV3Schema": _schema(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": kind.scope,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": kind.short_names,
                "categories": [CATEGORY],
            },
            "versions": [{key: value for key, value in version.items() if value != []}],
        },
    }


def crd_file(kind: type[Kind]) -> tuple[str, str]:
    """Name and text of the file that holds a kind's CustomResourceDefinition."""
    header = HEADER.format(module=kind.__module__.rpartition(".")[2])
    body = yaml.safe_dump(custom_resource_definition(kind), sort_keys=False, width=120, allow_unicode=True)
    return f"{kind.plural}.yaml", header + body


def _schema(kind: type[Kind]) -> dict[str, Any]:
    """The schema of whole objects: what is Kubernetes' own (apiVersion, kind, metadata) is left to the API server."""
    schema = structural_schema(kind)
    # The name is here only because a rule's error may be reported at nothing that isn't.
    metadata = {"type": "object", "properties": {"name": {"type": "string"}}}
    kubernetes = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": metadata}
    schema["properties"] = {**kubernetes, **{k: v for k, v in schema["properties"].items() if k not in kubernetes}}
    # An object nobody has reported on has no status at all: programs need only one way to ask.
    schema["properties"].get("status", {}).pop("default", None)
    return schema


def _column(column: Column) -> dict[str, Any]:
    priority = {"priority": column.priority} if column.priority else {}
    return {"name": column.name, "type": column.type, "jsonPath": column.json_path} | priority
