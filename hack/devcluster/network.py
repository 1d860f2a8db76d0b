"""A network of nodes for a control plane to stand in, where kubelets and Pods reach it and it reaches them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace and a control plane's place in it.

    Only the components are in it, with a loopback of its own. The machine reaches their ports by a relay, at the same
    numbers of its own loopback.
    """

    namespace: Path
    """Of the kernel, e.g. `/proc/4711/ns/net`."""

    address: str
    """The control plane's IPv4 address, at which nodes and Pods find the API server."""

    def enter(self, *command: str) -> list[str]:
        """The command line that runs `command` in it; as the same process, no other stays around it."""
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise ClusterError("nsenter is missing; apt-get install util-linux")
        return [nsenter, f"--net={self.namespace}", "--", *command]
