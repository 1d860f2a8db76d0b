"""OpenAPI documents of the group, versions 2 and 3, which the API server puts into its own. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypernova_api.console import SUBRESOURCES_GROUP, ConsoleTicketSpec, ConsoleTicketStatus
from hypernova_api.crds.schema import structural_schema
from hypernova_api.meta import VERSION
from hypernova_console.aggregated.discovery import GROUP_VERSION, SUBRESOURCES

_TICKET = f"dev.hypernova.compute.subresources.{VERSION}.ConsoleTicket"
_INFO = {"title": "Hypernova consoles", "version": VERSION}
_DOCS = {
    "screenshot": "The guest's screen as a PNG.",
    "serial": "The guest's first serial port: a WebSocket of binary messages.",
    "ticket": "A link that opens the console in a browser, once.",
    "vnc": "The guest's screen, keyboard and mouse: a WebSocket of binary messages, which are RFB.",
}
V3_PATH = f"/openapi/v3/apis/{GROUP_VERSION}"


def version_2() -> dict[str, Any]:
    """The document at /openapi/v2."""
    paths = {}
    for path, operation, is_ticket in _operations():
        responses: dict[str, Any] = {"200": {"description": "OK"}}
        if is_ticket:
            ticket = {"$ref": f"#/definitions/{_TICKET}"}
            responses = {"201": {"description": "Created", "schema": ticket}}
            operation["post"]["parameters"] = [{"name": "body", "in": "body", "schema": ticket}]
        for each in operation.values():
            each |= {"responses": responses, "consumes": ["*/*"], "produces": ["application/json"]}
        names = [
            {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True}
            for name in ("name", "namespace")
        ]
        paths[path] = operation | {"parameters": names}
    return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": {_TICKET: _ticket_schema()}}


def version_3() -> dict[str, Any]:
    """The document at V3_PATH."""
    paths = {}
    for path, operation, is_ticket in _operations():
        responses: dict[str, Any] = {"200": {"description": "OK"}}
        if is_ticket:
            content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{_TICKET}"}}}
            responses = {"201": {"description": "Created", "content": content}}
            operation["post"]["requestBody"] = {"content": content}
        for each in operation.values():
            each["responses"] = responses
        names = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in ("name", "namespace")
        ]
        paths[path] = operation | {"parameters": names}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": {_TICKET: _ticket_schema()}}}


def version_3_index() -> dict[str, Any]:
    """The list of documents at /openapi/v3; the hash tells when one has changed."""
    return {"paths": {f"apis/{GROUP_VERSION}": {"serverRelativeURL": f"{V3_PATH}?hash={etag(version_3())}"}}}


def etag(document: dict[str, Any]) -> str:
    """What is another if the document is."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest().upper()


def _operations() -> list[tuple[str, dict[str, Any], bool]]:
    """Path, operations by method, and whether it is the ticket's."""
    operations = []
    for each in SUBRESOURCES:
        method, action = ("post", "post") if each.verb == "create" else ("get", "get")
        operation = {
            "description": _DOCS[each.name],
            "operationId": f"{each.verb}InstanceConsole{each.name.capitalize()}",
            "tags": ["hypernova_console"],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _kind(each.kind),
        }
        path = f"/apis/{GROUP_VERSION}/namespaces/{{namespace}}/instances/{{name}}/{each.name}"
        operations.append((path, {method: operation}, each.kind == "ConsoleTicket"))
    return operations


def _ticket_schema() -> dict[str, Any]:
    string = {"type": "string"}
    return {
        "description": "A link for a browser.",
        "type": "object",
        "properties": {
            "apiVersion": string,
            "kind": string,
            "spec": structural_schema(ConsoleTicketSpec),
            "status": structural_schema(ConsoleTicketStatus),
        },
        "x-kubernetes-group-version-kind": [_kind("ConsoleTicket")],
    }


def _kind(kind: str) -> dict[str, str]:
    return {"group": SUBRESOURCES_GROUP, "version": VERSION, "kind": kind}
