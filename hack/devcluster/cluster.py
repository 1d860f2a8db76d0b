"""A Kubernetes control plane in a folder: etcd, API server and controllers as processes on loopback."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from . import pki
from .admin import Admin
from .build import build
from .components import API_SERVER, CONTROLLERS, ENVIRONMENT, ETCD, PODS, api_url, command_lines
from .errors import ClusterError
from .guard import guarded
from .layout import Layout, Ports
from .locking import locked
from .network import Network
from .ports import reserved
from .process import Component, end, running
from .serviceaccount import issue_token

log = logging.getLogger("devcluster")

RELAY = "relay"
RELAY_PROGRAM = Path(__file__).with_name("relay.py")
READY_SECONDS = {RELAY: 60.0, ETCD: 60.0, API_SERVER: 120.0, CONTROLLERS: 60.0, PODS: 60.0}
LOCK_SECONDS = 300.0


class Cluster:
    """One cluster, independent of any other: own folder, ports, keys and processes.

    Making the object starts nothing, and any number of objects and processes may speak of the same folder. As a
    context manager it is up inside the block, and deleted with its data at the end, even when this program is killed.
    """

    def __init__(self, folder: Path, network: Network | None = None, *, api_server: Sequence[str] = ()) -> None:
        """A cluster that is started by `up`.

        Args:
            folder: where everything of it is.
            network: the nodes' one, in which the components run. None: on loopback alone, for Nodes without kubelets.
            api_server: further flags of the API server. Not kept in the folder: who starts it says them.
        """
        self._network = network
        self._api_server = list(api_server)
        self._layout = Layout(folder.absolute())
        self._block = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as block:
            block.enter_context(guarded("hack.devcluster", "delete", str(self.folder)))
            block.callback(self.delete)
            self.up()
            self._block = block.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._block.close()

    def up(self) -> None:
        """Makes the cluster if it is new, starts what does not run, and returns when all is ready (about 4 s).

        Raises:
            ClusterError: a component did not start; names its log file and shows its last lines.
        """
        build()  # before the lock: it takes minutes, and `down` shall not wait for it
        with locked(self._layout.lock, seconds=LOCK_SECONDS):
            if self._layout.read_ports() is not None:
                self._start_all()
                return
            with reserved(3) as (api, etcd, etcd_peer):
                self._make(Ports(api, etcd, etcd_peer))
                self._start_all()

    def down(self) -> None:
        """Ends all processes and returns when they are gone; the data stays for the next `up`.

        By SIGKILL, for speed: what was written to etcd is in the kernel's hands already. Works on any cluster,
        however far `up` came.
        """
        with locked(self._layout.lock, seconds=LOCK_SECONDS):
            self._end_all()

    def delete(self) -> None:
        """Ends all processes and removes the cluster's data, and its folder when nothing else is in it."""
        with locked(self._layout.lock, seconds=LOCK_SECONDS):
            self._end_all()
            for path in self._layout.contents():
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            with suppress(OSError):  # not empty: others keep something there, or make a new cluster already
                self._layout.folder.rmdir()

    @property
    def folder(self) -> Path:
        """Where everything of this cluster is."""
        return self._layout.folder

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; there once the cluster was up."""
        return self._layout.kubeconfig(pki.ADMIN.name)

    @property
    def url(self) -> str:
        """Of the API server, e.g. `https://127.0.0.1:23456`."""
        return api_url(self._ports)

    @property
    def ca_certificate(self) -> Path:
        """The authority that signed the API server's certificate, PEM."""
        return self._layout.pki / "ca.crt"

    @property
    def bin_dir(self) -> Path:
        """A folder for PATH, with `kubectl`."""
        return build().parent / "bin"

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run, by component."""
        return {name: pid for pid, name in running(self.folder)}

    @property
    def components(self) -> Mapping[str, Component]:
        """By name, in the order of their start: `cluster.components["etcd"].stop(kill=True)`."""
        ports, admin, network = self._ports, self.admin, self._network
        ready: dict[str, Callable[[], bool]] = {
            RELAY: lambda: _listens(ports.api) and _listens(ports.etcd),
            ETCD: lambda: _healthy(ports.etcd),
            API_SERVER: admin.ready,
            # Made by a controller: there only once the controllers work.
            CONTROLLERS: lambda: admin.exists("/api/v1/namespaces/default/serviceaccounts/default"),
            PODS: lambda: True,  # listens nowhere; Pods wait for it anyway
        }
        lines = {name: [str(build()), *line] for name, line in command_lines(self._layout, ports, network).items()}
        lines[API_SERVER] += self._api_server  # last: of a flag given twice the last counts
        if network:
            listened = (str(port) for port in (ports.api, ports.etcd))
            relay = [sys.executable, "-I", str(RELAY_PROGRAM), str(network.namespace), *listened]
            lines = {RELAY: relay} | {name: network.enter(*line) for name, line in lines.items()}
        return {
            name: Component(
                name=name,
                folder=self.folder,
                binary=Path(line[0]),
                arguments=line,
                log=self._layout.log(name),
                ready=ready[name],
                ready_seconds=READY_SECONDS[name],
                environment=ENVIRONMENT,
            )
            for name, line in lines.items()
        }

    @property
    def admin(self) -> Admin:
        """Requests as the administrator."""
        return Admin(self._ports.api, self._layout.pki)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Ends the API server and returns when it is gone; SIGTERM makes it drain up to 10 s, `kill` is a crash."""
        self.components[API_SERVER].stop(kill=kill)

    def start_apiserver(self) -> None:
        """Starts the API server on its old port and returns when it is ready."""
        self.components[API_SERVER].start()

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:  # noqa: A002 - subprocess's word
        """Runs kubectl as the administrator and returns what it printed.

        Args:
            arguments: as on the command line, e.g. `"get", "nodes", "-o", "json"`.
            input: its standard input.
            timeout: seconds.

        Raises:
            ClusterError: kubectl failed or took too long; with what it said on stderr.
        """
        command = " ".join(["kubectl", *arguments])
        environment = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self._layout.kubectl_cache),
        }
        try:
            return subprocess.run(
                [str(self.bin_dir / "kubectl"), *arguments],
                env=environment,
                input=input or "",
                check=True,
                capture_output=True,
                text=True,
                timeout=timeout,
            ).stdout
        except subprocess.CalledProcessError as error:
            raise ClusterError(f"{command}: {error.stderr.strip()}") from None
        except subprocess.TimeoutExpired:
            raise ClusterError(f"{command}: no end after {timeout:.0f} s") from None

    def apply(self, *paths: Path) -> str:
        """`kubectl apply -f` of files and folders, as a user would; returns what it printed."""
        return self.kubectl("apply", *(f"--filename={path}" for path in paths))

    def metrics(self) -> str:
        """The API server's /metrics, in Prometheus' text format."""
        return self.admin.text("/metrics")

    def service_account_kubeconfig(self, namespace: str, name: str, *, node: str | None = None) -> Path:
        """A kubeconfig with a token of a ServiceAccount, valid for a day, as a pod of it would have.

        The ServiceAccount is made when missing; its namespace must be there.

        Args:
            namespace: the ServiceAccount's.
            name: the ServiceAccount's.
            node: binds the token to a placeholder Pod on this Node (made when missing), so that it carries the
                claim `authentication.kubernetes.io/node-name`.
        """
        token = self.service_account_token(namespace, name, node=node)
        path = self._layout.kubeconfig("-".join(part for part in (namespace, name, node) if part))
        pki.write_private(path, pki.kubeconfig(self._layout.pki, name, {"token": token}, self.url))
        return path

    def certificate(self, certificate: pki.Certificate) -> tuple[Path, Path]:
        """One more certificate of the cluster's authority, and its key; made when missing."""
        paths = (self._layout.pki / f"{certificate.name}.crt", self._layout.pki / f"{certificate.name}.key")
        if not all(path.exists() for path in paths):
            pki.sign(self._layout.pki, certificate)
        return paths

    def node_kubeconfig(self, user: pki.Certificate) -> Path:
        """A kubeconfig for one that runs on a node, and reaches the API server by the nodes' network.

        Raises:
            ClusterError: this cluster stands in none.
        """
        if self._network is None:
            raise ClusterError(f"the devcluster in {self.folder} is on loopback, where no node reaches it")
        self.certificate(user)
        path = self._layout.kubeconfig(user.name)
        url = f"https://{self._network.address}:{self._ports.api}"
        pki.write_private(path, pki.client_kubeconfig(self._layout.pki, user, url))
        return path

    def service_account_token(self, namespace: str, name: str, *, node: str | None = None, audience: str = "") -> str:
        """A token alone, arguments as of `service_account_kubeconfig`; it is for the API server unless for another."""
        return issue_token(self.admin, namespace, name, node, audience=audience)

    @property
    def _ports(self) -> Ports:
        ports = self._layout.read_ports()
        if ports is None:
            raise ClusterError(f"there is no devcluster in {self.folder} yet; up() makes one")
        return ports

    def _make(self, ports: Ports) -> None:
        """Keys, kubeconfigs and folders. The ports are recorded last: until then `up` starts over."""
        layout = self._layout
        started = time.monotonic()
        for folder in (layout.pki, layout.etcd, layout.logs, layout.kubeconfigs, layout.kubectl_cache):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        pki.make(layout.pki, self._network.address if self._network else None)
        for user in pki.USERS:
            text = pki.client_kubeconfig(layout.pki, user, api_url(ports))
            pki.write_private(layout.kubeconfig(user.name), text)
        layout.write_ports(ports)
        log.info("keys made in %.1f s", time.monotonic() - started)

    def _start_all(self) -> None:
        for component in self.components.values():
            started = time.monotonic()
            component.start()
            log.info("%s ready after %.1f s", component.name, time.monotonic() - started)

    def _end_all(self) -> None:
        for pid in [pid for pid, _ in running(self.folder)]:
            end(pid)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _healthy(etcd_port: int) -> bool:
    """Whether etcd says so itself: a relay in front of it listens before it does."""
    connection = http.client.HTTPConnection("127.0.0.1", etcd_port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
