"""Who has a place on the host: what each Instance takes of it, and who was refused."""

from __future__ import annotations

from collections.abc import Callable

from hypernova_agent.admission import Claim, claim_of, refusal
from hypernova_agent.capacity import Room
from hypernova_agent.definition import agrees, wanted
from hypernova_agent.desired import Desired, Guest
from hypernova_agent.errors import OutOfResources
from hypernova_agent.host import Domain
from hypernova_kube.resources import Key


class Places:
    """Those of one host, by the UIDs of its Instances."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        """None taken, and anyone gets one as long as nobody knows what there is.

        Args:
            wake: asks for another look at an Instance that was refused.
        """
        self._wake = wake
        self._room: Room | None = None
        self._claims: dict[str, Claim] = {}
        self._refused: set[Key] = set()

    @property
    def room(self) -> Room | None:
        """What the host has to give, once that is known."""
        return self._room

    def set_room(self, room: Room) -> None:
        """What the host has to give; who was refused is looked at again."""
        self._room = room
        self._wake_refused()

    def claims(self) -> list[Claim]:
        """What is taken."""
        return list(self._claims.values())

    def adopt(self, desired: Desired, domain: Domain) -> None:
        """Who has a domain has its place, and that of its resize if the domain knows of it already."""
        guest, resize = desired.guest, desired.resize
        if not isinstance(guest, Guest):
            return
        claim = claim_of(guest)
        if isinstance(resize, Guest) and agrees(domain.defined, wanted(domain.owner.uid, resize, domain.defined.boot)):
            claim |= claim_of(resize)
        self._claims[desired.uid] = claim

    def admit(self, key: Key, desired: Desired, domain: Domain | None) -> tuple[Desired, str]:
        """Give an Instance its place, and its resize one beside that.

        Returns:
            what is desired, with the resize if there is room for it; else why there is none, as a sentence.

        Raises:
            OutOfResources: there is not even room for what it was bound with.
        """
        guest, resize = desired.guest, desired.resize
        if desired.deleting or not isinstance(guest, Guest):
            return desired, ""
        claim = claim_of(guest)
        if domain is None and desired.uid not in self._claims:
            if why := self._refusal(key, desired.uid, claim):
                raise OutOfResources(why)
            self._claims[desired.uid] = claim
        why = "" if resize is None else str(resize)
        if isinstance(resize, Guest):
            why = self._refusal(key, desired.uid, claim | claim_of(resize))
            if not why:
                self._claims[desired.uid] = claim | claim_of(resize)
                return desired.granted(), ""
        self._claims[desired.uid] = claim
        return desired, why

    def leave(self, key: Key, uid: str) -> None:
        """The Instance is gone: there is room for others."""
        self._claims.pop(uid, None)
        self._refused.discard(key)
        self._wake_refused()

    def _refusal(self, key: Key, uid: str, claim: Claim) -> str:
        self._refused.discard(key)
        if self._room is None or self._claims.get(uid) == claim:
            return ""
        others = [taken for other, taken in self._claims.items() if other != uid]
        why = refusal(claim, others, self._room)
        if why is None:
            return ""
        self._refused.add(key)
        return f"{why}: it is tried again when others leave this node or its Hypervisor changes"

    def _wake_refused(self) -> None:
        for key in self._refused:
            self._wake(key)
