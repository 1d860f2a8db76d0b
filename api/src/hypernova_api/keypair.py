"""KeyPair: an SSH public key that guests admit."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from hypernova_api.meta import AGE, Column, Kind, Model, Rule


class KeyPairSpec(Model):
    """The public half of a key pair; Hypernova never sees the private one."""

    public_key: Annotated[
        str,
        Field(
            max_length=16384,
            pattern=r"^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+={0,3}( [^\r\n]*)?$",
        ),
    ]
    """One line as in authorized_keys, e.g. `ssh-ed25519 AAAA... ops@example.com`."""

    rules: ClassVar[list[Rule]] = [
        Rule("self == oldSelf", "a KeyPair cannot be edited: make a new one", "FieldValueForbidden"),
    ]


class KeyPair(Kind, short_names=("kp",)):
    """An SSH public key that guests admit. Put into an Instance when it is bound; later changes don't reach it."""

    spec: KeyPairSpec

    columns: ClassVar[list[Column]] = [Column("Public Key", ".spec.publicKey", priority=1), AGE]
