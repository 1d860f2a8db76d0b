"""What the group has, as API servers ask for it: the APIGroup, its resources, and both in one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypernova_api.console import SUBRESOURCES_GROUP as GROUP
from hypernova_api.meta import VERSION

GROUP_VERSION = f"{GROUP}/{VERSION}"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
"""Content type of all groups with all they have in one answer, as the API server prefers it."""


@dataclass(frozen=True, slots=True)
class Subresource:
    """Something of an Instance that is asked for beside it."""

    name: str
    kind: str
    verb: str


SUBRESOURCES = (
    Subresource("screenshot", "ConsoleScreenshot", "get"),
    Subresource("serial", "ConsoleStream", "get"),
    Subresource("ticket", "ConsoleTicket", "create"),
    Subresource("vnc", "ConsoleStream", "get"),
)

_PARENT_KIND = "InstanceConsole"
"""Of the resource `instances` of this group, of which there are no objects: it has no verbs, so that whoever lists or
deletes all there is in a namespace passes it by. Without it `kubectl auth can-i` and `kubectl create role` know nothing
of `instances.subresources.compute.hypernova.dev`, and ask about something else (seen with kubectl 1.36)."""

_VERSION = {"groupVersion": GROUP_VERSION, "version": VERSION}


def api_group() -> dict[str, Any]:
    """The APIGroup."""
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": [_VERSION],
        "preferredVersion": _VERSION,
    }


def api_group_list() -> dict[str, Any]:
    """All groups: the one."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group()]}


def api_resource_list() -> dict[str, Any]:
    """All resources of the one version."""
    resources = [_resource("instances", _PARENT_KIND, [])]
    resources += [_resource(f"instances/{each.name}", each.kind, [each.verb]) for each in SUBRESOURCES]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}


def api_group_discovery_list() -> dict[str, Any]:
    """All of that in one."""
    subresources = [
        {"subresource": each.name, "responseKind": _kind(each.kind), "verbs": [each.verb]} for each in SUBRESOURCES
    ]
    instances = {
        "resource": "instances",
        "responseKind": _kind(_PARENT_KIND),
        "scope": "Namespaced",
        "singularResource": "",
        "verbs": [],
        "subresources": subresources,
    }
    versions = [{"version": VERSION, "resources": [instances], "freshness": "Current"}]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{"metadata": {"name": GROUP, "creationTimestamp": None}, "versions": versions}],
    }


def _resource(name: str, kind: str, verbs: list[str]) -> dict[str, Any]:
    return {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs}


def _kind(kind: str) -> dict[str, str]:
    return {"group": GROUP, "version": VERSION, "kind": kind}
