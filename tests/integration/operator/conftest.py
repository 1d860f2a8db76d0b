"""A cluster for the operator's tests: hosts are everybody's, so it is not shared with other suites."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from hack.devcluster import Cluster, install
from hypernova_kube.client import Client
from support.clusters import need_mutation
from support.operators import Cloud, OperatorProcess


@pytest.fixture(scope="session")
def clean_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with our kinds, and nothing else in it at the begin of each test."""
    with Cluster(tmp_path_factory.mktemp("operator-cluster")) as cluster:
        install(cluster)
        yield cluster


@pytest.fixture
def mutating(clean_cluster: Cluster) -> None:
    """For tests of what MutatingAdmissionPolicy does: test_without_mutation.py has what stands for it elsewhere."""
    need_mutation(clean_cluster)


@pytest.fixture
async def cloud(clean_cluster: Cluster) -> AsyncIterator[Cloud]:
    """A namespace and no hosts."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    clean_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    async with await Client.connect(clean_cluster.kubeconfig, component="test") as client:
        cloud = Cloud(clean_cluster, client, namespace)
        await cloud.prepare()
        try:
            yield cloud
        finally:
            await cloud.clear()


@pytest.fixture(scope="module")
def operator(clean_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator that leads, for all tests of a module."""
    operator = OperatorProcess(clean_cluster, tmp_path_factory.mktemp("operator"), "operator")
    operator.start()
    try:
        yield operator
    finally:
        operator.stop()
