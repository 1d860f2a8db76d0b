"""The agent's settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hypernova_api.quantity import Quantity

_ADDRESS = re.compile(r"([-.0-9A-Za-z]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Runs the Instances bound to one node in its libvirt."""

    node_name: str = field(metadata={"doc": "Name of the Node this agent runs on."})

    namespace: str = field(default="hypernova-system", metadata={"doc": "Namespace of the agent's Lease."})

    kubeconfig: Path | None = field(
        default=None, metadata={"doc": "How to reach the API server. Without it: $KUBECONFIG, else as a Pod does."}
    )

    libvirt_uri: str = field(default="qemu:///system", metadata={"doc": "Where libvirt listens."})

    domain_type: Literal["kvm", "qemu"] | None = field(
        default=None, metadata={"doc": "Type of all domains. Without it: kvm where the host offers it, else qemu."}
    )

    reserved_memory: str = field(
        default="512Mi", metadata={"doc": "Memory kept from Instances, for the host itself and QEMU's own."}
    )

    probe_host: str = field(default="127.0.0.1", metadata={"doc": "Address of /healthz, /readyz and /metrics."})

    probe_port: int = field(
        default=8082, metadata={"doc": "Port of /healthz, /readyz and /metrics; 0 takes a free one."}
    )

    console_address: str = field(
        default="",
        metadata={"doc": "Address that console proxies find this agent at. Without it guests have no consoles."},
    )

    console_host: str = field(
        default="0.0.0.0",  # noqa: S104 - it answers nobody but console proxies, and these are on other nodes
        metadata={"doc": "Address to listen on for console proxies."},
    )

    console_port: int = field(
        default=8084, metadata={"doc": "Port to listen on for console proxies; 0 takes a free one."}
    )

    conductor_address: str = field(
        default="",
        metadata={"doc": "Where the conductor is, as HOST:PORT. Without it no guest gets user data from a Secret."},
    )

    conductor_token_file: Path = field(
        default=Path("/var/run/secrets/hypernova.dev/conductor/token"),
        metadata={"doc": "Token to show the conductor, of audience hypernova-conductor; read anew each time."},
    )

    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata={"doc": "Least severity that is logged."}
    )

    log_format: Literal["logfmt", "json"] = field(default="logfmt", metadata={"doc": "How log lines are written."})

    def __post_init__(self) -> None:
        try:
            Quantity(self.reserved_memory)
        except ValueError as error:
            raise ValueError(f"--reserved-memory: {error}") from error
        if self.conductor_address and not _ADDRESS.fullmatch(self.conductor_address):
            raise ValueError(f"--conductor-address: {self.conductor_address!r} is not HOST:PORT")
