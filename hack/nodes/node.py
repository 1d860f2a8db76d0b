"""A Kubernetes node: a lab host with a container runtime, kubelet and kube-proxy."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hack.cache import digest
from hack.devcluster import Cluster, build
from hack.devcluster.pki import Certificate
from hack.devcluster.waiting import wait_until
from hack.lab import Host, LabError
from hack.lab.underlay import Underlay

from . import cgroups, configuration
from .configuration import Credentials

PRIVATE = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cni", "/etc/cni")
"""Paths that are the node's own, beside its host's."""

CONTAINERD, KUBELET, KUBE_PROXY = "containerd", "kubelet", "kube-proxy"
RUNTIME_SECONDS = 60.0
IMPORT_SECONDS = 300.0
READY_SECONDS = 120.0
PROXY = Certificate("kube-proxy", "/CN=system:kube-proxy")
NOT_READY = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
"""Taints that keep Pods away until the controllers have seen that the node is there."""

_SETUP = Path(__file__).with_name("setup.sh")


class Node:
    """One node of a KubeLab. Its host carries libvirtd as any lab host does."""

    def __init__(self, host: Host, cluster: Cluster, images: Path, labels: Mapping[str, str]) -> None:
        """A node that is started by `start`.

        Args:
            host: what it runs on; has its name.
            cluster: what it is a node of.
            images: a folder of OCI archives, which it shall have when it starts.
            labels: its kubelet gives it when it registers.
        """
        self.host = host
        self.name = host.name
        self._cluster = cluster
        self._images = images
        self._labels = labels
        self.cgroup = f"hypernova-lab-{digest([str(host.folder)])}"
        """Its branch of the machine's cgroups, with all its Pods."""

    def start(self) -> None:
        """Power on, start all that a node has, and return when it is Ready for Pods. What runs already stays.

        Raises:
            LabError: something did not start.
            ClusterError: the node is not Ready in time.
        """
        if not self.host.is_up:
            cgroups.make(self.cgroup)
            self.host.up()
            self._set_up()
        self.host.start_libvirtd()
        if not self.host.service(CONTAINERD):
            self._start_containerd()
            self.load(*sorted(self._images.iterdir()))
        if not self.host.service(KUBE_PROXY):
            self._start_kube_proxy()
        self.start_kubelet()

    def power_cut(self) -> None:
        """End everything in it at once, guests and Pods included. `start` powers it on again, with its disks."""
        self.host.power_cut()
        cgroups.remove(self.cgroup)

    def disconnect(self) -> None:
        """Pull its network cable: what runs in it goes on."""
        self.host.disconnect()

    def reconnect(self) -> None:
        """Put the network cable back."""
        self.host.reconnect()

    def start_kubelet(self) -> None:
        """Start kubelet, if it does not run, and return when the node is Ready for Pods."""
        since = time.time()
        if not self.host.service(KUBELET):
            self._start_kubelet()
        wait_until(lambda: self._is_ready(since), seconds=READY_SECONDS, what=f"node {self.name} to be Ready")

    def kill_kubelet(self) -> None:
        """Kill kubelet, as a crash does. Pods and guests live on."""
        kubelet = self.host.service(KUBELET)
        if not kubelet:
            raise LabError(f"kubelet does not run on {self.name}")
        kubelet.signal(signal.SIGKILL)
        kubelet.wait(10)

    def load(self, *archives: Path) -> None:
        """Import images, given as OCI archives, and return when kubelet may use them."""
        for archive in archives:
            self._ctr("images", "import", str(archive))
        wait_until(self._images_known, seconds=RUNTIME_SECONDS, what=f"kubelet's images on {self.name}")

    # Inside

    def _set_up(self) -> None:
        mounts = [argument for each in cgroups.hierarchies() for argument in (str(each.path), each.option)]
        arguments = (str(self.host.folder), Underlay.OWN_ADDRESS, *PRIVATE, "--", *mounts)
        self.host.run("sh", "-c", _SETUP.read_text(), "setup", *arguments)

    def _start_containerd(self) -> None:
        cni = self.host.folder / "etc/cni/net.d"
        cni.mkdir(exist_ok=True)
        (cni / "10-pods.conflist").write_text(configuration.cni(self.host.number))
        settings = self._write("containerd.toml", configuration.containerd())
        self.host.start_service(CONTAINERD, [CONTAINERD, f"--config={settings}"])
        wait_until(self._runtime_answers, seconds=RUNTIME_SECONDS, what=f"containerd on {self.name} to answer")

    def _start_kube_proxy(self) -> None:
        text = configuration.kube_proxy(self.name, self._cluster.node_kubeconfig(PROXY))
        settings = self._write("kube-proxy.yaml", text)
        self.host.start_service(KUBE_PROXY, [str(build()), KUBE_PROXY, f"--config={settings}"])

    def _start_kubelet(self) -> None:
        subject = f"/O=system:nodes/CN=system:node:{self.name}"
        serving = Certificate(f"kubelet-{self.name}", subject, addresses=(self.host.address,), names=(self.name,))
        credentials = Credentials(self._cluster.ca_certificate, *self._cluster.certificate(serving))
        settings = configuration.kubelet(self.cgroup, Underlay.OWN_ADDRESS, credentials)
        arguments = [
            *(str(build()), KUBELET, f"--config={self._write('kubelet.yaml', settings)}"),
            f"--kubeconfig={self._cluster.node_kubeconfig(Certificate(f'node-{self.name}', subject))}",
            *(f"--hostname-override={self.name}", f"--node-ip={self.host.address}"),
            f"--node-labels={','.join(f'{key}={value}' for key, value in self._labels.items())}",
        ]
        self.host.start_service(KUBELET, arguments)

    def _runtime_answers(self) -> bool:
        return self.host.run("ctr", "version", check=False).returncode == 0

    def _images_known(self) -> bool:
        """Whether containerd has told its kubelet side of every image; it does a moment after an import."""
        _, *lines = self._ctr("images", "list").splitlines()
        return all("io.cri-containerd.image=managed" in line for line in lines)

    def _ctr(self, *arguments: str) -> str:
        return self.host.run("ctr", "--namespace=k8s.io", *arguments, timeout=IMPORT_SECONDS).stdout

    def _is_ready(self, since: float) -> bool:
        """Whether kubelet has said so since then, the scheduler may believe it, and the API server reaches it."""
        admin, path = self._cluster.admin, f"/api/v1/nodes/{self.name}"
        return admin.exists(f"{path}/proxy/healthz") and is_ready(admin.get(path), since)

    def _write(self, name: str, text: str) -> Path:
        file = self.host.folder / "node" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file


def is_ready(node: dict[str, Any], since: float) -> bool:
    """Whether a Node is Ready, by what its kubelet said at `since` (of time.time()) or later, and takes Pods. Pure."""
    taints = {taint["key"] for taint in node["spec"].get("taints", ())}
    return not taints & NOT_READY and any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and datetime.fromisoformat(condition["lastHeartbeatTime"]).timestamp() >= int(since)  # told in whole seconds
        for condition in node["status"].get("conditions", ())
    )
