"""Certificate requests of all sorts, good and bad, and TLS handshakes in memory."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hypernova_api.certificates import AGENT_ACCOUNT, Signer
from hypernova_kube.certificates import SERVER_USAGES
from hypernova_kube.resources import Object

CLAIM = "authentication.kubernetes.io/"


def a_request(
    names: Iterable[x509.GeneralName],
    *,
    common_name: str = AGENT_ACCOUNT,
    key: Any = None,
    organization: str = "",
    extensions: Iterable[x509.ExtensionType] = (),
) -> bytes:
    """A certificate request, as PEM; no subject alternative names where none are given."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names := list(names):
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM)


def a_signing_request(
    request: bytes,
    *,
    username: str,
    signer: str = Signer.AGENT_SERVING,
    usages: Iterable[str] = SERVER_USAGES,
    seconds: int | None = None,
    conditions: Iterable[str] = (),
    **claims: list[str],
) -> Object:
    """A CertificateSigningRequest as stored. `claims` are what the token said: `node_name=["node-a"]`."""
    extra = {CLAIM + name.replace("_", "-"): values for name, values in claims.items()}
    spec = {
        "request": base64.b64encode(request).decode(),
        "signerName": str(signer),
        "usages": list(usages),
        "username": username,
        "extra": extra,
    }
    status = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
    limit = {} if seconds is None else {"expirationSeconds": seconds}
    return {"metadata": {"name": "try-1", "resourceVersion": "1"}, "spec": spec | limit, "status": status}


class Session:
    """A TLS session between two contexts, in memory.

    Raises:
        ssl.SSLError: one of them refused the other.
    """

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, server_hostname=name)
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        done = {self.client: False, self.server: False}
        while not all(done.values()):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                    done[side] = True
                except ssl.SSLWantReadError:
                    continue

    @property
    def shown(self) -> x509.Certificate:
        """What the server has shown."""
        certificate = self.client.getpeercert(binary_form=True)
        assert certificate is not None
        return x509.load_der_x509_certificate(certificate)

    def says(self, words: bytes) -> bytes:
        """What the server hears of what the client says."""
        self.client.write(words)
        return self.server.read(len(words))
