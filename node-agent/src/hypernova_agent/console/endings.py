"""How a console ends: the close code and the sentence that its viewer gets. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_api.console import CloseCode, close_reason

_UNSUPPORTED = 1003
_POLICY = 1008
"""Of RFC 6455: data of a kind that is not taken, a message that is not taken."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a WebSocket is closed."""

    code: int
    """A CloseCode, or one of RFC 6455's own."""

    reason: str
    """A sentence of at most LONGEST_REASON bytes."""


GUEST_OFF = Ending(CloseCode.GUEST_OFF, "the guest is off")
GONE = Ending(CloseCode.GONE, "the Instance was deleted")
MOVED = Ending(CloseCode.MOVED, "the Instance is not on this node any more")
RESTARTING = Ending(CloseCode.UNREACHABLE, "the agent is restarting")
LIBVIRT_AWAY = Ending(CloseCode.UNREACHABLE, "libvirt on the node does not answer")
CUT = Ending(CloseCode.UNREACHABLE, "the guest runs, but its host has ended this console")
TEXT = Ending(_UNSUPPORTED, "a console takes binary messages alone")


def taken_over(user: str) -> Ending:
    """Somebody else has it now."""
    return Ending(CloseCode.TAKEN_OVER, close_reason(f"{user} has taken it over"))


def refused(why: str) -> Ending:
    """What the viewer sends is not taken."""
    return Ending(_POLICY, close_reason(why))
