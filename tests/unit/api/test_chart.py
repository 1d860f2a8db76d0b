"""The chart's roles: plain YAML but for the namespace, and no wider than said."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hypernova_api.kinds import KINDS
from hypernova_api.meta import GROUP

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/hypernova"
TEMPLATES = sorted((CHART / "templates").glob("rbac*.yaml"))
NAMESPACE = "{{ .Release.Namespace }}"

Objects = list[dict[str, Any]]


def rendered(path: Path) -> Objects:
    return list(yaml.safe_load_all(path.read_text().replace(NAMESPACE, "hypernova-system")))


OBJECTS = [obj for path in TEMPLATES for obj in rendered(path)]


def role(kind: str, name: str) -> Objects:
    return next(obj["rules"] for obj in OBJECTS if (obj["kind"], obj["metadata"]["name"]) == (kind, name))


def allowed(rules: Objects) -> set[tuple[str, str, str]]:
    """Every (group, resource, verb)."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_the_namespace_is_all_that_is_templated(path: Path) -> None:
    assert set(re.findall(r"\{\{.*?\}\}", path.read_text())) <= {NAMESPACE}


def test_every_template_is_about_roles_so_that_the_lab_applies_all() -> None:
    assert sorted((CHART / "templates").iterdir()) == TEMPLATES


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize("binding", [obj for obj in OBJECTS if obj["kind"].endswith("Binding")], ids=str)
def test_every_binding_binds_a_role_of_the_chart_to_somebody(binding: dict[str, Any]) -> None:
    reference = binding["roleRef"]
    accounts = {obj["metadata"]["name"] for obj in OBJECTS if obj["kind"] == "ServiceAccount"}

    assert role(reference["kind"], reference["name"])
    for subject in binding["subjects"]:
        if subject["kind"] == "ServiceAccount":
            assert subject["name"] in accounts
            assert subject["namespace"] == "hypernova-system"


@pytest.mark.parametrize("name", ["hypernova-operator", "hypernova-node-agent"])
def test_no_component_may_read_secrets_use_wildcards_or_write_a_spec_but_by_patch(name: str) -> None:
    may = allowed(role("ClusterRole", name)) | allowed(role("Role", name))

    assert not [entry for entry in may if "*" in "".join(entry) or entry[1] == "secrets"]
    assert {verb for _, resource, verb in may if resource == "instances"} <= {"get", "list", "watch", "patch"}


def test_the_operator_reads_every_kind_and_writes_only_instances() -> None:
    may = allowed(role("ClusterRole", "hypernova-operator"))

    assert {(GROUP, kind.plural, verb) for kind in KINDS for verb in ("get", "list", "watch")} <= may
    assert {resource for group, resource, verb in may if group == GROUP and verb not in ("get", "list", "watch")} == {
        "instances",
        "instances/status",
    }


def test_an_agent_sees_nothing_but_instances_and_hypervisors() -> None:
    may = allowed(role("ClusterRole", "hypernova-node-agent"))

    assert {resource for _, resource, verb in may if verb in ("get", "list", "watch")} == {"instances", "hypervisors"}


def test_users_of_a_namespace_get_every_namespaced_kind_by_kubernetes_own_roles() -> None:
    namespaced = {kind.plural for kind in KINDS if kind.namespaced}
    view, edit = (role("ClusterRole", f"hypernova-{name}") for name in ("view", "edit"))

    assert {resource for _, resource, _ in allowed(view)} == namespaced
    assert {resource for _, resource, _ in allowed(edit)} == namespaced
    assert {verb for _, _, verb in allowed(view)} == {"get", "list", "watch"}
