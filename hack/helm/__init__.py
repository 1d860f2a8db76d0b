"""The real Helm, from its Go module: `Helm(home, kubeconfig)` runs it, `build()` gives the command's path."""

from .build import build
from .command import Helm
from .errors import HelmError

__all__ = ["Helm", "HelmError", "build"]
