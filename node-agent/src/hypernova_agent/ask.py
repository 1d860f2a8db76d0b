"""What the InstanceActions of an Instance want of its reconciler, and what they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hypernova_agent.host import Domain
from hypernova_agent.outcome import Outcome
from hypernova_api.instance import Instance


@dataclass(frozen=True, slots=True)
class Ask:
    """What a running InstanceAction wants of its Instance, beside what the Instance itself says."""

    boot: str = ""
    """UID of the action: the guest must have been powered on for it (`Definition.boot`). Empty: no such wish."""

    grace: float | None = None
    """Seconds between power button and plug before that; None: the Instance's own."""


NOTHING = Ask()


class Actions(Protocol):
    """The InstanceActions of a node's Instances, as each look at an Instance meets them.

    Both calls are cheap for an Instance without action, and safe to repeat after a crash at any line.
    They raise what the API server and the host do (`KubeError`, `HostFault`): the look is then repeated later.
    """

    async def begin(self, instance: Instance, domain: Domain | None) -> Ask | None:
        """Take up the Instance's next action, or go on with the one that runs.

        Args:
            instance: as it is known now, bound to this node and not being deleted.
            domain: its domain as it is now.

        Returns:
            what the Instance's guest needs for it; None when the Instance's status was written (and the view told), so
            that it is to be looked at anew.
        """
        ...

    async def settle(self, instance: Instance, ask: Ask, outcome: Outcome, domain: Domain | None) -> None:
        """Take note of what came of a look: steps of the action, its completion or failure.

        Args:
            instance: as it was looked at.
            ask: what `begin` has asked for.
            outcome: what came of it.
            domain: the domain as it is now.
        """
        ...
