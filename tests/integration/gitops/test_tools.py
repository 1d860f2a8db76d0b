"""What Argo CD and Flux are told about the directories is about what is in them."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from hack.devcluster import Cluster
from hypernova_kube.resources import Object
from support.gitops import GITOPS

ROOT = GITOPS.parents[1]
APPLICATIONS = [*yaml.safe_load_all((GITOPS / "argocd/applications.yaml").read_text())]
KUSTOMIZATIONS = [*yaml.safe_load_all((GITOPS / "flux/kustomizations.yaml").read_text())]
PROJECTS = {each["metadata"]["name"]: each["spec"] for each in APPLICATIONS if each["kind"] == "AppProject"}
SOURCES = [each["spec"] for each in APPLICATIONS if each["kind"] == "Application"]
PATHS = {each["source"]["path"]: PROJECTS[each["project"]] for each in SOURCES}


def built(cluster: Cluster, path: str) -> list[Object]:
    return [*yaml.safe_load_all(cluster.kubectl("kustomize", str(ROOT / path)))]


@pytest.mark.parametrize("path", PATHS)
def test_a_project_of_argo_cd_may_have_all_that_is_in_its_directory(cluster: Cluster, path: str) -> None:
    project = PATHS[path]
    everywhere = {each["kind"] for each in project.get("clusterResourceWhitelist", [])}
    within = {each["kind"] for each in project.get("namespaceResourceWhitelist", [])}
    namespaces = {each["namespace"] for each in project["destinations"]}
    for obj in built(cluster, path):
        namespace = obj["metadata"].get("namespace")
        assert not (namespace and within) or obj["kind"] in within
        assert namespace or obj["kind"] in everywhere
        assert namespace is None or namespace in namespaces


def test_flux_has_expressions_for_each_kind_with_conditions_in_its_directory(cluster: Cluster) -> None:
    for one in KUSTOMIZATIONS:
        judged = {each["kind"] for each in one["spec"]["healthCheckExprs"]}
        there = {obj["kind"] for obj in built(cluster, one["spec"]["path"]) if "hypernova.dev" in obj["apiVersion"]}
        assert there - judged <= {"Flavor", "Image", "KeyPair"}


def test_health_checks_leave_the_rest_of_argo_cds_settings(cluster: Cluster) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}}
    cluster.kubectl(
        "apply", "--filename=-", input=yaml.safe_dump_all([namespace, settings | {"data": {"url": "https://x"}}])
    )
    try:
        checks = cluster.kubectl("kustomize", str(GITOPS / "argocd/health"))
        cluster.kubectl("patch", "configmap", "argocd-cm", "--namespace=argocd", "--type=merge", f"--patch={checks}")
        stored = yaml.safe_load(cluster.kubectl("get", "configmap", "argocd-cm", "--namespace=argocd", "--output=yaml"))
        assert stored["data"]["url"] == "https://x"
        check = stored["data"]["resource.customizations.health.compute.hypernova.dev_Instance"]
        assert check == (GITOPS / "argocd/health/Instance.lua").read_text()
    finally:
        cluster.kubectl("delete", "namespace", "argocd")


def test_health_checks_are_the_lua_that_argo_cd_runs() -> None:
    """Lua 5.1: nothing of what came later. Its compiler is not at hand, so what is newer is looked for."""
    for check in (GITOPS / "argocd/health").glob("*.lua"):
        subprocess.run(["luac5.4", "-p", str(check)], check=True, timeout=30)
        code = "\n".join(line.split("--")[0] for line in check.read_text().splitlines())
        assert [word for word in ("goto", "//", "&", "|", "~ ", "<<", ">>", "<const>", "::") if word in code] == []
