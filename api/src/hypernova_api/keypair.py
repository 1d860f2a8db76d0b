"""KeyPair: an SSH public key that guests admit."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.meta import AGE, Column, Kind, Model, Rule

_TYPES = "|".join(
    (
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        r"sk-ssh-ed25519@openssh\.com",
        r"sk-ecdsa-sha2-nistp256@openssh\.com",
    )
)


class KeyPairSpec(Model):
    """The public half of a key pair; Hypernova never sees the private one."""

    public_key: Annotated[str, Field(max_length=16384, pattern=rf"^({_TYPES}) [A-Za-z0-9+/]+={{0,3}}( [^\r\n]*)?$")]
    """One line as in authorized_keys, e.g. `ssh-ed25519 AAAA... ops@example.com`."""

    rules: ClassVar[list[Rule]] = [
        Rule("self == oldSelf", "a KeyPair cannot be edited: make a new one", "FieldValueForbidden"),
    ]


class KeyPair(Kind, short_names=("kp",)):
    """An SSH public key that guests admit. Put into an Instance when it is bound; later changes don't reach it."""

    spec: KeyPairSpec
    """The public half of a key pair; Hypernova never sees the private one."""

    columns: ClassVar[list[Column]] = [Column("Public Key", ".spec.publicKey", priority=1), AGE]
