"""What goes wrong when images are built."""

from __future__ import annotations


class ImageError(RuntimeError):
    """An image cannot be had; the message says why."""
