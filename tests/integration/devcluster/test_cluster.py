"""Promises of hack/devcluster that need the real thing."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hack.devcluster import Cluster, ClusterError
from hack.devcluster.components import API_SERVER, CONTROLLERS, ETCD
from hack.devcluster.process import running
from hack.devcluster.waiting import wait_until


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("victim")) as cluster:
        yield cluster


@pytest.fixture
def lonely(victim: Cluster) -> Cluster:
    """A running cluster that a test may kill: with nothing of Hypernova in it, though with data of other tests."""
    victim.up()
    return victim


def config_map(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})


@pytest.fixture
def kept() -> str:
    """The name of an object that shall outlive what the test does."""
    return f"kept-{uuid.uuid4().hex[:8]}"


def names(cluster: Cluster) -> list[str]:
    items = json.loads(cluster.kubectl("get", "configmaps", "-n", "default", "-o", "json"))["items"]
    return [item["metadata"]["name"] for item in items]


def test_up_on_a_running_cluster_changes_nothing(lonely: Cluster) -> None:
    before = lonely.pids
    lonely.up()
    assert lonely.pids == before
    assert set(before) == {ETCD, API_SERVER, CONTROLLERS}


def test_two_who_start_one_cluster_at_once_get_one(lonely: Cluster) -> None:
    lonely.delete()
    with ThreadPoolExecutor() as pool:
        for starting in [pool.submit(Cluster(lonely.folder).up) for _ in range(3)]:
            starting.result(timeout=120)
    assert sorted(name for _, name in running(lonely.folder)) == sorted([ETCD, API_SERVER, CONTROLLERS])


def test_an_object_made_before_the_cluster_was_made_anew_speaks_to_the_new_one(lonely: Cluster) -> None:
    before = lonely.url
    Cluster(lonely.folder).delete()
    Cluster(lonely.folder).up()
    assert lonely.url != before
    assert lonely.admin.ready()
    assert lonely.kubectl("get", "--raw", "/readyz") == "ok"


def test_two_clusters_do_not_disturb_each_other(cluster: Cluster, lonely: Cluster) -> None:
    lonely.kubectl("create", "-n", "default", "-f", "-", input=config_map("only-here"))
    assert "only-here" in names(lonely)
    assert "only-here" not in names(cluster)
    shared = cluster.pids
    lonely.down()
    assert cluster.pids == shared
    assert "only-here" not in names(cluster)


def test_down_leaves_no_process_and_up_finds_the_data_again(lonely: Cluster, kept: str) -> None:
    lonely.kubectl("create", "-n", "default", "-f", "-", input=config_map(kept))
    pids = lonely.pids
    lonely.down()
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]
    lonely.up()
    assert kept in names(lonely)


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "terminated"])
def test_a_restarted_api_server_answers_at_the_same_address_with_the_same_data(
    lonely: Cluster, kept: str, kill: bool
) -> None:
    lonely.kubectl("create", "-n", "default", "-f", "-", input=config_map(kept))
    url = lonely.url
    lonely.stop_apiserver(kill=kill)
    assert API_SERVER not in lonely.pids
    with pytest.raises(ClusterError, match="refused"):
        lonely.kubectl("get", "configmaps")
    lonely.start_apiserver()
    assert lonely.url == url
    assert kept in names(lonely)


def test_up_starts_what_has_crashed_and_only_that(lonely: Cluster) -> None:
    before = lonely.pids
    os.kill(before[CONTROLLERS], signal.SIGKILL)
    wait_until(lambda: CONTROLLERS not in lonely.pids, seconds=30, what="the crash")
    lonely.up()
    after = lonely.pids
    assert after[CONTROLLERS] != before[CONTROLLERS]
    assert (after[ETCD], after[API_SERVER]) == (before[ETCD], before[API_SERVER])


def test_down_cleans_up_after_an_up_that_was_killed_half_way(lonely: Cluster) -> None:
    lonely.down()
    starter = os.fork()
    if starter == 0:
        lonely.up()
        os._exit(0)
    wait_until(lambda: bool(lonely.pids), seconds=60, what="the first process")
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    lonely.down()
    assert lonely.pids == {}
    lonely.up()
    assert set(lonely.pids) == {ETCD, API_SERVER, CONTROLLERS}


def test_a_with_block_leaves_nothing_when_its_program_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "orphan"
    program = os.fork()
    if program == 0:
        with Cluster(folder):
            signal.pause()
    wait_until(lambda: API_SERVER in Cluster(folder).pids, seconds=60, what="the API server")
    os.kill(program, signal.SIGKILL)
    os.waitpid(program, 0)
    wait_until(lambda: not folder.exists(), seconds=60, what="the guard")
    assert list(running(folder)) == []


def test_delete_leaves_nothing_even_of_a_cluster_that_never_was_up(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "never")
    cluster.delete()
    assert not cluster.folder.exists()


def test_a_component_that_does_not_start_names_its_log_and_shows_the_end_of_it(lonely: Cluster) -> None:
    lonely.down()
    key = lonely.folder / "pki" / "service-account.pub"
    key.rename(key.with_suffix(".kept"))
    with pytest.raises(ClusterError) as error:
        lonely.up()
    assert "kube-apiserver ended before it was ready" in str(error.value)
    assert str(lonely.folder / "logs" / "kube-apiserver.log") in str(error.value)
    assert "service-account.pub" in str(error.value)
    key.with_suffix(".kept").rename(key)


def test_what_kubectl_says_is_in_the_error(cluster: Cluster) -> None:
    with pytest.raises(ClusterError, match=r'kubectl get unicorns: .*resource type "unicorns"'):
        cluster.kubectl("get", "unicorns")


def test_apply_is_kubectl_apply(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    manifest = tmp_path / "config.yaml"
    manifest.write_text(f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: mine, namespace: {namespace}}}}}")
    assert cluster.apply(manifest) == "configmap/mine created\n"
    assert cluster.apply(manifest) == "configmap/mine unchanged\n"


def test_a_service_account_token_carries_its_node(cluster: Cluster, namespace: str) -> None:
    kubeconfig = cluster.service_account_kubeconfig(namespace, "agent", node="node-a")
    user = whoami(cluster, kubeconfig)
    assert user["username"] == f"system:serviceaccount:{namespace}:agent"
    assert user["extra"]["authentication.kubernetes.io/node-name"] == ["node-a"]


def test_a_service_account_token_without_a_node_carries_none(cluster: Cluster, namespace: str) -> None:
    user = whoami(cluster, cluster.service_account_kubeconfig(namespace, "operator"))
    assert user["username"] == f"system:serviceaccount:{namespace}:operator"
    assert "authentication.kubernetes.io/node-name" not in user["extra"]


def whoami(cluster: Cluster, kubeconfig: Path) -> dict[str, dict[str, list[str]]]:
    review = cluster.kubectl(f"--kubeconfig={kubeconfig}", "auth", "whoami", "-o", "json")
    user: dict[str, dict[str, list[str]]] = json.loads(review)["status"]["userInfo"]
    return user


def test_metrics_tell_how_often_which_verb_was_used(cluster: Cluster) -> None:
    assert "apiserver_request_total{" in cluster.metrics()


def test_no_other_process_counts_as_the_clusters(cluster: Cluster) -> None:
    assert os.getpid() not in dict(running(cluster.folder))
