"""Once install() has returned, what it installed works: no client has to try again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.devcluster import Cluster, install
from support.builders import an_instance


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster for one test, with nothing of Hypernova in it."""
    with Cluster(tmp_path / "lonely") as cluster:
        yield cluster


def test_the_first_request_after_install_meets_kinds_policies_and_roles(lonely: Cluster) -> None:
    install(lonely)
    lonely.kubectl("create", "-f", "-", input=json.dumps(an_instance("web-1")))
    instance = json.loads(lonely.kubectl("get", "instances.compute.hypernova.dev", "web-1", "-o", "json"))
    assert instance["metadata"]["finalizers"] == ["compute.hypernova.dev/domain"]
    agent = lonely.service_account_kubeconfig("hypernova-system", "hypernova-node-agent", node="node-a")
    assert lonely.kubectl(f"--kubeconfig={agent}", "get", "instances", "--all-namespaces", "-o", "name") != ""


def test_install_can_be_repeated(cluster: Cluster) -> None:
    before = policies(cluster)
    install(cluster)
    assert policies(cluster) == before


def policies(cluster: Cluster) -> str:
    return cluster.kubectl("get", "mutatingadmissionpolicies,validatingadmissionpolicies", "-o", "name")
