"""The real Helm, and a control plane in which there is nothing of ours yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE, mutates
from hack.helm import Helm

VALIDATING = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
MUTATING = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, without a cluster."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="package")
def bare_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster without Nodes, and with nothing of ours but an empty namespace."""
    with Cluster(tmp_path_factory.mktemp("bare-cluster")) as cluster:
        cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        yield cluster


@pytest.fixture(scope="package")
def kubernetes(bare_cluster: Cluster) -> str:
    """The version of that cluster, e.g. `1.36.3`."""
    return str(bare_cluster.admin.get("/version")["gitVersion"]).removeprefix("v")


@pytest.fixture
def release(bare_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    """Helm towards that cluster. What was installed goes after the test, and what an uninstall keeps stays."""
    helm = Helm(tmp_path_factory.mktemp("helm"), bare_cluster.kubeconfig)
    yield helm
    helm("uninstall", "hypernova", f"--namespace={NAMESPACE}", "--ignore-not-found")


@pytest.fixture
def no_kinds_after(bare_cluster: Cluster, release: Helm) -> Iterator[None]:
    """For who installs others than ours: what an uninstall keeps goes, too."""
    yield
    ours = "--selector=app.kubernetes.io/part-of=hypernova"
    kinds = bare_cluster.kubectl("get", "crd", ours, "--output=jsonpath={.items[*].metadata.name}")
    if kinds:
        # A kind that goes before anybody has asked for its objects may stay for minutes: the API server looks for them,
        # begins to keep them only then, fails at first, and forgets about it if it tries again too soon.
        bare_cluster.kubectl("get", ",".join(kinds.split()), "--all-namespaces")
    kept = ("customresourcedefinitions", *VALIDATING, *(MUTATING if mutates(bare_cluster.admin) else ()))
    bare_cluster.kubectl("delete", ",".join(kept), ours)
