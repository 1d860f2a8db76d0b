"""The API server is told whom to trust as the console proxy: our authority, in the APIService of the proxy's API."""

from __future__ import annotations

import asyncio
import base64

from hypernova_api.console import SUBRESOURCES_GROUP
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Key, Resource
from hypernova_operator.controllers.signing.keeping import Keeper

log = get_logger(__name__)

API_SERVICES = Resource("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)

CONSOLE_API = Key("", f"v1alpha1.{SUBRESOURCES_GROUP}")


class CaBundle:
    """Keeps spec.caBundle of the APIService equal to the authority, as the leader, for as long as there is one."""

    def __init__(self, client: Client, keeper: Keeper) -> None:
        self._client = client
        self._keeper = keeper
        self._services = Reflector(
            client, API_SERVICES, self._on_change, field_selector=f"metadata.name={CONSOLE_API.name}"
        )
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile,
            workers=1,
            backoff=Backoff(base=0.5, cap=60.0),
            name="ca-bundle",
            metrics=client.metrics,
        )
        keeper.subscribe(lambda: self._queue.add(CONSOLE_API))

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run(), name="api-service")
            group.create_task(self._queue.run(), name="ca-bundle")

    async def reconcile(self, key: Key) -> None:
        """The APIService; for a work queue.

        Raises:
            KubeError: try again later.
        """
        service, authority = self._services.objects.get(key), self._keeper.authority
        if service is None or authority is None:
            return
        bundle = base64.b64encode(authority.bundle.encode()).decode()
        if service["spec"].get("caBundle") == bundle:
            return
        try:
            # With a bundle, the API server takes no word that nothing need be verified.
            patch = {"spec": {"caBundle": bundle, "insecureSkipTLSVerify": None}}
            await self._client.patch(API_SERVICES, key.name, patch)
        except NotFound:
            return
        log.info("API server told whom to trust", resource=API_SERVICES.plural, name=key.name)

    def _on_change(self, change: Change) -> None:
        if change.new is not None:
            self._queue.add(change.key)
