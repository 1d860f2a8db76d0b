"""Nodes of the lab are nodes: Pods, their network and names, their hosts' libvirt, and honest failures."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hack.devcluster import ClusterError
from hack.guest import Guest
from hack.nodes import Image, KubeLab, write_archive
from support.domains import define, overlay, wait_for_line
from support.waiting import eventually

PEER = "localhost/hypernova-test/peer:1"
PORT = 8080
UID = 10001
LIBVIRT_SOCKET = "/run/libvirt/libvirt-sock"


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of one namespace, on nodes of our choice."""

    lab: KubeLab
    namespace: str

    def run(self, name: str, node: str, **spec: Any) -> None:
        """A Pod that keeps to the restricted Pod Security Standard, unless `spec` says otherwise, and serves."""
        container = {
            "name": "peer",
            "image": PEER,
            "imagePullPolicy": "Never",
            "args": ["serve", str(PORT)],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
        } | spec.pop("container", {})
        security = {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        body = {
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": node},
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                **spec,
                "securityContext": security | spec.get("securityContext", {}),
            },
        }
        self.lab.cluster.admin.create(f"/api/v1/namespaces/{self.namespace}/pods", body)

    def expose(self, name: str) -> str:
        """A Service of the Pod's name; its address."""
        spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]}
        body = {"metadata": {"name": name}, "spec": spec}
        made = self.lab.cluster.admin.create(f"/api/v1/namespaces/{self.namespace}/services", body)
        return str(made["spec"]["clusterIP"])

    def wait_ready(self, *names: str) -> None:
        pods = [f"pod/{name}" for name in names]
        self.lab.cluster.kubectl(
            "wait", f"--namespace={self.namespace}", "--for=condition=Ready", "--timeout=120s", *pods, timeout=130
        )

    def peer(self, name: str, *arguments: str) -> str:
        """What the program prints when it is run in the Pod."""
        return self.lab.cluster.kubectl("exec", f"--namespace={self.namespace}", name, "--", "/peer", *arguments)

    def fetched(self, name: str, host: str, port: int = 80) -> str:
        """What the Pod is answered: nothing while a name or address is not known everywhere, or to kubelet, yet."""
        with suppress(ClusterError):
            return self.peer(name, "fetch", host, str(port))
        return ""

    def status(self, name: str) -> dict[str, Any]:
        """The status of the Pod's only container."""
        pod = self.lab.cluster.admin.get(f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        statuses: list[dict[str, Any]] = pod["status"].get("containerStatuses", [{}])
        return statuses[0]


@pytest.fixture(scope="module")
def lab(kubelab: KubeLab, tmp_path_factory: pytest.TempPathFactory) -> KubeLab:
    """The lab, with the image of the tests' Pods."""
    folder = tmp_path_factory.mktemp("peer")
    source = Path(__file__).with_name("peer.c")
    # The linker warns that a static program can't look names up by plugins: there are none in the image.
    compiler = ["gcc", "-Os", "-static", "-s", "-Wl,--no-warnings", "-o", str(folder / "peer"), str(source)]
    subprocess.run(compiler, check=True, capture_output=True, timeout=60)
    write_archive(Image(PEER, {"/peer": folder / "peer"}, ("/peer",)), folder / "peer.tar")
    kubelab.load(folder / "peer.tar")
    return kubelab


@pytest.fixture
def pods(lab: KubeLab, request: pytest.FixtureRequest) -> Iterator[Pods]:
    """A namespace that takes only what is restricted; anything where a test's parameter says `privileged`."""
    name, level = f"test-{uuid.uuid4().hex[:8]}", getattr(request, "param", "restricted")
    labels = {"pod-security.kubernetes.io/enforce": level}
    admin = lab.cluster.admin
    admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    # Made by a controller; Pods are refused before.
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    eventually(lambda: admin.exists(account), "the namespace's service account")
    yield Pods(lab, name)
    admin.delete(f"/api/v1/namespaces/{name}")


def test_two_nodes_are_ready_with_the_labels_they_were_given(kubelab: KubeLab) -> None:
    listed = json.loads(
        kubelab.cluster.kubectl("get", "nodes", "--selector=compute.hypernova.dev/hypervisor=true", "--output=json")
    )
    ready = {
        (node["metadata"]["name"], condition["status"])
        for node in listed["items"]
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready"
    }
    assert ready == {("node-a", "True"), ("node-b", "True")}


def test_pods_reach_each_other_across_nodes_by_name_and_the_api_server_reaches_them(pods: Pods) -> None:
    pods.run("near", "node-a")
    pods.run("far", "node-b")
    addresses = {name: pods.expose(name) for name in ("near", "far")}
    pods.wait_ready("near", "far")

    for client, server in (("near", "far"), ("far", "near")):
        for host in (addresses[server], server, f"{server}.{pods.namespace}.svc"):
            answer = eventually(lambda c=client, h=host: pods.fetched(c, h), f"{host} to answer {client}")
            assert answer.endswith(f"{server} {UID}\n")

    path = f"/api/v1/namespaces/{pods.namespace}/pods/far:{PORT}/proxy/"
    assert pods.lab.cluster.admin.text(path) == f"far {UID}\n"


def test_a_pod_finds_the_api_server_by_its_name_and_no_name_that_is_not_there(pods: Pods) -> None:
    pods.run("client", "node-a")
    pods.wait_ready("client")
    assert "HTTP request to an HTTPS server" in pods.peer("client", "fetch", "kubernetes.default.svc", "443")
    with pytest.raises(ClusterError, match=r"Name or service not known"):
        pods.peer("client", "fetch", "nobody.default.svc", "80")


@pytest.mark.parametrize("pods", ["privileged"], indirect=True)
def test_only_a_pod_with_the_group_uses_its_hosts_libvirt(pods: Pods) -> None:
    libvirt = Path(LIBVIRT_SOCKET).parent
    mounted = {
        "container": {"volumeMounts": [{"name": "libvirt", "mountPath": str(libvirt)}]},
        "volumes": [{"name": "libvirt", "hostPath": {"path": str(libvirt), "type": "Directory"}}],
    }
    pods.run("member", "node-a", **mounted, securityContext={"supplementalGroups": [KubeLab.LIBVIRT_GROUP]})
    pods.run("stranger", "node-a", **mounted)
    pods.wait_ready("member", "stranger")

    assert pods.peer("member", "unix", LIBVIRT_SOCKET) == "connected\n"
    with pytest.raises(ClusterError, match="Permission denied"):
        pods.peer("stranger", "unix", LIBVIRT_SOCKET)


def test_pods_and_guests_outlive_a_killed_kubelet(pods: Pods, guest: Guest) -> None:
    node = pods.lab.node("node-a")
    domain = define(node.host, "beside", disk=overlay(node.host, "beside", guest.boot_sector, image_format="raw"))
    domain.create()
    wait_for_line(node.host, "beside", "HYPERNOVA-GUEST SECTOR", seconds=60)
    pods.run("survivor", "node-a")
    pods.wait_ready("survivor")
    before = pods.status("survivor")["containerID"]

    node.kill_kubelet()
    node.start_kubelet()

    eventually(lambda: "HTTP" in pods.fetched("survivor", "localhost", PORT), "kubelet to know its Pods again")
    assert pods.status("survivor")["containerID"] == before
    assert domain.isActive()
    domain.destroy()
    domain.undefine()


def test_pods_come_back_after_a_power_cut(pods: Pods) -> None:
    node = pods.lab.node("node-b")
    pods.run("revived", "node-b")
    pods.run("witness", "node-a")
    pods.expose("revived")
    pods.wait_ready("revived", "witness")

    node.power_cut()
    assert node.host.pids() == []
    assert cgroups_of(node.cgroup) == []
    node.start()

    eventually(
        lambda: pods.status("revived").get("restartCount") == 1 and pods.status("revived")["ready"],
        "the Pod to run again",
        seconds=120,
    )
    answer = eventually(lambda: pods.fetched("witness", "revived"), "the Pod to answer again", seconds=60)
    assert answer.endswith(f"revived {UID}\n")


KILLED = """
import os, signal, sys
from pathlib import Path
from hack.nodes import KubeLab

with KubeLab(Path(sys.argv[1])) as lab:
    node = lab.add_node("node-a")
    print(node.cgroup, *(process.pid for process in node.host.processes()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_lab_whose_program_is_killed_leaves_nothing(tmp_path: Path) -> None:
    networks = {path.name for path in Path("/sys/class/net").iterdir()}
    folder = tmp_path / "killed"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=240, stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    cgroup, *pids = killed.stdout.split()
    assert len(pids) > 4  # pid 1, virtlogd, libvirtd, containerd, kube-proxy, kubelet

    eventually(lambda: not mentions(folder), "all processes and mounts of the lab to end", seconds=60)
    eventually(lambda: not cgroups_of(cgroup), "its cgroups to end", seconds=60)
    assert {path.name for path in Path("/sys/class/net").iterdir()} == networks


def cgroups_of(name: str) -> list[Path]:
    """The branches of this name in all hierarchies."""
    return list(Path("/sys/fs/cgroup").glob(f"*/{name}"))


def mentions(folder: Path) -> list[Path]:
    """Files of processes that tell of the folder: what they were started with, and what is mounted for them."""
    found = []
    for name in ("cmdline", "environ", "mountinfo"):
        for file in Path("/proc").glob(f"[0-9]*/{name}"):
            with suppress(OSError):  # ended meanwhile
                if str(folder).encode() in file.read_bytes():
                    found.append(file)
    return found
