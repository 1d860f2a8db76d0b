"""One session: as its ConsoleSession has it, and when its connections must end. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypernova_api.conditions import timestamp
from hypernova_api.console import CloseCode, ConsoleSession, ConsoleSessionSpec, ConsoleType, ConsoleUser
from hypernova_api.instance import Instance
from hypernova_console.instances import InstanceRecord
from hypernova_kube.resources import Key, Object, Resource, key_of

SESSIONS = Resource.of(ConsoleSession)

BEGUN_SECONDS = 60
"""How soon the status of a session without a ticket follows its creation; later, whoever made it has died."""

SWEPT_AFTER_SECONDS = 60
"""How long a session that is over is kept: clocks of replicas differ, and who comes late is told what has happened."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user's right to look at one guest, begun or about to be. It says nothing about whether it still holds."""

    key: Key
    """Of the ConsoleSession."""

    uid: str
    """Of the ConsoleSession."""

    instance: Key
    instance_uid: str
    type: ConsoleType
    read_only: bool
    user: ConsoleUser
    expires_at: datetime
    """When the session ends at the latest; of one that is offered, the time until which its ticket is good."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: what its WebSocket is closed with."""

    code: CloseCode
    reason: str
    """A sentence, of at most LONGEST_REASON bytes."""


REVOKED = Ending(CloseCode.REVOKED, "the session was ended")
FORBIDDEN = Ending(CloseCode.REVOKED, "you may not look at this console any more")
EXPIRED = Ending(CloseCode.EXPIRED, "the session has lasted as long as it may: ask for a new link")
GONE = Ending(CloseCode.GONE, "the Instance was deleted")


def session_object(
    name: str,
    instance: InstanceRecord,
    user: ConsoleUser,
    type_: ConsoleType,
    *,
    read_only: bool,
    seconds: int,
    ticket: Object | None = None,
) -> Object:
    """A ConsoleSession to be created. It goes with its Instance, by Kubernetes' garbage collection."""
    spec = ConsoleSessionSpec(
        instance_name=instance.key.name,
        instance_uid=instance.uid,
        type=type_,
        read_only=read_only,
        user=user,
        max_seconds=seconds,
    ).to_wire()
    owner = {
        "apiVersion": f"{Instance.group}/{Instance.version}",
        "kind": Instance.kind,
        "name": instance.key.name,
        "uid": instance.uid,
    }
    return {
        "apiVersion": SESSIONS.api_version,
        "kind": SESSIONS.kind,
        "metadata": {"name": name, "namespace": instance.key.namespace, "ownerReferences": [owner]},
        "spec": spec | ({"ticket": ticket} if ticket else {}),
    }


def session_of(obj: Object) -> Session:
    """The session that a stored ConsoleSession is about.

    Raises:
        pydantic.ValidationError: somebody has written one that our schema does not allow.
    """
    kind, key = ConsoleSession.parse(obj), key_of(obj)
    spec, status = kind.spec, kind.status
    ends_at = status.expires_at or (spec.ticket and spec.ticket.expires_at)
    return Session(
        key,
        kind.metadata.uid,
        Key(key.namespace, spec.instance_name),
        spec.instance_uid,
        spec.type,
        spec.read_only,
        spec.user,
        moment(ends_at) if ends_at else _created_at(kind) + timedelta(seconds=BEGUN_SECONDS),
    )


def is_over(session: Session, now: datetime) -> bool:
    """Whether nothing will come of a session any more, and nobody need be told why."""
    return now >= session.expires_at + timedelta(seconds=SWEPT_AFTER_SECONDS)


def ending(session: Session, node_name: str, instance: InstanceRecord | None, now: datetime) -> Ending | None:
    """Why a connection that was made to the guest on a node must end; None if it need not.

    Args:
        session: whose connection it is.
        node_name: where its agent is.
        instance: of the session's UID, as it is now; None if nothing is known of it.
        now: the time.
    """
    if now >= session.expires_at:
        return EXPIRED
    if instance is None:
        return None
    if instance.deleting:
        return GONE
    if instance.node_name and instance.node_name != node_name:
        return Ending(CloseCode.MOVED, f"the Instance is on node {instance.node_name} now"[:120])
    return None


def moment(text: str) -> datetime:
    """The time that an RFC 3339 text means."""
    # RFC 3339 wants an offset; the API server checks no more than that it looks like a time.
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def text_of(when: datetime) -> str:
    """As Kubernetes writes a time: UTC, to the second."""
    return timestamp(when.astimezone(UTC))


def _created_at(kind: ConsoleSession) -> datetime:
    return moment(kind.metadata.creation_timestamp or "1970-01-01T00:00:00Z")
