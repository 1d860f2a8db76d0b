"""Kubernetes Events, for people who run `kubectl describe`. (Signatures; the bodies follow.)"""

from hypernova_kube.client import Client
from hypernova_kube.resources import Object


class EventRecorder:
    """Writes Events in the background: aggregated, rate-limited, and dropped rather than waited for."""

    def __init__(self, client: Client, component: str, instance: str) -> None:
        raise NotImplementedError

    def normal(self, involved: Object, reason: str, message: str) -> None:
        """Something went as it should."""
        raise NotImplementedError

    def warning(self, involved: Object, reason: str, message: str) -> None:
        """Something somebody may have to look at."""
        raise NotImplementedError

    async def run(self) -> None:
        """Write what is recorded, for ever; end it by cancelling."""
        raise NotImplementedError
