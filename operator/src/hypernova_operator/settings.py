"""What can be set about the operator."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path

from hypernova_kube.process.logs import Style


def _doc(text: str) -> dict[str, str]:
    return {"doc": text}


@dataclass(frozen=True, slots=True)
class Settings:
    """Hypernova's operator: finds a node for every Instance. Of several, one leads and the others stand by."""

    kubeconfig: Path | None = field(
        default=None, metadata=_doc("kubeconfig to use; else $KUBECONFIG, the Pod's service account, ~/.kube/config.")
    )
    namespace: str = field(
        default="hypernova-system", metadata=_doc("Namespace of the leader's Lease and of the node agents' Leases.")
    )
    identity: str = field(
        default_factory=socket.gethostname, metadata=_doc("Name of this operator in the Lease, Events and logs.")
    )
    workers: int = field(default=16, metadata=_doc("Instances worked on at once."))
    sweep_seconds: float = field(
        default=300.0, metadata=_doc("How often the cache is compared with the API server, in seconds.")
    )
    probe_host: str = field(default="127.0.0.1", metadata=_doc("Address /healthz, /readyz and /metrics are served at."))
    probe_port: int = field(default=8080, metadata=_doc("Port of /healthz, /readyz and /metrics; 0 takes a free one."))
    log_level: str = field(default="info", metadata=_doc("debug, info, warning or error."))
    log_format: Style = field(default="logfmt", metadata=_doc("How log lines are written."))
