"""What the operator knows of the cluster, kept equal to it by kopf's watches, our own writes, and sweeps."""

from __future__ import annotations

from hypernova_operator.cache.cache import Cache, Kept

__all__ = ["Cache", "Kept"]
