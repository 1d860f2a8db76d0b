"""What the API server serves: resources, the names of their objects, and the paths to both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self

Object = dict[str, Any]
"""A Kubernetes object as its JSON: `{"apiVersion": ..., "kind": ..., "metadata": {...}, ...}`."""


class Key(NamedTuple):
    """The name of an object among those of its resource. The namespace is `""` for cluster-scoped ones."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Mapping[str, Any]) -> Key:
    """The key of an object that has been stored (and so has a name)."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


class KindClass(Protocol):
    """What a class that models a kind says of itself. The models of `api/` do."""

    group: ClassVar[str]
    version: ClassVar[str]
    kind: ClassVar[str]
    plural: ClassVar[str]
    namespaced: ClassVar[bool]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server serves it, e.g. `Resource("coordination.k8s.io", "v1", "leases", "Lease")`."""

    group: str
    """API group; `""` for the core group."""

    version: str
    plural: str
    """The name in paths: lower case, plural."""

    kind: str
    namespaced: bool = True

    @classmethod
    def of(cls, kind: type[KindClass]) -> Self:
        """The resource of a class that models a kind."""
        return cls(kind.group, kind.version, kind.plural, kind.kind, kind.namespaced)

    @property
    def api_version(self) -> str:
        """As objects carry it: `group/version`, or `version` alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection (no name), of an object, or of a subresource of it.

        No namespace means all namespaces, which only a collection can span.

        Raises:
            ValueError: an object of a namespaced kind was named without its namespace, or the reverse.
        """
        if namespace and not self.namespaced:
            raise ValueError(f"{self.kind} is cluster-scoped, but namespace {namespace!r} was given")
        if name and self.namespaced and not namespace:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)


EVENTS = Resource("", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
