"""A lab of nodes: a control plane and the nodes that it reaches and that reach it, in one folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.devcluster import Cluster, Network
from hack.devcluster.guard import guarded
from hack.devcluster.process import Component, end, running
from hack.lab import Host, Lab
from hack.lab.libvirtd import SOCKET_GROUP
from hack.lab.underlay import Underlay

from . import dns, pause
from .configuration import pod_subnet
from .node import PRIVATE, Node

DNS_SECONDS = 60.0


class KubeLab:
    """A whole cluster: up inside the block, and gone at its end, even when this program is killed in it.

    The control plane runs in the network namespace of the lab's switch. The machine reaches it on loopback, as any
    devcluster, and no interface, rule or sysctl of the machine is changed.
    """

    LIBVIRT_GROUP = SOCKET_GROUP
    """The gid that a container needs to use its node's libvirt socket; nobody else's but root may."""

    def __init__(self, folder: Path) -> None:
        """A lab that has not been started.

        Args:
            folder: where everything of it is; libvirt's sockets, in it, bound the length of its path.
        """
        self.folder = folder.absolute()
        self.lab = Lab(self.folder / "lab")
        self.nodes: list[Node] = []
        """In the order they were added."""
        self._images = self.folder / "images"
        self._dns = self.folder / "dns"
        self._block = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as block:
            block.enter_context(guarded("hack.nodes", str(self.folder)))
            block.callback(self.down)
            self._up()
            self._block = block.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.close()

    @property
    def cluster(self) -> Cluster:
        """The control plane; its kubeconfig is for programs of the machine."""
        return Cluster(self.folder / "cluster", Network(self._namespace, Underlay.OWN_ADDRESS))

    def add_node(self, name: str, labels: Mapping[str, str] | None = None) -> Node:
        """One more node, with all images loaded so far; returns when it is Ready (about 3 s).

        Args:
            name: a DNS label.
            labels: of the Node object.

        Raises:
            LabError, ClusterError: something of it did not start.
        """
        host = self.lab.host(name)
        self.lab.switch().run("ip", "route", "replace", pod_subnet(host.number), "via", host.address, timeout=20)
        node = Node(host, self.cluster, self._images, labels or {})
        self.nodes.append(node)
        node.start()
        return node

    def node(self, name: str) -> Node:
        """The node of this name that was added."""
        return next(node for node in self.nodes if node.name == name)

    def load(self, archive: Path) -> None:
        """An image, as an OCI archive, for all nodes, and for those added later."""
        kept = self._images / archive.name
        shutil.copyfile(archive, kept)
        for node in self.nodes:
            if node.host.is_up:
                node.load(kept)

    def down(self) -> None:
        """End all of it: processes, namespaces, cgroups. Logs and guests' disks stay in the folder.

        Works from any program, however far the lab came, and twice.
        """
        for pid in [pid for pid, _ in running(self._dns)]:
            end(pid)
        Cluster(self.folder / "cluster").delete()
        for host in self.lab.hosts:
            self._remove(host)
        self.lab.down()

    @property
    def _namespace(self) -> Path:
        return Path(f"/proc/{self.lab.switch().init.pid}/ns/net")

    def _up(self) -> None:
        self._images.mkdir(parents=True, exist_ok=True)
        self._dns.mkdir(exist_ok=True)
        (self._dns / dns.HOSTS).unlink(missing_ok=True)
        shutil.copyfile(pause.archive(), self._images / "pause.tar")
        # The control plane routes between Pods' subnets, so that a node need not know the others.
        self.lab.switch().run("sysctl", "-qw", "net.ipv4.ip_forward=1", timeout=20)
        self.cluster.up()
        self._start_dns()

    def _start_dns(self) -> None:
        program, kubeconfig = str(Path(dns.__file__)), str(self.cluster.kubeconfig)
        where = (str(self._dns), str(self._namespace), Underlay.OWN_ADDRESS)
        Component(
            name="dns",
            folder=self._dns,
            binary=Path(sys.executable),
            arguments=[sys.executable, "-I", program, kubeconfig, *where],
            log=self._dns / "dns.log",
            ready=(self._dns / dns.HOSTS).exists,
            ready_seconds=DNS_SECONDS,
        ).start()

    def _remove(self, host: Host) -> None:
        """End a node, and take away what is its Pods' alone."""
        Node(host, Cluster(self.folder / "cluster"), self._images, {}).power_cut()
        for path in PRIVATE:
            shutil.rmtree(host.folder / path.lstrip("/"), ignore_errors=True)
