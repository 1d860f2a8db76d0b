"""The real Helm, from its Go module: `build()` gives the path of its command."""

from .build import HelmError, build

__all__ = ["HelmError", "build"]
