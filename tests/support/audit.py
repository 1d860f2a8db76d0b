"""Who of Hypernova asked an API server for what, by its audit log, and what the chart's roles let each ask for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE, plain_templates, rendered

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}, {"level": "None"}],
}
API_SERVER = "kube-apiserver"
ACCOUNTS = ("hypernova-operator", "hypernova-node-agent", "hypernova-console")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb of a rule, on one resource."""

    account: str
    namespace: str
    """Where it holds; empty: everywhere."""

    group: str
    resource: str
    """With its subresource: `instances/status`."""

    verb: str
    names: tuple[str, ...] = ()
    """Empty: any."""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        which = f" {','.join(self.names)}" if self.names else ""
        group = f".{self.group}" if self.group else ""
        return f"{self.account}: {self.verb} {self.resource}{group}{which}{where}"

    def covers(self, use: Use) -> bool:
        """Whether a request could be made by it."""
        return (
            (self.account, self.group, self.resource, self.verb) == (use.account, use.group, use.resource, use.verb)
            and self.namespace in ("", use.namespace)
            and (not self.names or use.name in self.names)
        )


@dataclass(frozen=True, slots=True)
class Use:
    """One request for a resource."""

    account: str
    namespace: str
    group: str
    resource: str
    verb: str
    name: str
    status: int
    """Of the answer."""


def switch_on(cluster: Cluster, folder: Path) -> Path:
    """Start the API server of a cluster anew with an audit log, whose path is returned: what our accounts ask for."""
    policy, log = folder / "audit-policy.json", folder / "audit.log"
    policy.write_text(json.dumps(POLICY))
    flags = [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]
    server = cluster.components[API_SERVER]
    server.stop(kill=True)
    replace(server, arguments=[*server.arguments, *flags]).start()
    return log


def uses(log: Path) -> Iterator[Use]:
    """What was asked for so far."""
    prefix = f"system:serviceaccount:{NAMESPACE}:"
    for line in log.read_text().splitlines():
        event = json.loads(line)
        reference = event.get("objectRef")
        if reference is None or event["requestURI"].startswith(("/api?", "/apis?")):
            continue
        subresource = reference.get("subresource", "")
        yield Use(
            account=event["user"]["username"].removeprefix(prefix),
            namespace=reference.get("namespace", ""),
            group=reference.get("apiGroup", ""),
            resource=reference["resource"] + (f"/{subresource}" if subresource else ""),
            verb=event["verb"],
            name=reference.get("name", ""),
            status=event.get("responseStatus", {}).get("code", 0),
        )


def rights() -> list[Right]:
    """All that the chart's roles give to our accounts, in the order of the files."""
    objects = [obj for path in plain_templates() for obj in yaml.safe_load_all(rendered(path))]
    roles = {
        (obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", "")): obj["rules"]
        for obj in objects
        if obj["kind"] in ("ClusterRole", "Role")
    }
    return [
        right
        for binding in objects
        if binding["kind"] in ("ClusterRoleBinding", "RoleBinding")
        for subject in binding["subjects"]
        if subject["kind"] == "ServiceAccount"
        for right in _rights(subject["name"], binding, roles)
    ]


def _rights(account: str, binding: dict[str, Any], roles: dict[tuple[str, str, str], Any]) -> Iterable[Right]:
    reference, namespace = binding["roleRef"], binding["metadata"].get("namespace", "")
    key = (reference["kind"], reference["name"], namespace if reference["kind"] == "Role" else "")
    for rule in roles.get(key, ()):  # none: a role of Kubernetes' own
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(account, namespace, group, resource, verb, tuple(rule.get("resourceNames", ())))
