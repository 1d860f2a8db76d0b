"""Install, upgrade, rollback and uninstall by the real Helm: what comes, what stays, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hack.devcluster.install import NAMESPACE, mutates
from hack.helm import Helm, HelmError
from support.charts import CHART, REGISTRY, RELEASE, copied_chart, name, our_own, render

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FLAVORS = "/apis/compute.hypernova.dev/v1alpha1/flavors"
INSTANCES = "instances.compute.hypernova.dev"
SMALL = {"vcpus": 1, "memory": "2Gi", "rootDisk": "20Gi"}
HERE = f"--namespace={NAMESPACE}"
WITH_REGISTRY = f"--set=image.registry={REGISTRY}"


def kind(cluster: Cluster) -> dict[str, Any]:
    """The definition of Instances."""
    return cluster.admin.get(f"{DEFINITIONS}/{INSTANCES}")


def policies(cluster: Cluster) -> set[str]:
    """The admission policies that belong to kinds."""
    kept = "validatingadmissionpolicies" + (",mutatingadmissionpolicies" if mutates(cluster.admin) else "")
    return set(cluster.kubectl("get", kept, "--selector=app.kubernetes.io/component=kinds", "--output=name").split())


def described(cluster: Cluster) -> str:
    """What the definition of Instances says they are."""
    (version,) = kind(cluster)["spec"]["versions"]
    return str(version["schema"]["openAPIV3Schema"]["description"])


def other_chart(folder: Path, version: str) -> Path:
    """The chart in another version, in which Instances are described in other words."""
    chart = copied_chart(folder, version=version)
    file = chart / "files/crds/instances.yaml"
    lines = file.read_text().splitlines(keepends=True)
    schema = next(i for i, line in enumerate(lines) if line.strip() == "openAPIV3Schema:")
    described = next(i for i in range(schema, len(lines)) if lines[i].strip().startswith("description:"))
    lines[described] = lines[described].partition("description:")[0] + "description: In other words.\n"
    file.write_text("".join(lines))
    return chart


@pytest.fixture
def flavors(bare_cluster: Cluster, release: Helm) -> Iterator[Any]:
    """Does what the Job with the first Flavors does, with its rights, and returns what it said."""

    def make(wanted: dict[str, Any], folder: Path) -> str:
        file = folder / "flavors.json"
        file.write_text(json.dumps(wanted))
        kubeconfig = bare_cluster.service_account_kubeconfig(NAMESPACE, "hypernova-flavors")
        command = [sys.executable, str(CHART / "files/flavors.py"), str(file)]
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=90)
        return done.stdout

    yield make
    bare_cluster.kubectl("delete", "flavors.compute.hypernova.dev", "--all")


def test_an_install_needs_no_node_and_says_what_to_type(release: Helm, bare_cluster: Cluster) -> None:
    notes = release("install", *RELEASE)

    assert "No node is labelled as a hypervisor yet" in notes
    assert "kubectl label node NODE compute.hypernova.dev/hypervisor=true" in notes
    assert "kubectl describe hypervisor NODE " in notes
    workloads = json.loads(bare_cluster.kubectl("get", "deployments,daemonsets", HERE, "--output=json"))["items"]
    assert {name(each) for each in workloads} == {
        "Deployment hypernova-operator",
        "Deployment hypernova-console",
        "DaemonSet hypernova-node-agent",
    }


def test_labelled_nodes_are_named(release: Helm, bare_cluster: Cluster) -> None:
    labels = {"compute.hypernova.dev/hypervisor": "true"}
    nodes = [f"node-{letter}" for letter in "abcdefg"]
    for node in nodes:
        bare_cluster.admin.create("/api/v1/nodes", {"metadata": {"name": node, "labels": labels}})
    try:
        notes = release("install", *RELEASE)
    finally:
        bare_cluster.kubectl("delete", "nodes", *nodes)

    assert "Labelled as hypervisors: node-a, node-b, node-c, node-d, node-e and 2 more\n" in notes


def test_kinds_and_their_policies_stay_and_an_install_anew_takes_them_up(release: Helm, bare_cluster: Cluster) -> None:
    release("install", *RELEASE)
    before, guarded = kind(bare_cluster)["metadata"]["uid"], policies(bare_cluster)

    release("uninstall", "hypernova", HERE)
    assert kind(bare_cluster)["metadata"]["uid"] == before
    assert policies(bare_cluster) == guarded
    left = bare_cluster.kubectl("get", "clusterroles,deployments,daemonsets,apiservices", "--output=name", HERE)
    assert "hypernova-" not in left
    assert "subresources.compute.hypernova.dev" not in left

    release("install", *RELEASE)
    assert kind(bare_cluster)["metadata"]["uid"] == before


@pytest.mark.usefixtures("no_kinds_after")
def test_an_upgrade_changes_kinds_and_a_rollback_changes_them_back(
    release: Helm, bare_cluster: Cluster, tmp_path: Path
) -> None:
    release("install", *RELEASE)
    before = described(bare_cluster)

    release("upgrade", "hypernova", str(other_chart(tmp_path, "0.2.0")), HERE, WITH_REGISTRY)
    assert described(bare_cluster) == "In other words."

    release("rollback", "hypernova", "1", HERE)
    assert described(bare_cluster) == before


def test_a_second_release_is_refused_and_told_of_the_first(release: Helm) -> None:
    release("install", *RELEASE)

    already = "Hypernova is in this cluster already, as release hypernova in namespace hypernova-system"
    for second, namespace in (("mine", "default"), ("hypernova", "default"), ("mine", NAMESPACE)):
        for flags in ((), ("--take-ownership",)):
            with pytest.raises(HelmError, match=already):
                release("install", second, str(CHART), f"--namespace={namespace}", WITH_REGISTRY, *flags)
    assert [each["name"] for each in json.loads(release("list", "--all-namespaces", "--output=json"))] == ["hypernova"]
    release("upgrade", *RELEASE)


@pytest.mark.usefixtures("no_kinds_after")
def test_after_an_uninstall_another_release_can_take_the_kinds_over(release: Helm, bare_cluster: Cluster) -> None:
    release("install", *RELEASE)
    release("uninstall", "hypernova", HERE)
    other = ("install", "mine", str(CHART), "--namespace=default", WITH_REGISTRY)

    with pytest.raises(HelmError, match="release-name"):
        release(*other)
    release(*other, "--take-ownership")

    assert kind(bare_cluster)["metadata"]["annotations"]["meta.helm.sh/release-name"] == "mine"
    release("uninstall", "mine", "--namespace=default")


@pytest.mark.usefixtures("no_kinds_after")
def test_a_chart_older_than_the_kinds_is_refused(release: Helm, tmp_path: Path) -> None:
    release("install", "hypernova", str(other_chart(tmp_path, "0.2.0")), HERE, WITH_REGISTRY)

    for verb in ("upgrade", "install"):
        with pytest.raises(HelmError, match=r"has the kinds of Hypernova 0\.2\.0, and this chart is 0\.1\.0"):
            release(verb, *RELEASE)
        release("uninstall", "hypernova", HERE, "--ignore-not-found")


def test_whom_the_api_server_trusts_as_the_console_is_not_changed_by_an_upgrade(
    release: Helm, bare_cluster: Cluster
) -> None:
    service = "v1alpha1.subresources.compute.hypernova.dev"
    release("install", *RELEASE)
    bare_cluster.kubectl("patch", "apiservice", service, "--type=merge", '--patch={"spec": {"caBundle": "Q0E="}}')

    release("upgrade", *RELEASE, "--set=console.replicas=3")

    kept = bare_cluster.kubectl("get", "apiservice", service, "--output=jsonpath={.spec.caBundle}")
    assert kept == "Q0E="


def test_flavors_are_made_once_and_are_their_administrators_from_then_on(
    release: Helm, bare_cluster: Cluster, flavors: Any, tmp_path: Path
) -> None:
    release("install", *RELEASE)
    (wanted,) = [
        obj["data"]["flavors.json"] for obj in our_own(render(release)) if "flavors.json" in obj.get("data", {})
    ]
    first = flavors(json.loads(wanted), tmp_path)
    made = {each["metadata"]["name"]: each["metadata"]["uid"] for each in bare_cluster.admin.get(FLAVORS)["items"]}
    assert made.keys() == {"m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"}
    assert "flavor m1.small made" in first

    release("upgrade", *RELEASE, "--set=flavors.m1\\.small.vcpus=2")
    again = flavors({"m1.small": SMALL | {"vcpus": 2}}, tmp_path)
    assert "flavor m1.small is there and is left as it is" in again

    release("uninstall", "hypernova", HERE)
    release("install", *RELEASE)
    flavors(json.loads(wanted), tmp_path)
    now = {each["metadata"]["name"]: each["metadata"]["uid"] for each in bare_cluster.admin.get(FLAVORS)["items"]}
    assert now == made


def test_who_makes_the_first_flavors_may_do_nothing_else(release: Helm, bare_cluster: Cluster) -> None:
    release("install", *RELEASE)
    account = f"--as=system:serviceaccount:{NAMESPACE}:hypernova-flavors"

    assert bare_cluster.kubectl("auth", "can-i", "create", "flavors.compute.hypernova.dev", account).strip() == "yes"
    for refused in (("delete", "flavors.compute.hypernova.dev"), ("get", "secrets"), ("list", INSTANCES)):
        with pytest.raises(ClusterError):
            bare_cluster.kubectl("auth", "can-i", *refused, account, HERE)
