"""An API server in memory, with the verbs of `hypernova_kube.client.Client`, for tests in virtual time.

It knows resourceVersions, uids and their conflicts, and lists and watches whole resources for reflectors; it knows
nothing of schemas and selectors. What a test is to prove about the real
server is proved on the real one.
"""

import asyncio
import copy
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from hypernova_kube.client import Listing, PatchType, WatchEvent
from hypernova_kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Key, Object, Resource, key_of


@dataclass(frozen=True)
class Trouble:
    """What befalls one request."""

    before: float = 0.0
    """Seconds until the server has it. Then it is done, even if nobody waits for the answer any more."""

    refused: Exception | None = None
    """Raised instead of doing it."""

    after: float = 0.0
    """Seconds until the answer is back."""

    lost: Exception | None = None
    """Raised instead of the answer."""


class FakeApi:
    """The stored objects, and a log of requests."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, Key], Object] = {}
        self.requests: list[str] = []
        self.history: list[tuple[str, WatchEvent]] = []
        """All that ever happened, by the plural of the resource."""

        self.version = 0
        """The version of the last change."""

        self._happened: asyncio.Event | None = None

    def client(self, trouble: Callable[[str], Trouble | None] = lambda verb: None) -> "FakeClient":
        """One client; `trouble` is asked for each of its requests, by verb."""
        return FakeClient(self, trouble)

    def put(self, resource: Resource, obj: Object) -> Object:
        """Store, as if somebody had written it; a new object keeps the UID it brings."""
        version = self.version + 1
        key = key_of(obj)
        before = self.stored.get((resource.plural, key))
        uid = before["metadata"]["uid"] if before else obj["metadata"].get("uid", f"uid-{version}")
        metadata = {"generation": 1, **obj["metadata"], "uid": uid, "resourceVersion": str(version)}
        stored = {"apiVersion": resource.api_version, "kind": resource.kind, **obj, "metadata": metadata}
        self.stored[resource.plural, key] = copy.deepcopy(stored)
        self._tell(resource, "MODIFIED" if before else "ADDED", stored)
        return stored

    def drop(self, resource: Resource, key: Key) -> Object:
        """Delete, as if somebody had done it; no finalizer holds it."""
        gone = self.find(resource, key)
        del self.stored[resource.plural, key]
        gone["metadata"]["resourceVersion"] = str(self.version + 1)
        self._tell(resource, "DELETED", gone)
        return gone

    def find(self, resource: Resource, key: Key) -> Object:
        """The stored object, or NotFound."""
        try:
            return copy.deepcopy(self.stored[resource.plural, key])
        except KeyError:
            raise NotFound(404, "NotFound", f"{resource.plural} {key} not found") from None

    async def happening(self) -> None:
        """Until something changes."""
        if self._happened is None:
            self._happened = asyncio.Event()
        await self._happened.wait()

    def _tell(self, resource: Resource, type_: Literal["ADDED", "MODIFIED", "DELETED"], obj: Object) -> None:
        self.version += 1
        self.history.append((resource.plural, WatchEvent(type_, copy.deepcopy(obj))))
        if self._happened is not None:
            self._happened.set()
            self._happened = None


class FakeClient:
    """Stands in for a Client."""

    def __init__(self, api: FakeApi, trouble: Callable[[str], Trouble | None]) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.reconnects = 0
        self.clock_ahead = 0.0
        self._api = api
        self._trouble = trouble

    async def reconnect(self) -> None:
        self.reconnects += 1

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return await self._ask("get", lambda: self._api.find(resource, Key(namespace, name)))

    async def current_version(self, resource: Resource, **_selectors: str) -> int:
        return self._api.version

    async def list(self, resource: Resource, **_selectors: str) -> Listing:
        found = [copy.deepcopy(obj) for (plural, _), obj in self._api.stored.items() if plural == resource.plural]
        return Listing(found, str(self._api.version))

    async def stream(self, resource: Resource, **_selectors: str) -> AsyncGenerator[WatchEvent, None]:
        for (plural, _), obj in list(self._api.stored.items()):
            if plural == resource.plural:
                yield WatchEvent("ADDED", copy.deepcopy(obj))
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(self._api.version)}})

    async def watch(
        self, resource: Resource, *, resource_version: str, timeout_seconds: float = 300.0, **_selectors: str
    ) -> AsyncGenerator[WatchEvent, None]:
        seen = int(resource_version)
        while True:
            for plural, event in self._api.history[seen:]:
                seen += 1
                if plural == resource.plural:
                    yield event
            await self._api.happening()

    async def create(self, resource: Resource, obj: Object) -> Object:
        def create() -> Object:
            if (resource.plural, key_of(obj)) in self._api.stored:
                raise AlreadyExists(409, "AlreadyExists", f"{key_of(obj)} already exists")
            return self._api.put(resource, obj)

        return await self._ask("create", create)

    async def replace(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        def replace() -> Object:
            stored = self._api.find(resource, key_of(obj))
            if stored["metadata"]["resourceVersion"] != obj["metadata"].get("resourceVersion"):
                raise Conflict(409, "Conflict", f"{key_of(obj)} has been modified")
            return self._api.put(resource, obj)

        return await self._ask("replace", replace)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        subresource: str = "",
        kind: PatchType = PatchType.MERGE,
    ) -> Object:
        def patched() -> Object:
            stored = self._api.find(resource, Key(namespace, name))
            if kind is PatchType.JSON:
                return self._api.put(resource, _operated(stored, patch))
            expected = patch.get("metadata", {}).get("resourceVersion")
            if expected not in (None, stored["metadata"]["resourceVersion"]):
                raise Conflict(409, "Conflict", f"{key_of(stored)} has been modified")
            return self._api.put(resource, _merged(stored, patch))

        return await self._ask("patch", patched)

    async def delete(self, resource: Resource, name: str, namespace: str = "", *, uid: str = "") -> None:
        def deleted() -> Object:
            stored = self._api.find(resource, Key(namespace, name))
            if uid not in ("", stored["metadata"]["uid"]):
                raise Conflict(409, "Conflict", f"{key_of(stored)} has another uid")
            return self._api.drop(resource, key_of(stored))

        await self._ask("delete", deleted)

    async def _ask(self, verb: str, effect: Callable[[], Object]) -> Object:
        trouble = self._trouble(verb) or Trouble()

        async def serve() -> Object:
            await asyncio.sleep(trouble.before)
            if trouble.refused:
                raise trouble.refused
            self._api.requests.append(verb)
            answer = effect()
            await asyncio.sleep(trouble.after)
            if trouble.lost:
                raise trouble.lost
            return answer

        served = asyncio.create_task(serve())
        served.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be left to see it
        return await asyncio.shield(served)


def _merged(into: Any, patch: Any) -> Any:
    if not isinstance(patch, dict) or not isinstance(into, dict):
        return patch
    merged = {**into, **{key: _merged(into.get(key), value) for key, value in patch.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def _operated(obj: Object, operations: list[Any]) -> Object:
    """After the operations `test` and `replace` of a JSON patch."""
    result = copy.deepcopy(obj)
    for each in operations:
        *parents, last = (int(part) if part.isdigit() else part for part in each["path"].split("/")[1:])
        into: Any = result
        for part in parents:
            into = into[part]
        if each["op"] == "replace":
            into[last] = each["value"]
        elif into[last] != each["value"]:
            raise Invalid(422, "Invalid", f"{each['path']} is {into[last]!r}")
    return result
