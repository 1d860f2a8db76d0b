"""The real Helm, and a control plane in which there is nothing of ours yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.helm import Helm

CLUSTER_WIDE = (
    "customresourcedefinitions",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
)


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
    # A kind goes once the API server has looked for its objects, one after the other.
    what = ("delete", ",".join(CLUSTER_WIDE), "--selector=app.kubernetes.io/part-of=hypernova")
    bare_cluster.kubectl(*what, timeout=180)
