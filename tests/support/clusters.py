"""Control planes for tests: one for all that leave it alive, one of its own for each that does not."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from hack.devcluster import Cluster, install
from hack.devcluster.install import mutates
from hypernova_kube.client import Client


def need_mutation(cluster: Cluster) -> None:
    """Skips a test of what MutatingAdmissionPolicy does where there is none."""
    if not mutates(cluster.admin):
        pytest.skip("this Kubernetes has no MutatingAdmissionPolicy v1, which is new in 1.36")


def need_resizing(cluster: Cluster) -> None:
    """Skips a test of Pods that are resized in place where they cannot be."""
    if all(each["name"] != "pods/resize" for each in cluster.admin.get("/api/v1")["resources"]):
        pytest.skip("this Kubernetes does not resize Pods in place, which is new in 1.33")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster with Hypernova installed, shared by the whole run: leave it as you found it."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The same for one test alone, which may kill what it likes."""
    with Cluster(tmp_path_factory.mktemp("own-cluster")) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace in the shared cluster. What is in it goes after the test, in the background."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.admin.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    """The administrator's client of the shared cluster."""
    async with await Client.connect(cluster.kubeconfig, component="test") as client:
        yield client
