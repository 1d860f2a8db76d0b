"""Tickets and keys: secrets of 256 random bits, of which only digests are ever kept. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from hypernova_kube.resources import Key

SECRET_BYTES = 32

_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_TICKET = re.compile(
    rf"(?P<namespace>{_LABEL})/(?P<name>[a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?)/(?P<secret>[A-Za-z0-9_-]{{43}})"
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What begins a session, once: `NAMESPACE/NAME/SECRET`, safe in a URL."""

    session: Key
    """Of the ConsoleSession."""

    secret: str = field(repr=False)
    """Never to be written anywhere."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The ticket that `text()` gives.

        Raises:
            ValueError: it is none.
        """
        match = _TICKET.fullmatch(text)
        if match is None:
            raise ValueError("not a ticket")
        return cls(Key(match["namespace"], match["name"]), match["secret"])

    def text(self) -> str:
        """As the browser gets it. Not `__str__`: nobody shall print one unawares."""
        return f"{self.session.namespace}/{self.session.name}/{self.secret}"


def new_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """43 characters of urlsafe base64."""
    return base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode()


def digest_of(secret: str) -> str:
    """SHA-256 in hex. Plain, as nobody can try 2**256 secrets: stretching is for passwords."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, digest: str | None) -> bool:
    """Whether it is the secret of that digest, in a time that tells nothing about how nearly it is."""
    return digest is not None and hmac.compare_digest(digest_of(secret), digest)
