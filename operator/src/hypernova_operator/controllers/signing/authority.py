"""The authority: a key that signs, and what it signs. Pure, but for the chance in keys and serial numbers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

from hypernova_api.certificates import AUTHORITY, BACKDATED_SECONDS, BUNDLE_KEY
from hypernova_kube.errors import in_words
from hypernova_kube.resources import Object

LIFETIME = timedelta(days=3650)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class BrokenAuthority(Exception):
    """The Secret holds no authority. The text says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a certificate is to say."""

    common_name: str
    dns_names: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    usage: ObjectIdentifier
    """The one that it is good for, as its extended key usage."""

    public_key: PublicKey
    seconds: int
    """How long it lasts from now on."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A key and its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def bundle(self) -> str:
        """What to trust, as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def ends_at(self) -> datetime:
        """When nothing of it is good any more."""
        return self.certificate.not_valid_after_utc

    def issue(self, contents: Contents, now: datetime) -> bytes:
        """A certificate, as PEM; it ends no later than the authority, whose own end must not have come."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in contents.dns_names]
        names += [x509.IPAddress(each) for each in contents.addresses]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(contents.common_name))
            .issuer_name(self.certificate.subject)
            .public_key(contents.public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(seconds=BACKDATED_SECONDS))
            .not_valid_after(min(now + timedelta(seconds=contents.seconds), self.ends_at))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([contents.usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(contents.public_key), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self.key, SHA256())
            .public_bytes(Encoding.PEM)
        )

    def secret(self, namespace: str) -> Object:
        """The Secret that keeps it."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": AUTHORITY, "namespace": namespace},
            "data": {
                "tls.crt": base64.b64encode(self.bundle.encode()).decode(),
                "tls.key": base64.b64encode(key).decode(),
            },
        }

    def config_map(self, namespace: str) -> Object:
        """The ConfigMap that says whom to trust."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": AUTHORITY, "namespace": namespace},
            "data": {BUNDLE_KEY: self.bundle},
        }


def new_authority(now: datetime) -> Authority:
    """One that nobody has seen yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(AUTHORITY))
        .issuer_name(_name(AUTHORITY))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=BACKDATED_SECONDS))
        .not_valid_after(now + LIFETIME)
        # It signs no other authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return Authority(key, certificate)


def from_secret(secret: Object) -> Authority:
    """The authority that a Secret keeps: ours, or one that an administrator has put there.

    Raises:
        BrokenAuthority: it keeps none.
    """
    try:
        data = {name: base64.b64decode(secret.get("data", {})[name]) for name in ("tls.crt", "tls.key")}
        certificate = x509.load_pem_x509_certificate(data["tls.crt"])
        key = load_pem_private_key(data["tls.key"], password=None)
        constraints = [each.value for each in certificate.extensions if each.oid == x509.BasicConstraints.oid]
        is_pair = certificate.public_key() == key.public_key()
    except KeyError as error:
        raise BrokenAuthority(f"the Secret {AUTHORITY} has no key {error}") from error
    except Exception as error:
        # cryptography has an exception for each thing that can be wrong; none may end the leader.
        raise BrokenAuthority(f"the Secret {AUTHORITY} can't be read: {in_words(error)}") from error
    if not any(isinstance(each, x509.BasicConstraints) and each.ca for each in constraints):
        raise BrokenAuthority(f"the certificate in the Secret {AUTHORITY} is not that of an authority")
    if not isinstance(key, PrivateKey):
        raise BrokenAuthority(f"the key in the Secret {AUTHORITY} is neither EC nor RSA")
    if not is_pair:
        raise BrokenAuthority(f"the key in the Secret {AUTHORITY} is not that of the certificate there")
    return Authority(key, certificate)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
