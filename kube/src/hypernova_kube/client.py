"""The verbs of the API server. (Signatures; the bodies follow.)"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Object, Resource


class PatchType(StrEnum):
    """How a patch is to be read by the server."""

    MERGE = "application/merge-patch+json"
    """A dict laid over the object; None removes; lists are replaced whole."""
    JSON = "application/json-patch+json"
    """A list of operations (RFC 6902), `test` among them."""
    APPLY = "application/apply-patch+yaml"
    """Server-side apply: the fields `field_manager` wants to own, taken by force."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the resourceVersion a watch can go on from."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Client:
    """A connection to one API server. `async with await Client.connect(component="agent") as client: ...`."""

    metrics: Metrics

    @classmethod
    async def connect(
        cls, kubeconfig: Path | None = None, *, component: str = "client", metrics: Metrics | None = None
    ) -> Self:
        """Log in (None: $KUBECONFIG, else in-cluster, else ~/.kube/config)."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut all connections."""

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object."""
        raise NotImplementedError

    async def get_raw(self, path: str) -> str:
        """The text at a path, e.g. `/readyz`, `/metrics`."""
        raise NotImplementedError

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing:
        """All objects, page by page."""
        raise NotImplementedError

    async def list_metadata(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing:
        """All objects, but only their metadata (`PartialObjectMetadata`)."""
        raise NotImplementedError

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: float = 300.0,
        bookmarks: bool = True,
    ) -> AsyncGenerator[WatchEvent, None]:
        """Every change after `resource_version`, until the server ends it after `timeout_seconds`."""
        raise NotImplementedError

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create; the stored object is returned."""
        raise NotImplementedError

    async def replace(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        """Replace, under the resourceVersion that `obj` carries."""
        raise NotImplementedError

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: dict[str, Any] | list[dict[str, Any]],
        namespace: str = "",
        *,
        subresource: str = "",
        kind: PatchType = PatchType.MERGE,
        field_manager: str = "",
    ) -> Object:
        """Patch; the stored object is returned. A merge patch with metadata.resourceVersion is conditional."""
        raise NotImplementedError

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Ask for deletion; with `uid`, only of that very object (else Conflict)."""
        raise NotImplementedError
