"""What is asked for by a CertificateSigningRequest, and what the answer means. Pure, but for the chance in a key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hypernova_kube.resources import Object, Resource

REQUESTS = Resource(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)

SERVER_USAGES = ("digital signature", "server auth")
CLIENT_USAGES = ("digital signature", "client auth")
"""spec.usages of what is only ever a server, only ever a client."""


class NoCertificate(Exception):
    """What was asked for is not to be had. The text is a sentence; it may be had another time.

    Attributes:
        cause: denied, failed, deleted or unusable; for metrics.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a certificate is about."""

    common_name: str
    """At most 64 bytes."""

    dns_names: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class Credential:
    """A private key and the certificate of it."""

    pem: bytes = field(repr=False)
    """Both, the key unencrypted: not for a file, nor for a log."""

    certificate: x509.Certificate

    @property
    def begins_at(self) -> datetime:
        """From when on it is good."""
        return self.certificate.not_valid_before_utc

    @property
    def ends_at(self) -> datetime:
        """Until when it is good."""
        return self.certificate.not_valid_after_utc

    def is_of(self, authorities: Sequence[x509.Certificate]) -> bool:
        """Whether one of these has signed it."""
        return any(_has_signed(authority, self.certificate) for authority in authorities)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def signing_request(key: ec.EllipticCurvePrivateKey, subject: Subject) -> bytes:
    """What spec.request holds, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])
    alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in subject.dns_names]
    alternatives += [x509.IPAddress(each) for each in subject.addresses]
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def request_object(name: str, request: bytes, *, signer: str, usages: Sequence[str], seconds: int) -> Object:
    """The CertificateSigningRequest for a request in PEM, for a certificate that lasts so long."""
    return {
        "apiVersion": REQUESTS.api_version,
        "kind": REQUESTS.kind,
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": signer,
            "usages": list(usages),
            "expirationSeconds": seconds,
        },
    }


def answer(obj: Object) -> bytes | None:
    """The certificate that a CertificateSigningRequest has come to hold, leaf first, as PEM; None while it is pending.

    Raises:
        NoCertificate: it was denied, or could not be signed.
    """
    status = obj.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] in ("Denied", "Failed"):
            words = condition.get("message") or condition.get("reason") or "no reason was given"
            raise NoCertificate(condition["type"].lower(), words)
    try:
        return base64.b64decode(status.get("certificate", ""), validate=True) or None
    except binascii.Error as error:
        raise NoCertificate("unusable", f"what was signed is no base64: {error}") from error


def credential(key: ec.EllipticCurvePrivateKey, chain: bytes) -> Credential:
    """A key with its certificate.

    Args:
        key: the private key.
        chain: certificates in PEM, ours first.

    Raises:
        NoCertificate: the first is none, or of another key.
    """
    try:
        certificate = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        raise NoCertificate("unusable", f"what was signed is no certificate: {error}") from error
    if certificate.public_key() != key.public_key():
        raise NoCertificate("unusable", "what was signed is the certificate of another key")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credential(pem + chain, certificate)


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:
        # Another name, another kind of key, a signature that does not hold: cryptography has an exception for each.
        return False
    return True
