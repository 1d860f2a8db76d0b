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
"""There is no resource `instances` of this group beside them: whatever lists or collects all objects of a namespace
must find none here."""

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
    resources = [
        {
            "name": f"instances/{each.name}",
            "singularName": "",
            "namespaced": True,
            "kind": each.kind,
            "verbs": [each.verb],
        }
        for each in SUBRESOURCES
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}


def api_group_discovery_list() -> dict[str, Any]:
    """All of that in one. A parent without a kind and verbs is how the API server itself says that there is none."""
    subresources = [
        {
            "subresource": each.name,
            "responseKind": {"group": GROUP, "version": VERSION, "kind": each.kind},
            "verbs": [each.verb],
        }
        for each in SUBRESOURCES
    ]
    instances = {
        "resource": "instances",
        "responseKind": {"group": "", "version": "", "kind": ""},
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
