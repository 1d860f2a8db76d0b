"""Answers CertificateSigningRequests: approves and signs what the rules allow, denies the rest and says why."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime

from hypernova_kube.backoff import Backoff
from hypernova_kube.certificates.request import REQUESTS
from hypernova_kube.client import Client
from hypernova_kube.errors import Conflict, NotFound
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import NODES, Key, Object, Resource
from hypernova_operator.controllers.signing import rules
from hypernova_operator.controllers.signing.authority import Authority, Contents
from hypernova_operator.controllers.signing.keeping import Keeper
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

PODS = Resource("", "v1", "pods", "Pod")

WORKERS = 4

RETRY_SECONDS = 5.0
"""After which a request is looked at again for which there is no authority yet."""


class RequestSigner:
    """Answers as the leader. Of two that answer at once the API server takes the first one's word, and no other."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        keeper: Keeper,
        metrics: Metrics,
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._keeper = keeper
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._requests = Reflector(client, REQUESTS, self._on_change)
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile,
            workers=WORKERS,
            backoff=Backoff(base=0.5, cap=60.0),
            name="certificates",
            metrics=client.metrics,
        )

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._requests.run(), name="requests")
            group.create_task(self._queue.run(), name="certificates")

    async def reconcile(self, key: Key) -> float | None:
        """One request; for a work queue.

        Raises:
            KubeError: try again later.
        """
        try:
            obj = await self._client.get(REQUESTS, key.name)
            if not rules.is_open(obj):
                return None
            authority = self._keeper.authority
            if authority is None:
                return RETRY_SECONDS
            try:
                contents = rules.decide(obj, self._namespace, await self._addresses(obj))
            except rules.Denied as denied:
                await self._deny(obj, denied)
            else:
                await self._sign(obj, contents, authority)
        except Conflict:
            return 0.0  # somebody else has written meanwhile: see what
        except NotFound:
            return None  # who asked is answered by that
        return None

    def _on_change(self, change: Change) -> None:
        if change.new is not None and rules.is_open(change.new):
            self._queue.add(change.key)

    async def _addresses(self, obj: Object) -> frozenset[rules.Address]:
        """The addresses that the requester may call its own, as the API server knows them now.

        Raises:
            rules.Denied: the node that it claims to be on is not there.
        """
        claimed = rules.claim(obj)
        if claimed is None:
            return frozenset()
        try:
            node = await self._client.get(NODES, claimed.node)
        except NotFound:
            raise rules.Denied("NoNode", f"there is no node {claimed.node}") from None
        return rules.addresses_of(claimed, node, await self._pod(claimed.pod))

    async def _pod(self, name: str) -> Object | None:
        try:
            return await self._client.get(PODS, name, self._namespace) if name else None
        except NotFound:
            return None

    async def _sign(self, obj: Object, contents: Contents, authority: Authority) -> None:
        name, signer = obj["metadata"]["name"], obj["spec"]["signerName"]
        if not _has(obj, "Approved"):
            obj = await self._client.patch(
                REQUESTS, name, _with(obj, "Approved", "Allowed", _told(contents)), subresource="approval"
            )
        certificate = base64.b64encode(authority.issue(contents, self._wall_clock())).decode()
        version = obj["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "status": {"certificate": certificate}}
        await self._client.patch(REQUESTS, name, patch, subresource="status")
        self._metrics.certificates_signed.labels(signer).inc()
        log.info("certificate signed", signer=signer, name=name, message=_told(contents))

    async def _deny(self, obj: Object, denied: rules.Denied) -> None:
        name, signer = obj["metadata"]["name"], obj["spec"]["signerName"]
        # What somebody has approved by hand can't be denied any more: it fails.
        type_, subresource = ("Failed", "status") if _has(obj, "Approved") else ("Denied", "approval")
        await self._client.patch(REQUESTS, name, _with(obj, type_, denied.reason, str(denied)), subresource=subresource)
        self._metrics.certificates_denied.labels(signer, denied.reason).inc()
        log.warning(
            "certificate denied",
            signer=signer,
            name=name,
            user=obj["spec"].get("username", ""),
            reason=denied.reason,
            message=str(denied),
        )


def _has(obj: Object, type_: str) -> bool:
    return any(condition["type"] == type_ for condition in obj.get("status", {}).get("conditions", []))


def _with(obj: Object, type_: str, reason: str, message: str) -> Object:
    """A patch that adds a condition to a request, provided that nobody has written it since."""
    condition = {"type": type_, "status": "True", "reason": reason, "message": message}
    conditions = [*obj.get("status", {}).get("conditions", []), condition]
    return {
        "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
        "status": {"conditions": conditions},
    }


def _told(contents: Contents) -> str:
    names = ", ".join([*contents.dns_names, *map(str, contents.addresses)])
    return f"for {names}, {contents.seconds} s"
