"""The product's container images, built on this machine without a registry.

`archives()` gives OCI archives, for `ctr --namespace k8s.io images import`.
"""

from .archives import COMPONENTS, archives, tag
from .errors import ImageError

__all__ = ["COMPONENTS", "ImageError", "archives", "tag"]
