"""Helm as users run it, towards one cluster or none."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .build import build
from .errors import HelmError


@dataclass(frozen=True, slots=True)
class Helm:
    """The helm command with a kubeconfig and a home of its own: what other helms and clusters have left is not seen."""

    home: Path
    """Folder for what helm and its discovery of a cluster keep; one for each cluster."""

    kubeconfig: Path | None = None
    """Of the cluster; None for what needs none, as `template` and `lint`."""

    def __call__(self, *arguments: str, timeout: float = 120) -> str:
        """Run helm and return what it printed.

        Args:
            arguments: as on the command line, e.g. `"list", "--all-namespaces"`.
            timeout: seconds.

        Raises:
            HelmError: helm failed, with what it said, or took too long.
        """
        environment = {
            "HELM_CACHE_HOME": str(self.home / "cache"),
            "HELM_CONFIG_HOME": str(self.home / "config"),
            "HELM_DATA_HOME": str(self.home / "data"),
            "KUBECACHEDIR": str(self.home / "kube"),
            "KUBECONFIG": str(self.kubeconfig or os.devnull),
        }
        command = " ".join(["helm", *arguments])
        try:
            done = subprocess.run(
                [build(), *arguments], env=os.environ | environment, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise HelmError(f"{command} took more than {timeout:g} s") from None
        if done.returncode != 0:
            raise HelmError(f"{command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout
