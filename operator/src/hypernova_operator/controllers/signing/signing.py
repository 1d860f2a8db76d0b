"""All that the leader does for certificates."""

from __future__ import annotations

import asyncio

from hypernova_kube.client import Client
from hypernova_operator.controllers.signing.ca_bundle import CaBundle
from hypernova_operator.controllers.signing.keeping import Keeper
from hypernova_operator.controllers.signing.signer import RequestSigner
from hypernova_operator.metrics import Metrics


class Signing:
    """The authority, who is told of it, and what it signs."""

    def __init__(self, client: Client, namespace: str, metrics: Metrics) -> None:
        self._keeper = Keeper(client, namespace, metrics)
        self._signer = RequestSigner(client, namespace, self._keeper, metrics)
        self._ca_bundle = CaBundle(client, self._keeper)

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run(), name="authority")
            group.create_task(self._signer.run(), name="signer")
            group.create_task(self._ca_bundle.run(), name="ca-bundle")
