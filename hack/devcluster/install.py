"""What Hypernova needs in a cluster: namespace, kinds, admission policies, roles, priorities."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .admin import Admin
from .cluster import Cluster
from .errors import Refused
from .waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
NAMESPACE = "hypernova-system"
GROUP = "compute.hypernova.dev"
PLAIN = ("rbac", "policies", "priority")
TEMPLATED = {"{{ .Release.Namespace }}": NAMESPACE, "{{ .Values.console.editors }}": "true"}
SERVED_SECONDS = 60

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
ONLY_WITH_MUTATION = "policies-mutating.yaml"
MARK = "devcluster-sentinel-works"
MUTATING = {
    "reinvocationPolicy": "Never",
    "mutations": [
        {
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": f"Object{{data: Object.data{{marked: '{MARK}'}}}}"},
        }
    ],
}
VALIDATING = {"validations": [{"expression": "!has(object.data)", "message": MARK}]}

AGGREGATED_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def plain_templates() -> list[Path]:
    """The chart's roles, policies and priorities: so little is templated that they need no Helm (`rendered`).

    Those in `files` are only there with some value.
    """
    folders = [REPOSITORY / "charts/hypernova" / folder for folder in ("templates", "files")]
    return sorted(path for folder in folders for kind in PLAIN for path in folder.glob(f"{kind}-*.yaml"))


def rendered(template: Path) -> str:
    """One of those as the chart's defaults have it, in our namespace."""
    text = template.read_text()
    for expression, value in TEMPLATED.items():
        text = text.replace(expression, value)
    return text


def kinds_and_policies(admin: Admin) -> list[Path]:
    """The files of `crds/` that are for the Kubernetes of this cluster."""
    files = sorted((REPOSITORY / "crds").glob("*.yaml"))
    return [path for path in files if path.name != ONLY_WITH_MUTATION or mutates(admin)]


def install(cluster: Cluster) -> None:
    """Applies `crds/` and the chart's roles and priorities, and returns when kinds are served and policies in force.

    Can be repeated, e.g. after `make crds`.

    Raises:
        ClusterError: the API server refused something, or does not serve it in time.
    """
    admin = cluster.admin
    admin.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    # Server-side, as the definitions are too large for kubectl's last-applied annotation.
    files = (f"--filename={path}" for path in kinds_and_policies(admin))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", *files)
    for template in plain_templates():
        cluster.kubectl("apply", "--filename=-", input=rendered(template))
    wait_installed(cluster)


def wait_installed(cluster: Cluster) -> None:
    """Returns when kinds are served and policies in force, which takes a restarted API server some seconds too.

    Raises:
        ClusterError: they are not in time.
    """
    admin = cluster.admin
    kinds = _defined(admin)
    names = {(kind.version, kind.resource) for kind in kinds}
    wait_until(lambda: names <= _discovered(admin), seconds=SERVED_SECONDS, what=f"discovery of {names}")
    _wait_for_policies(admin)
    for kind in kinds:  # last: only a policy that is in force refuses kinds it does not know yet
        wait_until(partial(_admitted, admin, kind), seconds=SERVED_SECONDS, what=f"{kind.kind} to be admitted")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One served version of one of our kinds."""

    kind: str
    version: str
    resource: str
    namespaced: bool

    @property
    def collection(self) -> str:
        namespace = f"/namespaces/{NAMESPACE}" if self.namespaced else ""
        return f"/apis/{GROUP}/{self.version}{namespace}/{self.resource}"


def _defined(admin: Admin) -> list[_Kind]:
    return [
        _Kind(spec["names"]["kind"], version["name"], spec["names"]["plural"], spec["scope"] == "Namespaced")
        for spec in (item["spec"] for item in admin.get(DEFINITIONS)["items"])
        for version in spec["versions"]
        if version["served"] and spec["group"] == GROUP
    ]


def _discovered(admin: Admin) -> set[tuple[str, str]]:
    """Version and resource of our kinds in discovery, from which kubectl and other clients learn what there is."""
    return {
        (version["version"], resource["resource"])
        for group in admin.get("/apis", accept=AGGREGATED_DISCOVERY)["items"]
        for version in group["versions"]
        for resource in version["resources"]
        if group["metadata"]["name"] == GROUP
    }


def _admitted(admin: Admin, kind: _Kind) -> bool:
    """Whether objects of a kind can be created, or at least get as far as validation.

    The API server looks every 5 s for the schemas of kinds that mutating policies are about, and until it has seen
    one answers 503.
    """
    empty = {"apiVersion": f"{GROUP}/{kind.version}", "kind": kind.kind, "metadata": {"generateName": "try-"}}
    try:
        admin.create(f"{kind.collection}?dryRun=All", empty)
    except Refused as refusal:
        return refusal.status != HTTPStatus.SERVICE_UNAVAILABLE
    return True


def _wait_for_policies(admin: Admin) -> None:
    """Returns when every policy applied so far is in force.

    The API server picks policies up about once a second and does not tell when. So two more, one for each of its
    two plugins, are added and tried until both work: what came before them works too then. Where it does not mutate,
    one: it refuses what the other has not touched.
    """
    name = f"devcluster-sentinel-{uuid.uuid4().hex[:8]}"
    with ExitStack() as sentinels:
        if mutates(admin):
            sentinels.enter_context(_sentinel(admin, "mutatingadmissionpolicies", name, MUTATING))
            validating = VALIDATING
        else:
            validating = {"validations": [{"expression": "false", "message": MARK}]}
        sentinels.enter_context(_sentinel(admin, "validatingadmissionpolicies", name, validating))
        wait_until(lambda: _refused(admin, name), seconds=SERVED_SECONDS, what="the admission policies")


def mutates(admin: Admin) -> bool:
    """Whether the API server has MutatingAdmissionPolicy v1, which is new in Kubernetes 1.36."""
    return any(each["name"] == "mutatingadmissionpolicies" for each in admin.get(ADMISSION)["resources"])


@contextmanager
def _sentinel(admin: Admin, resource: str, name: str, spec: dict[str, Any]) -> Iterator[None]:
    """A policy and its binding, for the one ConfigMap `name`, gone afterwards."""
    bindings = resource.removesuffix("policies") + "policybindings"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    constraints = {"matchConstraints": {"resourceRules": [rule | {"resourceNames": [name]}]}}
    actions = {"validationActions": ["Deny"]} if "validations" in spec else {}
    try:
        admin.create(f"{ADMISSION}/{resource}", {"metadata": {"name": name}, "spec": constraints | spec})
        admin.create(f"{ADMISSION}/{bindings}", {"metadata": {"name": name}, "spec": {"policyName": name} | actions})
        yield
    finally:
        admin.delete(f"{ADMISSION}/{bindings}/{name}")
        admin.delete(f"{ADMISSION}/{resource}/{name}")


def _refused(admin: Admin, name: str) -> bool:
    """Whether a ConfigMap that is tried, but not created, meets the sentinels."""
    configmaps = f"/api/v1/namespaces/{NAMESPACE}/configmaps?dryRun=All"
    try:
        admin.create(configmaps, {"metadata": {"name": name}})
    except Refused as refusal:
        if MARK not in str(refusal):
            raise
        return True
    return False
