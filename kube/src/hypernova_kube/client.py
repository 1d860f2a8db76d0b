"""The verbs of the API server, for any resource: plain dicts in and out, `errors.py` raised.

async with await Client.connect(component="agent") as client:
    node = await client.get(NODES, "node-a")
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import ClientWebSocketResponse

from hypernova_kube.credentials import log_in_from
from hypernova_kube.errors import BadRequest, Expired, Invalid, Unreachable, from_status
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Object, Resource
from hypernova_kube.transport import Request, Transport

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_LIST_TRIES = 3
_LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one watch event. etcd holds objects to 1.5 MiB; anything near this is no watch."""


class PatchType(StrEnum):
    """How the server is to read a patch."""

    MERGE = "application/merge-patch+json"
    """A dict laid over the object: None removes, a list replaces the whole list."""

    JSON = "application/json-patch+json"
    """A list of operations (RFC 6902), `test` among them."""

    APPLY = "application/apply-patch+yaml"
    """Server-side apply: a dict of just the fields that the field manager owns, taken by force."""


Patch = dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a list, and the resourceVersion from which a watch goes on."""

    items: list[Object]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch. A BOOKMARK's object has nothing but a resourceVersion."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


class Client:
    """One user's connection to one API server: `async with await Client.connect(component="agent") as client: ...`.

    Every verb can raise `Unreachable` and any `ApiError`, and ends within 30 s (except a watch). 429 answers are
    waited out, as the server asks, a few times, except by `create`.
    """

    def __init__(self, transport: Transport, metrics: Metrics) -> None:
        self._transport = transport
        self.metrics = metrics

    @property
    def clock_ahead(self) -> float:
        """Seconds by which our clock was ahead of the API server's at its last answer; 0 before there was one."""
        return self._transport.clock_ahead

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        *,
        context: str = "",
        component: str = "client",
        metrics: Metrics | None = None,
    ) -> Self:
        """Log in by `kubeconfig`; None: by $KUBECONFIG, else as the Pod we are in, else by ~/.kube/config.

        Args:
            kubeconfig: path of a kubeconfig.
            context: the kubeconfig's context to use; its current one if not given.
            component: who asks; part of the User-Agent, which audit logs and API server metrics show.
            metrics: where to count requests; what is made from this client counts there too.

        Raises:
            NoCredentials: there are none, or they are broken. Whether the server takes them is not asked.
        """
        log_in = log_in_from(kubeconfig, context=context)
        metrics = metrics or Metrics()
        user_agent = f"hypernova-{component}/{version('hypernova-operator')}"
        return cls(Transport(log_in, await log_in(), user_agent, metrics), metrics)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut all connections."""
        await self._transport.close()

    async def reconnect(self) -> None:
        """Cut all connections, for they may be dead without knowing it: what is under way is `Unreachable`."""
        await self._transport.reconnect()

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """One object, as it is now."""
        return await self._object(Request("get", resource.plural, "GET", resource.path(namespace, name)))

    async def get_raw(self, path: str) -> str:
        """The text that an endpoint answers which is no resource, e.g. `/readyz` or `/metrics`."""
        return (await self.get_bytes(path)).decode()

    async def get_bytes(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """As `get_raw`, what is no text: e.g. a picture."""
        return await self._transport.send(Request("get", "", "GET", path, params or {}, accept="*/*"))

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing:
        """All objects (of a namespace) that match, as they are now, without managedFields; read page by page."""
        request = Request("list", resource.plural, "GET", resource.path(namespace))
        return await self._list(request, resource, _selectors(label_selector, field_selector), page_size)

    async def list_metadata(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing:
        """As `list`, but of each object only its metadata is sent."""
        request = Request("list", resource.plural, "GET", resource.path(namespace), accept=_METADATA_ONLY)
        return await self._list(request, resource, _selectors(label_selector, field_selector), page_size)

    async def current_version(self, resource: Resource, *, namespace: str = "", field_selector: str = "") -> int:
        """The version that a kind is at: whatever was written before is of no higher one.

        It is that of the whole kind in any case. A namespace or a name is for those who may list no more than that.
        """
        params = {"limit": "1", **_selectors("", field_selector)}
        request = Request("list", resource.plural, "GET", resource.path(namespace), params, accept=_METADATA_ONLY)
        return int((await self._object(request))["metadata"]["resourceVersion"])

    async def stream(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """As `list`, but one by one, each ADDED; last comes a BOOKMARK of the version from which a watch goes on.

        The API server takes all from its cache, where it reads each page of a list but the first from etcd, and
        neither it nor we hold more than one object: a tenth of the time for 50,000. Close it when leaving it early.
        """
        params = {
            "watch": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            **_selectors(label_selector, field_selector),
        }
        try:
            async with aclosing(self._events(resource, namespace, params)) as events:
                async for event in events:
                    is_end = event.type == "BOOKMARK" and _INITIAL_EVENTS_END in event.object["metadata"].get(
                        "annotations", {}
                    )
                    if is_end or event.type != "BOOKMARK":
                        yield event
                    if is_end:
                        return
        except (BadRequest, Invalid):
            # A server without WatchList, which 1.33 is unless told otherwise.
            listing = await self.list(
                resource, namespace=namespace, label_selector=label_selector, field_selector=field_selector
            )
            for obj in listing.items:
                yield WatchEvent("ADDED", obj)
            yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": listing.resource_version}})
        else:
            raise Unreachable(f"list of {resource.plural}: it broke off")

    async def watch(
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
        """Every change after `resource_version`, until the server ends the watch after `timeout_seconds`.

        Close it (`contextlib.aclosing`) when leaving it early. Silence is not an error here: the caller knows how
        long it may last.

        Raises:
            Expired: the server no longer knows what came after `resource_version`. List again.
        """
        params = {
            "watch": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, round(timeout_seconds))),
            "allowWatchBookmarks": str(bookmarks).lower(),
            **_selectors(label_selector, field_selector),
        }
        async with aclosing(self._events(resource, namespace, params)) as events:
            async for event in events:
                yield event

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object; returns it as stored.

        Raises:
            AlreadyExists: one of that name is there.
            Invalid: schema, CEL or admission refused it.
        """
        path = resource.path(obj["metadata"].get("namespace", ""))
        return await self._object(Request("create", resource.plural, "POST", path, body=_json(obj)))

    async def create_at(self, resource: Resource, name: str, obj: Object, namespace: str, subresource: str) -> Object:
        """POST to a subresource, as one asks for a token; returns the answer."""
        path = resource.path(namespace, name, subresource)
        return await self._object(Request("create", _labelled(resource, subresource), "POST", path, body=_json(obj)))

    def websocket(
        self,
        resource: Resource,
        name: str,
        namespace: str,
        subresource: str,
        params: Mapping[str, str],
        *,
        longest_message: int,
    ) -> AbstractAsyncContextManager[ClientWebSocketResponse]:
        """A WebSocket to a subresource, kept awake by pings and closed when the block is left.

        Args:
            resource: what it is.
            name: which it is.
            namespace: where it is.
            subresource: e.g. `serial`.
            params: of the query.
            longest_message: bytes of a message that are taken; a longer one ends the connection with code 1009.

        Raises:
            ApiError: refused before it was one; what comes later is in its close code.
        """
        path = resource.path(namespace, name, subresource)
        request = Request("connect", _labelled(resource, subresource), "GET", path, params)
        return self._transport.websocket(request, longest_message)

    async def replace(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        """Put `obj` in the place of the object of its name; returns it as stored.

        Raises:
            Conflict: the stored one has another resourceVersion than `obj` (which need not carry one) or uid.
        """
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._object(Request("update", _labelled(resource, subresource), "PUT", path, body=_json(obj)))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Patch,
        namespace: str = "",
        *,
        subresource: str = "",
        kind: PatchType = PatchType.MERGE,
        field_manager: str = "",
    ) -> Object:
        """Change an object; returns it as stored.

        Args:
            resource: what it is.
            name: which it is.
            patch: a dict for MERGE and APPLY (then with apiVersion and kind), a list of operations for JSON.
            namespace: where it is.
            subresource: e.g. `status`.
            kind: how to read `patch`.
            field_manager: who owns the fields from now on; APPLY needs it.

        Raises:
            Conflict: `patch` carries metadata.resourceVersion (or uid), and the stored object has another.
            Invalid: refused by schema, CEL or admission; or a `test` operation of a JSON patch did not hold.
        """
        params = {"fieldManager": field_manager} if field_manager else {}
        if kind is PatchType.APPLY:
            # A controller has no one to ask when another manager owns a field: it states what must be.
            params["force"] = "true"
        path = resource.path(namespace, name, subresource)
        return await self._object(
            Request("patch", _labelled(resource, subresource), "PATCH", path, params, _json(patch), kind)
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_seconds: int | None = None,
    ) -> None:
        """Ask for deletion; the object stays for as long as it has finalizers.

        Args:
            resource: what it is.
            name: which it is.
            namespace: where it is.
            uid: delete that very object, not another that has come to bear its name.
            grace_seconds: for kinds that end gracefully (Pods).

        Raises:
            NotFound: it is gone already.
            Conflict: the object has another uid.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        path = resource.path(namespace, name)
        await self._transport.send(Request("delete", resource.plural, "DELETE", path, body=_json(options)))

    async def _events(
        self, resource: Resource, namespace: str, params: dict[str, str]
    ) -> AsyncGenerator[WatchEvent, None]:
        request = Request("watch", resource.plural, "GET", resource.path(namespace), params)
        async with self._transport.stream(request) as chunks:
            pending = bytearray()
            async for chunk in chunks:
                pending += chunk
                if b"\n" in chunk:
                    *lines, pending = pending.split(b"\n")
                    for line in lines:
                        yield _event(request, line)
                elif len(pending) > _LONGEST_LINE:
                    raise Unreachable(f"watch of {resource.plural}: an event of more than {_LONGEST_LINE} bytes")

    async def _object(self, request: Request) -> Object:
        return _parsed(request, await self._transport.send(request))

    async def _list(self, request: Request, resource: Resource, params: dict[str, str], page_size: int) -> Listing:
        for tries_left in reversed(range(_LIST_TRIES)):
            try:
                # The last try asks for everything at once: a list without pages cannot expire between them.
                return await self._list_pages(request, resource, params, page_size if tries_left else 0)
            except Expired:
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _list_pages(
        self, request: Request, resource: Resource, params: dict[str, str], page_size: int
    ) -> Listing:
        items: list[Object] = []
        params = {**params, "limit": str(page_size)} if page_size else params
        while True:
            page = await self._object(replace(request, params=params))
            for item in page["items"] or []:  # an empty list of metadata comes as null
                # The server leaves these out of most lists; whoever keeps an item wants them.
                items.append(_slim({**item, "apiVersion": resource.api_version, "kind": resource.kind}))
            if not page["metadata"].get("continue"):
                return Listing(items, page["metadata"]["resourceVersion"])
            params = {**params, "continue": page["metadata"]["continue"]}


def _parsed(request: Request, body: bytes | bytearray) -> Object:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        # Something between us and the API server answered in its stead.
        raise Unreachable(f"{request.method} {request.path}: the answer is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Unreachable(f"{request.method} {request.path}: the answer is no object")
    return parsed


def _event(request: Request, line: bytes | bytearray) -> WatchEvent:
    event = _parsed(request, line)
    if event["type"] == "ERROR":
        raise from_status(event["object"])
    return WatchEvent(event["type"], _slim(event["object"]))


def _slim(obj: Object) -> Object:
    # A quarter of an object's bytes, and nobody reads them.
    obj["metadata"].pop("managedFields", None)
    return obj


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: selector for name, selector in selectors.items() if selector}


def _labelled(resource: Resource, subresource: str) -> str:
    return f"{resource.plural}/{subresource}" if subresource else resource.plural


def _json(obj: Patch) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()
