"""The chart's roles and priorities: plain YAML but for two values, and no wider than said."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.devcluster.install import TEMPLATED, plain_templates, rendered
from hypernova_api.certificates import AUTHORITY
from hypernova_api.console import SUBRESOURCES_GROUP, ConsoleSession
from hypernova_api.kinds import KINDS
from hypernova_api.meta import GROUP

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/hypernova"
TEMPLATES = plain_templates()
READ = ("get", "list", "watch")

Objects = list[dict[str, Any]]


OBJECTS = [obj for path in TEMPLATES for obj in yaml.safe_load_all(rendered(path))]


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
def test_little_is_templated(path: Path) -> None:
    assert set(re.findall(r"\{\{.*?\}\}", path.read_text())) <= set(TEMPLATED)


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert chart["version"] == chart["appVersion"] == project["version"]


@pytest.mark.parametrize("binding", [obj for obj in OBJECTS if obj["kind"].endswith("RoleBinding")], ids=str)
def test_every_binding_binds_a_role_of_the_chart_to_somebody(binding: dict[str, Any]) -> None:
    reference = binding["roleRef"]
    accounts = {obj["metadata"]["name"] for obj in OBJECTS if obj["kind"] == "ServiceAccount"}

    # Kubernetes' own, for those who serve an API behind the API server.
    assert reference["name"] == "extension-apiserver-authentication-reader" or role(
        reference["kind"], reference["name"]
    )
    for subject in binding["subjects"]:
        if subject["kind"] == "ServiceAccount":
            assert subject["name"] in accounts
            assert subject["namespace"] == "hypernova-system"


def test_every_policy_fails_closed_and_is_bound_to_deny() -> None:
    policies = {obj["metadata"]["name"]: obj for obj in OBJECTS if obj["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [obj["spec"] for obj in OBJECTS if obj["kind"] == "ValidatingAdmissionPolicyBinding"]

    assert policies
    assert sorted(binding["policyName"] for binding in bindings) == sorted(policies)
    assert {tuple(binding["validationActions"]) for binding in bindings} == {("Deny",)}
    assert {policy["spec"]["failurePolicy"] for policy in policies.values()} == {"Fail"}


@pytest.mark.parametrize("name", ["hypernova-operator", "hypernova-node-agent", "hypernova-console"])
def test_no_component_may_read_others_secrets_use_wildcards_or_write_a_spec_but_by_patch(name: str) -> None:
    of_all, of_ours = role("ClusterRole", name), role("Role", name)
    may = allowed(of_all) | allowed(of_ours)

    assert not [entry for entry in may if "*" in "".join(entry)]
    assert not [entry for entry in allowed(of_all) if entry[1] == "secrets"]
    secrets = [(rule.get("resourceNames"), rule["verbs"]) for rule in of_ours if "secrets" in rule["resources"]]
    # The authority's, which it makes.
    assert secrets == ([(None, ["create"]), ([AUTHORITY], ["get"])] if name == "hypernova-operator" else [])
    # The operator makes Instances anew that are adopted.
    verbs = {*READ, "patch", *(["create"] if name == "hypernova-operator" else [])}
    assert {verb for _, resource, verb in may if resource == "instances"} <= verbs


def test_the_operator_reads_every_kind_and_writes_what_others_mean_now_images_and_what_is_adopted() -> None:
    may = allowed(role("ClusterRole", "hypernova-operator"))

    assert {(GROUP, kind.plural, verb) for kind in KINDS if kind is not ConsoleSession for verb in READ} <= may
    assert {(resource, verb) for group, resource, verb in may if group == GROUP and verb not in READ} == {
        ("instances", "create"),
        ("instances", "patch"),
        ("instanceactions", "delete"),
        ("images", "create"),
        ("hypervisors", "patch"),
        ("hypervisors/status", "patch"),
        *((f"{kind}/status", "patch") for kind in ("instances", "instanceactions", "instancegroups", "computequotas")),
        *((f"{kind}/status", "patch") for kind in ("hostaggregates", "availabilityzones")),
    }


def test_the_operator_sees_nodes_and_namespaces_and_touches_neither() -> None:
    may = allowed(role("ClusterRole", "hypernova-operator"))

    assert {entry for entry in may if entry[1] in ("nodes", "namespaces")} == {
        ("", resource, verb) for resource in ("nodes", "namespaces") for verb in READ
    }


def test_an_agent_sees_nothing_but_instances_what_is_done_to_them_and_hypervisors() -> None:
    may = allowed(role("ClusterRole", "hypernova-node-agent"))

    assert {resource for group, resource, verb in may if verb in READ and group == GROUP} == {
        "instances",
        "instanceactions",
        "hypervisors",
    }
    assert {entry for entry in may if entry[0] not in (GROUP, "events.k8s.io")} == {
        ("", "events", "create"),
        ("", "events", "patch"),
        *(("certificates.k8s.io", "certificatesigningrequests", verb) for verb in ("get", "watch", "create")),
    }


def test_the_console_proxy_sees_guests_writes_sessions_and_asks_what_users_may() -> None:
    may = {(resource, verb) for _, resource, verb in allowed(role("ClusterRole", "hypernova-console"))}

    assert {entry for entry in may if entry[1] not in READ} == {
        ("consolesessions", "create"),
        ("consolesessions", "delete"),
        ("consolesessions", "vouch"),
        ("consolesessions/status", "patch"),
        ("subjectaccessreviews", "create"),
        ("instanceactions", "create"),
        ("certificatesigningrequests", "create"),
    }


def test_users_of_a_namespace_get_every_namespaced_kind_by_kubernetes_own_roles_but_their_limits_to_see_only() -> None:
    seen_by_all = {kind.plural for kind in KINDS if kind.namespaced} - {"consolesessions"}
    view, edit = (allowed(role("ClusterRole", f"hypernova-{name}")) for name in ("view", "edit"))

    assert view == {(GROUP, kind, verb) for kind in seen_by_all for verb in READ}
    assert {resource for group, resource, verb in edit if group == GROUP and verb == "create"} == seen_by_all - {
        "computequotas"
    }


def test_consoles_are_for_those_who_may_edit_and_nobody_writes_a_session() -> None:
    console = allowed(role("ClusterRole", "hypernova-console-user"))

    assert {(resource, verb) for group, resource, verb in console if group == SUBRESOURCES_GROUP} == {
        ("instances/vnc", "get"),
        ("instances/serial", "get"),
        ("instances/screenshot", "get"),
        ("instances/ticket", "create"),
    }
    sessions = {verb for _, resource, verb in console if resource == "consolesessions"}
    assert sessions == {*READ, "delete", "deletecollection"}


def test_everybody_sees_what_there_is_to_choose_from_and_nothing_it_is_made_of() -> None:
    may = allowed(role("ClusterRole", "hypernova-catalog-viewer"))

    assert may == {(GROUP, resource, verb) for resource in ("availabilityzones", "flavors") for verb in READ}


def test_an_administrator_writes_what_users_do_not_chooses_hosts_and_gets_past_locks() -> None:
    may = {(resource, verb) for _, resource, verb in allowed(role("ClusterRole", "hypernova-administrator"))}
    edit = {
        resource
        for name in ("edit", "console-user")
        for _, resource, _ in allowed(role("ClusterRole", f"hypernova-{name}"))
    }

    assert {resource for resource, verb in may if verb == "patch"} == {kind.plural for kind in KINDS} - edit | {
        "instances"
    }
    assert [resource for resource, verb in may if verb == "use"] == ["hypervisors"]
    assert [resource for resource, verb in may if verb == "administer"] == ["instances"]
    assert {verb for resource, verb in may if resource == "instanceactions"} == {*READ, "create", "delete"}
    assert ("hypervisors", "create") not in may  # an agent makes its own
