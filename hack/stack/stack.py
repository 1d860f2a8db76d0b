"""The parts of a Hypernova, put together in one folder."""

from __future__ import annotations

import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.devcluster import Cluster, install, wait_installed
from hack.devcluster.guard import guarded
from hack.devcluster.ports import reserved
from hack.devcluster.process import Component, end, running
from hack.lab import Lab

NAMESPACE = "hypernova-system"
POOL = "/var/lib/libvirt/hypernova"
"""Where the agent's storage pool is on a host."""

READY_SECONDS = 60.0


class Stack:
    """Control plane, hosts, operators, agents and a file server for images; each part is a process of this machine.

    Any program that opens the same folder sees the same stack. As a context manager it is down at the end of the block,
    even when this program is killed in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.cluster = Cluster(self.folder / "cluster")
        self.lab = Lab(self.folder / "lab")
        self._block = ExitStack()

    def __enter__(self) -> Self:
        self._block.enter_context(guarded("hack.stack", str(self.folder)))
        self._block.callback(self.down)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.close()

    def start_cluster(self) -> None:
        """The control plane, with our kinds, policies and rights installed."""
        self.cluster.up()
        install(self.cluster)

    def restart_apiserver(self) -> None:
        """Kill the API server and start it again; returns when it takes our kinds again."""
        self.cluster.stop_apiserver(kill=True)
        self.cluster.start_apiserver()
        wait_installed(self.cluster)

    def start_host(self, node: str) -> None:
        """A host with its libvirtd, and a Node of its name that is labelled as a hypervisor."""
        self.lab.up(node)
        self.cluster.admin.ensure("/api/v1/nodes", {"metadata": {"name": node}})
        self.cluster.kubectl("label", "--overwrite", "node", node, "compute.hypernova.dev/hypervisor=true")

    def operator(self, name: str = "operator") -> Component:
        """An operator; several of them elect a leader."""
        kubeconfig = self.cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
        return self._component(name, "hypernova_operator", "--kubeconfig", str(kubeconfig), "--identity", name)

    def agent(self, node: str) -> Component:
        """The agent of a host, with the rights of a Pod on its Node."""
        kubeconfig = self.cluster.service_account_kubeconfig(NAMESPACE, "hypernova-node-agent", node=node)
        return self._component(
            f"agent-{node}",
            "hypernova_agent",
            *("--kubeconfig", str(kubeconfig), "--node-name", node),
            # KVM is there on some machines and boots no Linux guest on all of them; emulation does everywhere.
            *("--libvirt-uri", self.lab.host(node).libvirt_uri, "--domain-type", "qemu"),
        )

    def file_server(self, folder: Path) -> tuple[Component, str]:
        """A web server for the files of a folder, and its address."""
        port = self._port("files")
        arguments = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port)]
        return self._process("files", arguments, lambda: _listens(port)), f"http://127.0.0.1:{port}"

    def overcommit(self, node: str, *, cpu: int) -> None:
        """Let a host take that many virtual CPUs for each of its own; its agent has made the Hypervisor by now."""
        patch = json.dumps({"spec": {"overcommit": {"cpu": cpu}}})
        self.cluster.kubectl("patch", "hypervisor", node, "--type=merge", f"--patch={patch}")

    def console_log(self, node: str, uid: str) -> str:
        """What an Instance's guest has written to its serial port; empty when it has none."""
        path = self.lab.host(node).path(f"{POOL}/{uid}.console.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def metrics(self, component: str) -> str:
        """The /metrics of an operator or agent, by the name of its process."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port(component)}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def down(self) -> None:
        """End all of it, whatever part is up, and remove the cluster's data. Hosts' folders and logs stay."""
        for pid, _ in running(self.folder):
            end(pid)
        self.lab.down()
        self.cluster.delete()

    def _component(self, name: str, module: str, *arguments: str) -> Component:
        port = self._port(name)
        flags = ["--namespace", NAMESPACE, "--probe-port", str(port), *arguments]
        return self._process(name, [sys.executable, "-m", module, *flags], lambda: _is_ready(port))

    def _process(self, name: str, arguments: list[str], ready: Callable[[], bool]) -> Component:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        return Component(
            name=name,
            folder=self.folder,
            binary=Path(sys.executable),
            arguments=arguments,
            log=logs / f"{name}.log",
            ready=ready,
            ready_seconds=READY_SECONDS,
        )

    def _port(self, name: str) -> int:
        """The port of a process on loopback, chosen at first and kept."""
        file = self.folder / "ports" / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with reserved(1) as (port,):
                file.write_text(f"{port}\n")
        return int(file.read_text())


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
