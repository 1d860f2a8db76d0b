"""Once install() has returned, what it installed works: no client has to try again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hack.devcluster import Cluster, ClusterError, install
from hack.devcluster.install import mutates
from hypernova_api.meta import CREATED_BY, FINALIZER
from support.builders import an_instance


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster for one test, with nothing of Hypernova in it."""
    with Cluster(tmp_path / "lonely") as cluster:
        yield cluster


def test_the_first_request_after_install_meets_kinds_policies_and_roles(lonely: Cluster) -> None:
    install(lonely)
    with suppress(ClusterError):  # where the creator cannot be overwritten, whoever names another is refused
        lonely.kubectl("create", "-f", "-", input=json.dumps(an_instance("forged", annotations={CREATED_BY: "other"})))
    lonely.kubectl("create", "-f", "-", input=json.dumps(an_instance("web-1", annotations={CREATED_BY: "admin"})))
    mutated = mutates(lonely.admin)
    created = json.loads(lonely.kubectl("get", "instances.compute.hypernova.dev", "-o", "json"))["items"]
    assert [each["metadata"]["name"] for each in created] == (["forged", "web-1"] if mutated else ["web-1"])
    for each in created:
        assert each["metadata"]["annotations"] == {CREATED_BY: "admin"}
        assert each["metadata"].get("finalizers", []) == ([FINALIZER] if mutated else [])
    agent = lonely.service_account_kubeconfig("hypernova-system", "hypernova-node-agent", node="node-a")
    assert lonely.kubectl(f"--kubeconfig={agent}", "get", "instances", "--all-namespaces", "-o", "name") != ""


def test_install_can_be_repeated(cluster: Cluster) -> None:
    before = policies(cluster)
    install(cluster)
    assert policies(cluster) == before


def policies(cluster: Cluster) -> str:
    kinds = ["validatingadmissionpolicies", *(["mutatingadmissionpolicies"] if mutates(cluster.admin) else [])]
    return cluster.kubectl("get", ",".join(kinds), "-o", "name")
