"""What the console proxy asks for, read strictly, and what it is told when it cannot have it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hypernova_kube.resources import Key

_LONGEST = {"uid": 64, "user": 1024, "session": 512, "readOnly": 5, "exclusive": 5, "takeOver": 5}
"""Characters of a parameter's value."""

_REQUIRED = ("uid", "user")
_TRUTH = {"true": True, "false": False}


class Refused(Exception):
    """A request that is answered by an error: `{"reason": ..., "message": ...}`."""

    def __init__(self, status: int, reason: str, message: str, **details: str) -> None:
        """A refusal.

        Args:
            status: of HTTP.
            reason: CamelCase, stable.
            message: a sentence for people.
            details: what else is told beside these.
        """
        super().__init__(message)
        self.status = status
        self.told = {"reason": reason, "message": message} | details


@dataclass(frozen=True, slots=True)
class ConsoleRequest:
    """Who wants to see what, and how."""

    instance: Key
    uid: str
    """The Instance's: one that was made anew under the name is another."""

    user: str
    session: str
    """NAMESPACE/NAME of the ConsoleSession; empty where a picture is all that is wanted."""

    read_only: bool
    exclusive: bool
    take_over: bool


def read_request(path: Mapping[str, str], query: Iterable[tuple[str, str]], *, viewing: bool) -> ConsoleRequest:
    """A request by the parts of its path and its parameters, as they come; `viewing` is one that begins a session.

    Raises:
        Refused: a parameter is missing, unknown, twice there, too long, or not as it should be.
    """
    given: dict[str, str] = {}
    for name, value in query:
        if name not in _LONGEST:
            raise _bad(f"there is no parameter {name[:40]!r}")
        if name in given:
            raise _bad(f"{name} is there twice")
        if len(value) > _LONGEST[name]:
            raise _bad(f"{name} is longer than {_LONGEST[name]} characters")
        given[name] = value
    for name in (*_REQUIRED, "session") if viewing else _REQUIRED:
        if not given.get(name):
            raise _bad(f"{name} is missing")
    return ConsoleRequest(
        Key(path["namespace"], path["name"]),
        given["uid"],
        given["user"],
        given.get("session", ""),
        _flag(given, "readOnly"),
        _flag(given, "exclusive"),
        _flag(given, "takeOver"),
    )


def _flag(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "false")
    if value not in _TRUTH:
        raise _bad(f"{name} is true or false")
    return _TRUTH[value]


def _bad(message: str) -> Refused:
    return Refused(400, "BadRequest", message)
