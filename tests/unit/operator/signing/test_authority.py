"""What the authority is, what it signs, and what it takes from a Secret."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from hypernova_api.certificates import AUTHORITY, BACKDATED_SECONDS, BUNDLE_KEY
from hypernova_operator.controllers.signing.authority import (
    LIFETIME,
    Authority,
    BrokenAuthority,
    Contents,
    from_secret,
    new_authority,
)

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def contents(**other: Any) -> Contents:
    given: dict[str, Any] = {
        "common_name": "hypernova-node-agent",
        "dns_names": ("node-a",),
        "addresses": (ip_address("192.0.2.7"),),
        "usage": ExtendedKeyUsageOID.SERVER_AUTH,
        "public_key": KEY.public_key(),
        "seconds": 600,
    }
    return Contents(**given | other)


def issued(authority: Authority, **other: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue(contents(**other), NOW))


def test_a_certificate_says_what_was_granted_and_nothing_else() -> None:
    authority = new_authority(NOW)
    certificate = issued(authority)
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.subject.rfc4514_string() == "CN=hypernova-node-agent"
    assert certificate.public_key() == KEY.public_key()
    assert certificate.not_valid_before_utc == NOW - timedelta(seconds=BACKDATED_SECONDS)
    assert certificate.not_valid_after_utc == NOW + timedelta(seconds=600)
    said = {type(each.value): each.value for each in certificate.extensions}
    assert said[x509.ExtendedKeyUsage] == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    assert said[x509.BasicConstraints] == x509.BasicConstraints(ca=False, path_length=None)
    assert said[x509.SubjectAlternativeName] == x509.SubjectAlternativeName(
        [x509.DNSName("node-a"), x509.IPAddress(ip_address("192.0.2.7"))]
    )
    usage = said[x509.KeyUsage]
    assert isinstance(usage, x509.KeyUsage)
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert said.keys() - {x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier} == {
        x509.ExtendedKeyUsage,
        x509.BasicConstraints,
        x509.SubjectAlternativeName,
        x509.KeyUsage,
    }


def test_who_is_five_minutes_behind_the_operator_takes_what_it_has_just_signed_and_who_is_more_does_not() -> None:
    authority = new_authority(NOW)
    certificate = issued(authority)
    store = Store([authority.certificate])

    def good(peer: datetime) -> bool:
        verifier = PolicyBuilder().store(store).time(peer).build_server_verifier(x509.DNSName("node-a"))
        try:
            return verifier.verify(certificate, [])[0] == certificate
        except VerificationError:
            return False

    assert good(NOW)
    assert good(NOW - timedelta(minutes=5))
    assert not good(NOW - timedelta(minutes=5, seconds=1))


def test_no_certificate_outlives_its_authority() -> None:
    authority = new_authority(NOW - LIFETIME + timedelta(seconds=60))
    assert issued(authority).not_valid_after_utc == authority.ends_at == NOW + timedelta(seconds=60)


def test_every_certificate_has_a_number_of_its_own() -> None:
    authority = new_authority(NOW)
    assert issued(authority).serial_number != issued(authority).serial_number


def test_an_authority_lasts_ten_years_and_signs_no_other() -> None:
    certificate = new_authority(NOW).certificate
    assert certificate.not_valid_after_utc - NOW == timedelta(days=3650)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_a_secret_keeps_it_and_the_config_map_has_no_key() -> None:
    authority = new_authority(NOW)
    assert from_secret(authority.secret("hn")).bundle == authority.bundle
    config_map = authority.config_map("hn")
    assert config_map["metadata"] == authority.secret("hn")["metadata"] == {"name": AUTHORITY, "namespace": "hn"}
    assert config_map["data"] == {BUNDLE_KEY: authority.bundle}
    assert "PRIVATE" not in authority.bundle


def an_administrators(key: Any, *, ca: bool | None = True) -> bytes:
    """A certificate of the administrator's own making; without basicConstraints for None."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ours")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + LIFETIME)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def a_secret(certificate: bytes | None, key: Any) -> dict[str, Any]:
    pem = key if isinstance(key, bytes) else key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    data = {"tls.crt": certificate, "tls.key": pem}
    return {"data": {name: base64.b64encode(value).decode() for name, value in data.items() if value is not None}}


RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


def test_an_administrators_own_authority_signs_too() -> None:
    authority = from_secret(a_secret(an_administrators(RSA), RSA))
    issued(authority).verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ({}, "no key 'tls.crt'"),
        (a_secret(None, RSA), "no key 'tls.crt'"),
        (a_secret(b"garbage", RSA), "can't be read"),
        (a_secret(an_administrators(RSA), b"garbage"), "can't be read"),
        ({"data": {"tls.crt": "%", "tls.key": "%"}}, "can't be read"),
        (a_secret(an_administrators(RSA), KEY), "not that of the certificate"),
        (a_secret(an_administrators(RSA, ca=False), RSA), "not that of an authority"),
        (a_secret(an_administrators(RSA, ca=None), RSA), "not that of an authority"),
        (a_secret(an_administrators(ED), ED), "neither EC nor RSA"),
    ],
    ids=["empty", "key alone", "no certificate", "no key", "no base64", "another key", "leaf", "old leaf", "Ed25519"],
)
def test_what_is_no_authority_is_told_from_one(secret: dict[str, Any], words: str) -> None:
    with pytest.raises(BrokenAuthority, match=words):
        from_secret(secret)
