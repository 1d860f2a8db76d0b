"""Our programs as processes, with the rights of their ServiceAccounts, asked through their probes."""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.devcluster.ports import reserved
from hack.devcluster.process import Component
from hack.lab import Host
from hypernova_api.certificates import AGENT_ACCOUNT, CONSOLE_ACCOUNT
from hypernova_api.conductor import AUDIENCE

READY_SECONDS = 60.0
STACKS_SECONDS = 3.0
LOOPBACK = "127.0.0.1"


class Program:
    """One of our programs. Any object made for the same folder and name speaks of the same process."""

    def __init__(self, folder: Path, name: str, module: str, *flags: str) -> None:
        """A program that has not been started.

        Args:
            folder: where its log is; makes the name unique on the machine.
            name: of the process.
            module: what to run.
            flags: beside namespace and probe port.
        """
        self.name = name
        self._port = kept_port(folder / f"{name}.port")
        self._component = Component(
            name=name,
            folder=folder,
            binary=Path(sys.executable),
            arguments=[
                *(sys.executable, "-m", module),
                *("--namespace", NAMESPACE, "--probe-host", LOOPBACK, "--probe-port", str(self._port)),
                *flags,
            ],
            log=folder / f"{name}.log",
            ready=lambda: self.answers("/readyz"),
            ready_seconds=READY_SECONDS,
        )

    def start(self) -> None:
        """Start it, if it does not run, and return when it is ready."""
        self._component.start()

    def stop(self, *, kill: bool = False) -> None:
        """End it: SIGTERM as a rollout does, or SIGKILL as a power cut does."""
        self._component.stop(kill=kill)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, e.g. SIGSTOP to let it hang.

        Raises:
            ProcessLookupError: it does not run.
        """
        if self.pid is None:
            raise ProcessLookupError(self.name)
        pidfd = os.pidfd_open(self.pid)
        try:
            signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)

    @property
    def pid(self) -> int | None:
        """Its process; None when it does not run."""
        return self._component.pid

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._component.log.read_text()

    def last_words(self) -> str:
        """The end of its log, with the file's path."""
        return self._component.last_words()

    def where(self) -> str:
        """What all its threads and tasks are doing now; empty when it does not run."""
        before = len(self.log)
        try:
            self.signal(signal.SIGUSR1)
        except ProcessLookupError:
            return ""
        deadline = time.monotonic() + STACKS_SECONDS
        # The tasks come last, and only if the event loop runs.
        while not (told := self.log[before:]).endswith(" tasks\n") and time.monotonic() < deadline:
            time.sleep(0.05)
        return told

    def answers(self, path: str) -> bool:
        """Whether a probe, `/healthz` or `/readyz`, succeeds."""
        try:
            self._text(path)
        except OSError:
            return False
        return True

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each sample of a metric."""
        return [
            (sample.labels, sample.value)
            for family in text_string_to_metric_families(self._text("/metrics"))
            for sample in family.samples
            if sample.name == name
        ]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry the labels."""
        return sum(value for found, value in self.samples(name) if labels.items() <= found.items())

    def _text(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
            return str(answer.read().decode())


def operator(cluster: Cluster, folder: Path, name: str, *flags: str, kubeconfig: Path | None = None) -> Program:
    """An operator; of several, one leads."""
    kubeconfig = kubeconfig or cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
    return Program(
        folder,
        name,
        "hypernova_operator",
        *("--kubeconfig", str(kubeconfig), "--identity", name),
        *("--conductor-host", LOOPBACK, "--conductor-port", str(conductor_port(folder, name))),
        *flags,
    )


def agent(
    cluster: Cluster, host: Host, folder: Path, node: str, *flags: str, kubeconfig: Path | None = None
) -> Program:
    """The agent of a lab host, with the rights of a Pod on the Node."""
    kubeconfig = kubeconfig or agent_kubeconfig(cluster, node)
    return Program(
        folder,
        f"agent-{node}",
        "hypernova_agent",
        *("--kubeconfig", str(kubeconfig), "--node-name", node, "--libvirt-uri", host.libvirt_uri),
        *("--console-host", LOOPBACK, "--console-address", LOOPBACK),
        *("--console-port", str(kept_port(folder / f"agent-{node}.console-port"))),
        # KVM is there on some machines and boots no Linux guest on all of them; emulation does everywhere.
        *("--domain-type", "qemu"),
        *flags,
    )


def console(cluster: Cluster, folder: Path, name: str, *flags: str, kubeconfig: Path | None = None) -> Program:
    """A console proxy; of several, each takes any viewer."""
    kubeconfig = kubeconfig or cluster.service_account_kubeconfig(NAMESPACE, CONSOLE_ACCOUNT)
    return Program(
        folder,
        name,
        "hypernova_console",
        *("--kubeconfig", str(kubeconfig)),
        *("--api-host", LOOPBACK, "--api-port", str(kept_port(folder / f"{name}.api-port"))),
        *("--web-host", LOOPBACK, "--web-port", str(kept_port(folder / f"{name}.web-port"))),
        *flags,
    )


def conductor_port(folder: Path, operator: str) -> int:
    """Where an operator of that name serves agents."""
    return kept_port(folder / f"{operator}.conductor-port")


def conductor_flags(cluster: Cluster, folder: Path, node: str, operator: str = "operator") -> tuple[str, ...]:
    """What has a node's agent ask an operator for user data in Secrets."""
    token = folder / f"agent-{node}.conductor-token"
    token.parent.mkdir(parents=True, exist_ok=True)
    token.write_text(cluster.service_account_token(NAMESPACE, AGENT_ACCOUNT, node=node, audience=AUDIENCE))
    address = f"{LOOPBACK}:{conductor_port(folder, operator)}"
    return ("--conductor-address", address, "--conductor-token-file", str(token))


def agent_kubeconfig(cluster: Cluster, node: str) -> Path:
    """What a node's agent logs in with."""
    return cluster.service_account_kubeconfig(NAMESPACE, "hypernova-node-agent", node=node)


def kept_port(file: Path) -> int:
    """The port in a file; a free one of loopback is chosen and written when there is none yet."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with reserved(1) as (port,):
            file.write_text(f"{port}\n")
    return int(file.read_text())
