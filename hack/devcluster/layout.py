"""Where a cluster keeps what: paths in its folder, and the ports it was given."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1, chosen once in a cluster's life."""

    api: int
    etcd: int
    etcd_peer: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of one cluster; nothing of it is outside its folder."""

    folder: Path
    """Absolute."""

    @property
    def ports_file(self) -> Path:
        """Written last of what a new cluster needs: while it is missing, all else is made anew."""
        return self.folder / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by who changes what runs."""
        return self.folder / "lock"

    @property
    def pki(self) -> Path:
        """Keys and certificates; see pki.py for the names."""
        return self.folder / "pki"

    @property
    def etcd(self) -> Path:
        """The database."""
        return self.folder / "etcd"

    @property
    def logs(self) -> Path:
        """One file per component."""
        return self.folder / "logs"

    @property
    def kubeconfigs(self) -> Path:
        """One file per user: admin, the components, service accounts."""
        return self.folder / "kubeconfigs"

    @property
    def kubectl_cache(self) -> Path:
        """The discovery cache. It is keyed by address and port, so a shared one could mix clusters up."""
        return self.folder / "kubectl-cache"

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.logs / f"{component}.log"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a user."""
        return self.kubeconfigs / f"{user}.yaml"

    def contents(self) -> list[Path]:
        """All that a cluster makes in its folder."""
        return [self.ports_file, self.pki, self.etcd, self.logs, self.kubeconfigs, self.kubectl_cache, self.lock]

    def read_ports(self) -> Ports | None:
        """The recorded ports; None for a cluster that was not made yet, or not to the end."""
        try:
            return Ports(**json.loads(self.ports_file.read_text()))
        except FileNotFoundError:
            return None

    def write_ports(self, ports: Ports) -> None:
        """Records the ports, all or nothing."""
        partial = self.ports_file.with_suffix(".tmp")
        partial.write_text(json.dumps(asdict(ports)))
        os.replace(partial, self.ports_file)
