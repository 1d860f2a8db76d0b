"""What the chart makes of values and versions of Kubernetes: names of all objects, and the Pods whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.devcluster.install import REPOSITORY
from hack.helm import Helm
from hypernova_agent.settings import Settings as AgentSettings
from hypernova_api.console import SUBRESOURCES_GROUP
from hypernova_console.settings import Settings as ConsoleSettings
from hypernova_kube.process.settings import parse, settings_of
from hypernova_operator.settings import Settings as OperatorSettings
from support.charts import kinds, name, objects, our_own, pods, render
from support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
EVERYTHING = Path(__file__).parent / "everything.yaml"
VERSIONS = {"1.32.0": "kinds-before-1.36.txt", "1.33.4": "kinds-before-1.36.txt", "1.34.1": "kinds-before-1.36.txt"} | {
    "1.35.2": "kinds-before-1.36.txt",
    "1.36.0": "kinds.txt",
}


SETTINGS: dict[str, type] = {
    "Deployment hypernova-operator": OperatorSettings,
    "DaemonSet hypernova-node-agent": AgentSettings,
    "Deployment hypernova-console": ConsoleSettings,
}
FROM_IMAGE = {"HYPERNOVA_ASSETS": "/usr/share/hypernova"}


def listed(text: str) -> str:
    return "".join(f"{each}\n" for each in sorted(map(name, [*kinds(text), *our_own(text)])))


@pytest.mark.parametrize(("version", "golden"), VERSIONS.items(), ids=VERSIONS)
def test_each_version_of_kubernetes_gets_what_it_can_take(helm: Helm, version: str, golden: str) -> None:
    assert_golden(listed(render(helm, version=version)), GOLDEN / golden)


def test_all_that_is_optional_can_be_had_at_once(helm: Helm) -> None:
    assert_golden(listed(render(helm, "--values", str(EVERYTHING))), GOLDEN / "kinds-everything.txt")


@pytest.mark.parametrize(("golden", "flags"), {"pods": (), "pods-everything": ("--values", str(EVERYTHING))}.items())
def test_pods_are_these(helm: Helm, golden: str, flags: tuple[str, ...]) -> None:
    assert_golden(yaml.safe_dump(pods(our_own(render(helm, *flags))), width=120), GOLDEN / f"{golden}.yaml")


def test_kinds_and_policies_are_those_of_the_repository_and_are_kept(helm: Helm) -> None:
    def bare(obj: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: value for key, value in obj["metadata"].items() if key not in ("labels", "annotations")}
        return obj | {"metadata": metadata}

    files = sorted((REPOSITORY / "crds").glob("*.yaml"))
    theirs = {name(obj): obj for file in files for obj in objects(file.read_text())}
    rendered = {name(obj): obj for obj in kinds(render(helm))}

    assert {each: bare(obj) for each, obj in rendered.items()} == theirs
    assert {obj["metadata"]["annotations"]["helm.sh/resource-policy"] for obj in rendered.values()} == {"keep"}


def test_nothing_else_is_kept(helm: Helm) -> None:
    assert not [obj for obj in our_own(render(helm)) if "helm.sh/resource-policy" in str(obj["metadata"])]


@pytest.mark.parametrize(("flags", "roles"), [((), ["admin", "edit"]), (("--set=console.editors=false",), ["admin"])])
def test_consoles_are_for_administrators_of_a_namespace_and_for_editors_unless_a_value_says_no(
    helm: Helm, flags: tuple[str, ...], roles: list[str]
) -> None:
    every = {name(obj): obj for obj in objects(render(helm, *flags))}
    labels = every["ClusterRole hypernova-console-user"]["metadata"]["labels"]
    aggregated = "rbac.authorization.k8s.io/aggregate-to-"
    assert sorted(key.removeprefix(aggregated) for key, value in labels.items() if value == "true") == roles


def test_whom_the_api_server_trusts_as_the_console_is_left_to_the_operator(helm: Helm) -> None:
    services = [obj["spec"] for obj in our_own(render(helm)) if obj["kind"] == "APIService"]

    assert [spec["group"] for spec in services] == [SUBRESOURCES_GROUP]
    assert not {"caBundle", "insecureSkipTLSVerify"} & services[0].keys()


def test_no_service_of_kubernetes_sets_a_variable_that_means_a_setting_of_ours(helm: Helm) -> None:
    # A Service named hypernova-console would have HYPERNOVA_CONSOLE_PORT=tcp://... in every Pod of the namespace.
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods(our_own(render(helm))).values())


def test_every_object_of_a_namespace_is_in_the_releases_but_what_opens_other_namespaces(helm: Helm) -> None:
    everything = our_own(render(helm, "--values", str(EVERYTHING), "--namespace=elsewhere"))

    others = {
        (name(obj), obj["metadata"]["namespace"], obj["subjects"][0]["namespace"])
        for obj in everything
        if obj["metadata"].get("namespace", "elsewhere") != "elsewhere"
    }
    assert others == {("RoleBinding hypernova-user-data", opened, "elsewhere") for opened in ("default", "kube-public")}
    assert "hypernova-system" not in json.dumps(everything)


@pytest.mark.parametrize("flags", [(), ("--values", str(EVERYTHING))], ids=["defaults", "everything"])
def test_every_process_takes_its_environment_and_knows_every_variable(helm: Helm, flags: tuple[str, ...]) -> None:
    made = pods(our_own(render(helm, *flags)))

    for workload, settings in SETTINGS.items():
        (container,) = made[workload]["spec"]["containers"]
        # What only a Pod can tell is some text.
        environ = {each["name"]: each.get("value", "told-by-kubelet") for each in container["env"]}
        assert environ.keys() <= {setting.variable for setting in settings_of(settings)}
        parse(settings, [], environ | FROM_IMAGE)


@pytest.mark.parametrize(
    ("flags", "url"),
    {
        (): "http://localhost:8080",
        ("console.tlsSecretName=tls",): "https://localhost:8080",
        ("console.ingress.enabled=true", "console.ingress.host=vm.example"): "https://vm.example",
        ("console.httpRoute.enabled=true", "console.httpRoute.host=vm.example"): "https://vm.example",
        ("console.publicUrl=https://vm.example:30443",): "https://vm.example:30443",
    }.items(),
)
def test_the_console_is_told_where_browsers_find_it(helm: Helm, flags: tuple[str, ...], url: str) -> None:
    parents = ("--set=console.httpRoute.parentRefs[0].name=public",)
    made = pods(our_own(render(helm, *parents, *(f"--set={flag}" for flag in flags))))
    (console,) = made["Deployment hypernova-console"]["spec"]["containers"]

    assert {"name": "HYPERNOVA_PUBLIC_URL", "value": url} in console["env"]


def test_a_flavor_can_be_left_out_and_all_of_them(helm: Helm) -> None:
    without_tiny = our_own(render(helm, "--set=flavors.m1\\.tiny=null"))
    without_any = our_own(render(helm, "--set=flavors=null"))

    (made,) = [
        json.loads(obj["data"]["flavors.json"]) for obj in without_tiny if name(obj) == "ConfigMap hypernova-flavors"
    ]
    assert "m1.small" in made
    assert "m1.tiny" not in made
    assert not [obj for obj in without_any if "hypernova-flavors" in name(obj)]


def test_other_flavors_are_another_job_as_a_job_cannot_be_changed(helm: Helm) -> None:
    def job(*flags: str) -> str:
        (found,) = [name(obj) for obj in our_own(render(helm, *flags)) if obj["kind"] == "Job"]
        return found

    assert job() == job("--set=operator.replicas=3")
    assert len({job(), job("--set=flavors.m1\\.tiny.vcpus=2"), job("--set-string=image.tag=0.0.9")}) == 3
