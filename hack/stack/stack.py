"""The parts of a Hypernova, put together in one folder."""

from __future__ import annotations

import json
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hack import web
from hack.devcluster import Cluster, install, wait_installed
from hack.devcluster.guard import guarded
from hack.devcluster.process import Component, end, running
from hack.lab import Lab

from . import aggregated, program
from .program import LOOPBACK, READY_SECONDS, Program, kept_port

POOL = "/var/lib/libvirt/hypernova"
"""Where the agent's storage pool is on a host."""


class Stack:
    """Control plane, hosts, operators, agents, a console proxy, a file server for images: processes of this machine.

    Any program that opens the same folder sees the same stack. As a context manager it is down at the end of the block,
    even when this program is killed in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.cluster = Cluster(self.folder / "cluster")
        self.lab = Lab(self.folder / "lab")
        self._logs = self.folder / "logs"
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
        # As its kubelet would say: the operator signs for no other address.
        addresses = json.dumps({"status": {"addresses": [{"type": "InternalIP", "address": LOOPBACK}]}})
        self.cluster.kubectl("patch", "node", node, "--subresource=status", f"--patch={addresses}")

    def operator(self, name: str = "operator") -> Program:
        """An operator; several of them elect a leader."""
        return program.operator(self.cluster, self._logs, name)

    def agent(self, node: str) -> Program:
        """The agent of a host; its conductor is the first operator."""
        conductor = program.conductor_flags(self.cluster, self._logs, node)
        return program.agent(self.cluster, self.lab.host(node), self._logs, node, *conductor)

    def console(self, name: str = "console", *flags: str) -> Program:
        """A console proxy; several serve one page, whose links lead to the first."""
        shown = ("--assets", str(web.build()), "--public-url", self.console_url())
        return program.console(self.cluster, self._logs, name, *shown, *flags)

    def console_url(self, name: str = "console") -> str:
        """Where a console proxy's page is."""
        return f"http://{LOOPBACK}:{kept_port(self._logs / f'{name}.web-port')}"

    def start_console(self, *flags: str) -> None:
        """A console proxy, behind the API server and with a page; returns when both serve."""
        aggregated.register(self.cluster, kept_port(self._logs / "console.api-port"))
        self.console("console", *flags).start()
        aggregated.wait_available(self.cluster)

    def stop_console(self) -> None:
        """End it, and have the API server look for it no more."""
        aggregated.unregister(self.cluster)
        self.console().stop()

    def serve(self, folder: Path) -> str:
        """Serve the files of a folder over HTTP; returns the address."""
        port = kept_port(self._logs / "files.port")
        Component(
            name="files",
            folder=self._logs,
            binary=Path(sys.executable),
            arguments=[
                *(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), str(port))
            ],
            log=self._logs / "files.log",
            ready=lambda: _listens(port),
            ready_seconds=READY_SECONDS,
        ).start()
        return f"http://127.0.0.1:{port}"

    def overcommit(self, node: str, *, cpu: int) -> None:
        """Let a host take that many virtual CPUs for each of its own; its agent has made the Hypervisor by now."""
        patch = json.dumps({"spec": {"overcommit": {"cpu": cpu}}})
        self.cluster.kubectl("patch", "hypervisor", node, "--type=merge", f"--patch={patch}")

    def console_log(self, node: str, uid: str) -> str:
        """What an Instance's guest has written to its serial port; empty when it has none."""
        path = self.lab.host(node).path(f"{POOL}/{uid}.console.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def down(self) -> None:
        """End all of it, whatever part is up, and remove the cluster's data. Hosts' folders and logs stay."""
        for pid, _ in running(self._logs):
            end(pid)
        self.lab.down()
        self.cluster.delete()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
