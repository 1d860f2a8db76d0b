"""Orphans adopted: a domain whose Instance's object was lost gets one again, where an administrator says so.

The Instance is made anew from what the domain remembers, with an annotation that keeps it from being placed, and then
bound to the node that the domain is on; last, the administrator's annotation on the Hypervisor goes. A crash in between
leaves what the next try goes on from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hypernova_api.hypervisor import ORPHAN_ANNOTATION, HypervisorStatus
from hypernova_api.hypervisor import Hypervisor as HypervisorKind
from hypernova_kube.backoff import Backoff
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, BadRequest, Conflict, Forbidden, Invalid, NotFound
from hypernova_kube.events import EventRecorder
from hypernova_kube.process.logs import get_logger
from hypernova_kube.queue import WorkQueue
from hypernova_kube.resources import Key, Object, Resource
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import ADOPT, ADOPT_ORPHAN, Hypervisor
from hypernova_operator.cache.records.orphan import adoption, instance_of
from hypernova_operator.controllers import patches
from hypernova_operator.controllers.involved import involved
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.writes import WRITE_SECONDS, InstanceWrites
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

HYPERVISORS = Resource.of(HypervisorKind)

LOOK_AGAIN_SECONDS = 10.0
"""How soon an orphan is looked at again that can't be adopted now."""

_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Unadoptable:
    """Why an orphan can't be adopted now: an Event's reason and message."""

    reason: str
    message: str


class Adopter:
    """Adopts, as the leader; and tells of orphans that nobody has decided about."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        ledger: Ledger,
        writes: InstanceWrites,
        recorder: EventRecorder,
        metrics: Metrics,
        *,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._cache = cache
        self._ledger = ledger
        self._writes = writes
        self._recorder = recorder
        self._wall_clock = wall_clock
        self._told: dict[tuple[str, str], Unadoptable] = {}
        """By node and uid."""
        self._queue: WorkQueue[Key] = WorkQueue(
            self.reconcile, workers=1, backoff=Backoff(base=0.5, cap=60.0), name="orphans", metrics=client.metrics
        )
        cache.hypervisors.store.subscribe(self._on_hypervisor)
        metrics.orphans.set_function(lambda: sum(len(each.orphans) for each in cache.hypervisors.store))

    async def run(self) -> None:
        """As the leader; end it by cancelling."""
        for hypervisor in self._cache.hypervisors.store:
            self._on_hypervisor(hypervisor.key, None, hypervisor)
        await self._queue.run()

    async def reconcile(self, key: Key) -> float | None:
        """The orphans of one Hypervisor that are to be adopted; for a work queue.

        Returns:
            Seconds after which to look again, where some can't be now.

        Raises:
            KubeError, TimeoutError: try again later.
        """
        hypervisor = self._cache.hypervisors.store.get(key)
        if hypervisor is None or not hypervisor.adopt or not self._writes.allowed():
            return None
        try:
            obj = await self._client.get(HYPERVISORS, key.name)
        except NotFound:
            return None
        done, again = [], False
        for annotation, uid in _to_adopt(obj):
            outcome = await self._adopt(key.name, obj, uid)
            if outcome is True:
                done.append(annotation)
                self._told.pop((key.name, uid), None)
                continue
            again = True
            if isinstance(outcome, Unadoptable) and self._told.get((key.name, uid)) != outcome:
                self._told[key.name, uid] = outcome
                self._recorder.warning(obj, outcome.reason, outcome.message)
                log.info("not adopted", node=key.name, uid=uid, reason=outcome.reason, message=outcome.message)
        if done and not await self._clear(obj, done):
            return _RETRY_SECONDS
        return LOOK_AGAIN_SECONDS if again else None

    async def _adopt(self, node: str, hypervisor: Object, uid: str) -> bool | Unadoptable:
        """Make one an Instance again; False if it is not certain, and to be tried again."""
        status = HypervisorStatus.model_validate(hypervisor.get("status", {}))
        orphan = next((each for each in status.orphans if each.uid == uid), None)
        if orphan is None:
            return True  # it has been adopted, and its node knows; or it never was
        mark = adoption(uid, node)
        try:
            anew = instance_of(orphan, node)
        except ValueError as error:
            reason = "OrphanNotRemembered"
            message = f"domain {uid} does not remember its Instance, and cannot be adopted: {error}"
            return Unadoptable(reason, " ".join(message.split())[:500])
        key = Key(orphan.namespace, orphan.name)
        stored = await self._writes.fetch(key)
        if stored is None:
            if unadoptable := self._in_the_way(node, uid, key):
                return unadoptable
            try:
                stored = await self._writes.create(patches.unbound(anew))
            except (AlreadyExists, NotFound):
                return False
            except (BadRequest, Forbidden, Invalid) as error:
                return Unadoptable("AdoptionRefused", f"Instance {key} cannot be made anew for domain {uid}: {error}")
            if stored is None:
                return False
        its_own = stored["metadata"]["uid"] == uid  # an old copy of the store knows it, and not where it is
        if not its_own and stored["metadata"].get("annotations", {}).get(ADOPT) != mark:
            message = (
                f"domain {uid} was that of Instance {key}, and another of this name is there: delete that one to have "
                "the domain adopted, or the domain by the annotation's value remove"
            )
            return Unadoptable("InstanceExists", message)
        if not stored.get("status", {}).get("nodeName"):
            patch = patches.adopted(stored, anew["status"], running=orphan.running, now=self._wall_clock())
            if not await self._writes.write(key, patch, "status"):
                return False
            log.info("adopted", instance=key, node=node, uid=uid)
        return True

    def _in_the_way(self, node: str, uid: str, key: Key) -> Unadoptable | None:
        if self._cache.namespace(key.namespace) is None:
            message = (
                f"domain {uid} was that of Instance {key}, whose namespace is gone: create it, or remove the domain"
            )
            return Unadoptable("NamespaceNotFound", message)
        if taken := self._ledger.taken_from_orphan(node, uid):
            message = (
                f"domain {uid} of Instance {key} has address {taken}, which another Instance has been given since: "
                "delete that one, or remove the domain"
            )
            return Unadoptable("AddressTaken", message)
        return None

    async def _clear(self, obj: Object, annotations: list[str]) -> bool:
        """Take what is done off the Hypervisor; False if somebody else wrote at the same time."""
        metadata = obj["metadata"]
        gone: Mapping[str, None] = dict.fromkeys(annotations)
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": gone}}
        if not self._writes.allowed():
            return False
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                self._cache.hypervisors.put(await self._client.patch(HYPERVISORS, metadata["name"], patch))
        except Conflict:
            return False
        except NotFound:
            return True
        return True

    def _on_hypervisor(self, key: Key, old: Hypervisor | None, new: Hypervisor | None) -> None:
        # A standby does nothing: when it comes to lead, it looks at all.
        if new is None or not self._writes.allowed():
            return
        if new.adopt:
            self._queue.add(key)
        known = {each.uid for each in old.orphans} if old is not None else set()
        for orphan in new.orphans:
            if orphan.uid not in known and orphan.uid not in new.adopt:
                whose = f"was that of Instance {orphan.key}" if orphan.key.name else "is one of ours"
                message = (
                    f"domain {orphan.uid} {whose}, of which there is no object: annotate the Hypervisor with "
                    f"{ORPHAN_ANNOTATION}{orphan.uid}, adopt or remove"
                )
                self._recorder.warning(involved(HYPERVISORS, new), "OrphanFound", message)


def _to_adopt(obj: Object) -> list[tuple[str, str]]:
    """Annotation and uid of each orphan that is to be adopted."""
    annotations: Mapping[str, str] = obj["metadata"].get("annotations") or {}
    return [
        (name, name.removeprefix(ORPHAN_ANNOTATION))
        for name, value in annotations.items()
        if name.startswith(ORPHAN_ANNOTATION) and value == ADOPT_ORPHAN
    ]
