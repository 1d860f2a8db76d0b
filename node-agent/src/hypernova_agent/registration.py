"""The Hypervisor object of this node: made when it is missing, and told what the host is. Its spec is never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from hypernova_agent.admission import Claim
from hypernova_agent.capacity import Room, room_of
from hypernova_agent.host import HostFacts, HostFault, Space
from hypernova_agent.hypervisor_status import Known, status_of
from hypernova_api.architecture import DomainType
from hypernova_api.conditions import Condition, is_true
from hypernova_api.hypervisor import Endpoint, Hypervisor, HypervisorSpec, Orphan
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, Conflict, Invalid
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key, Object, Resource

log = get_logger(__name__)

HYPERVISORS = Resource.of(Hypervisor)

_LONGEST_REFUSAL = 300
"""Characters of what the API server says that are shown."""


class Registration:
    """Keeps the node's Hypervisor object true."""

    def __init__(
        self,
        client: Client,
        node: str,
        objects: Mapping[Key, Object],
        claims: Callable[[], Iterable[Claim]],
        *,
        domain_type: DomainType | None,
        reserved_memory: int,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A registration that knows nothing of the host yet.

        Args:
            client: the API server.
            node: the node's name, which is the object's too.
            objects: what a reflector keeps of Hypervisors: this one, if it is there.
            claims: what the Instances on the host take.
            domain_type: from the settings.
            reserved_memory: bytes kept from Instances.
            wall_clock: for conditions.
        """
        self._client = client
        self._key = Key("", node)
        self._objects = objects
        self._claims = claims
        self._domain_type = domain_type
        self._reserved_memory = reserved_memory
        self._wall_clock = wall_clock
        self._known: Known | None = None
        self._console: Endpoint | None = None
        self._console_known = False

    @property
    def room(self) -> Room | None:
        """What the host has to give; None as long as it has not answered."""
        facts = self._known.facts if self._known is not None else None
        if facts is None:
            return None
        obj = self._objects.get(self._key)
        spec = Hypervisor.parse(obj).spec if obj is not None else HypervisorSpec()
        return room_of(facts, spec, self._reserved_memory)

    @property
    def overcommitted(self) -> bool:
        """Whether the object says so."""
        obj = self._objects.get(self._key)
        if obj is None:
            return False
        # Asked for each Instance that goes: all the rest of what the host reports need not be read for it.
        conditions = obj.get("status", {}).get("conditions", [])
        return is_true(map(Condition.model_validate, conditions), "Overcommitted")

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the object."""
        return self._objects.get(self._key, {}).get("metadata", {}).get("annotations") or {}

    @property
    def orphans(self) -> tuple[Orphan, ...]:
        """Those that were found last."""
        return self._known.orphans if self._known is not None else ()

    def answers(self, facts: HostFacts) -> None:
        """The host answers, and is this."""
        before = self._known or Known()
        self._known = Known(facts, orphans=before.orphans, space=before.space)

    def found(self, orphans: tuple[Orphan, ...]) -> None:
        """These of the host's domains and disks have no Instance."""
        self._known = replace(self._known or Known(), orphans=orphans)

    def has(self, space: Space) -> None:
        """The pool has so much room."""
        self._known = replace(self._known or Known(), space=space)

    def serves(self, console: Endpoint | None) -> None:
        """Consoles are to be had there, or are not; until this is known, what was told before stays."""
        self._console, self._console_known = console, True

    def fails(self, fault: HostFault) -> None:
        """The host does not answer, or refuses what an agent needs of it."""
        self._known = replace(self._known or Known(), fault=fault)

    @property
    def failing(self) -> bool:
        """Whether the host did not answer, or refused, when it was asked last."""
        return self._known is not None and self._known.fault is not None

    async def reconcile(self, _: str) -> float | None:
        """Make the object say what is known, if it does not; nothing is said before anything is.

        Facts that are refused are not told again before the host says what it is anew; that they are is told at once.

        Raises:
            Invalid: even that is refused.
        """
        known = self._known
        if known is None:
            return None
        obj = self._objects.get(self._key)
        if obj is None:
            obj = await self._create()
        try:
            await self._tell(Hypervisor.parse(obj), known)
        except Conflict:
            return 1.0  # an administrator has just edited it; by then the watch has told us
        except (Invalid, ValueError) as error:
            if known.refused:
                raise
            words = " ".join(str(error).split())[:_LONGEST_REFUSAL]
            log.warning("facts refused", node=self._key.name, error=words)
            if self._known is known:
                self._known = replace(known, refused=words)
            return 0.0
        return None

    async def _tell(self, before: Hypervisor, known: Known) -> None:
        status = status_of(
            before,
            known,
            room_of(known.facts, before.spec, self._reserved_memory) if known.facts is not None else None,
            self._claims(),
            console=self._console if self._console_known else before.status.console,
            domain_type=self._domain_type,
            now=self._wall_clock(),
            clock_ahead=self._client.clock_ahead,
        )
        if not status:
            return
        patch = {"metadata": {"resourceVersion": before.metadata.resource_version}, "status": status}
        await self._client.patch(HYPERVISORS, self._key.name, patch, subresource="status")
        log.info("hypervisor status", node=self._key.name, message=f"new: {', '.join(sorted(status))}")

    async def _create(self) -> Object:
        new = {
            "apiVersion": HYPERVISORS.api_version,
            "kind": HYPERVISORS.kind,
            "metadata": {"name": self._key.name},
            "spec": {},
        }
        try:
            return await self._client.create(HYPERVISORS, new)
        except AlreadyExists:
            return await self._client.get(HYPERVISORS, self._key.name)
