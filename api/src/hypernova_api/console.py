"""Consoles: ConsoleSession, who looks at which guest and until when, and the words of all who pass a console on.

(Nova: consoleauth tokens.) A console goes viewer → API server or browser page → console proxy → node agent → libvirt.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.meta import AGE, GROUP, Column, Kind, Model, Name, Rule, Time

SUBRESOURCES_GROUP = f"subresources.{GROUP}"
"""API group that the console proxy serves behind the API server: instances/vnc, /serial, /screenshot and /ticket."""


class ConsoleType(StrEnum):
    """What of a guest is looked at."""

    VNC = "VNC"
    """Its screen, keyboard and mouse."""
    SERIAL = "Serial"
    """Its first serial port."""

    @property
    def subresource(self) -> str:
        """As RBAC and paths have it: `instances/vnc`, `instances/serial`."""
        return self.value.lower()


class CloseCode(IntEnum):
    """Why the WebSocket of a console ends, as its close code; the reason beside it is a sentence for people.

    Whoever passes a console on passes both on. RFC 6455 leaves 4000-4999 to applications.
    """

    GUEST_OFF = 4001
    """The guest is off or rebooting: come again when it is back."""
    TAKEN_OVER = 4002
    """Somebody else wanted it for himself."""
    GONE = 4003
    """The Instance was deleted."""
    MOVED = 4004
    """The Instance is on another node now: come again."""
    REVOKED = 4005
    """The session was ended by somebody, or its user may not have the console any more."""
    EXPIRED = 4006
    """The session has lasted as long as it may."""
    UNREACHABLE = 4007
    """The node, its libvirt or what is between does not answer: come again."""

    @property
    def final(self) -> bool:
        """Whether coming again is of no use."""
        return self in (CloseCode.TAKEN_OVER, CloseCode.GONE, CloseCode.REVOKED, CloseCode.EXPIRED)


LONGEST_REASON = 123
"""Bytes of UTF-8 that fit beside a close code."""

LONGEST_MESSAGE = 1 << 20
"""Bytes of one WebSocket message that anybody takes; the next longer one ends the connection with code 1009."""


def close_reason(sentence: str) -> str:
    """As much of a sentence as fits beside a close code."""
    encoded = sentence.encode()
    if len(encoded) <= LONGEST_REASON:
        return sentence
    return encoded[: LONGEST_REASON - len("…".encode())].decode(errors="ignore") + "…"


class SerialRole(Model):
    """A text message to the viewer of a serial console, first of all and whenever it changes. (Output is binary.)"""

    writer: bool
    """Whether what this viewer types reaches the guest: of all viewers, one writes."""

    holder: str
    """The user who writes; empty if nobody does."""


Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""SHA-256 of a secret of 256 random bits, in hex: of no use to whoever reads it."""


Text = Annotated[str, Field(max_length=1024)]


class ConsoleUser(Model):
    """A user as the API server has authenticated him: whom SubjectAccessReviews are about."""

    username: Text
    """Name."""

    uid: Text = ""
    """What tells users of the same name apart, over time; often empty."""

    groups: Annotated[list[Text], Field(max_length=1024)] = Field(default_factory=list)
    """Groups."""

    extra: Annotated[dict[str, Annotated[list[Text], Field(max_length=64)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    """What else his authenticator says of him."""


class Ticket(Model):
    """What a browser shows once to begin the session."""

    digest: Digest
    """Of the ticket's secret."""

    expires_at: Time
    """Until when it can be used, RFC 3339."""


class ConsoleSessionSpec(Model):
    """Who may look at what, and for how long."""

    instance_name: Name
    """The Instance, of the same namespace."""

    instance_uid: Annotated[str, Field(max_length=64)]
    """Its UID: one that is made anew under the name is another."""

    type: ConsoleType
    """What of it."""

    read_only: bool = False
    """Whether it is only looked at: what the viewer types or clicks does not reach the guest."""

    user: ConsoleUser
    """Who."""

    ticket: Ticket | None = None
    """Absent when the session was opened through the API server, with the user's own credentials."""

    max_seconds: Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
    """How long it may last from its start."""

    rules: ClassVar[list[Rule]] = [
        Rule("self == oldSelf", "a ConsoleSession cannot be edited; delete it to end it", "FieldValueForbidden"),
    ]


class ConsoleSessionStatus(Model):
    """Written once, by whichever replica of the console proxy begins the session."""

    started_at: Time | None = None
    """When the ticket was used: it cannot be used again. RFC 3339."""

    expires_at: Time | None = None
    """When it ends at the latest, RFC 3339."""

    key_digest: Digest | None = None
    """Of the key that the browser has got for its ticket, with which it comes again."""


class ConsoleSession(Kind, short_names=("csess",)):
    """A user's sight of a guest, begun or about to be. Deleting it ends it at once. Made by the console proxy alone."""

    spec: ConsoleSessionSpec
    """Who may look at what, and for how long."""

    status: ConsoleSessionStatus = ConsoleSessionStatus()
    """Written once, by whichever replica of the console proxy begins the session."""

    columns: ClassVar[list[Column]] = [
        Column("Instance", ".spec.instanceName"),
        Column("Type", ".spec.type"),
        Column("User", ".spec.user.username"),
        Column("Started", ".status.startedAt", "date"),
        Column("Expires", ".status.expiresAt"),
        Column("Read Only", ".spec.readOnly", "boolean", priority=1),
        AGE,
    ]


class ConsoleTicketSpec(Model):
    """What the link is to be for. The body of a POST to instances/NAME/ticket; all of it may be left out."""

    type: ConsoleType = ConsoleType.VNC
    """What of the guest is looked at; the user needs the right to `get` that subresource, too."""

    read_only: bool = False
    """Whether it is only looked at."""


class ConsoleTicketStatus(Model):
    """The link."""

    url: str
    """To be opened in a browser, once, before it expires. The ticket is in its fragment, which browsers send nobody."""

    expires_at: Time
    """Until when it can be opened, RFC 3339."""

    session: str
    """Name of the ConsoleSession: delete it to withdraw the link, or to end what came of it."""


class ConsoleTicket(Model):
    """A link for a browser: what instances/NAME/ticket takes and answers. Kept nowhere."""

    api_version: Literal["subresources.compute.hypernova.dev/v1alpha1"] = "subresources.compute.hypernova.dev/v1alpha1"
    kind: Literal["ConsoleTicket"] = "ConsoleTicket"
    spec: ConsoleTicketSpec = ConsoleTicketSpec()
    status: ConsoleTicketStatus | None = None
