"""A certificate authority for tests of TLS, and contexts with certificates of its making.

authority = Authority()
server = authority.server("node-a")                       good for that name and for 127.0.0.1
client = authority.client("hypernova-console")            shows that name, and trusts the authority
"""

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


class Authority:
    """See the module."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self._certificate = (
            _builder(self._name, self._key.public_key(), self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def server(self, name: str) -> ssl.SSLContext:
        """A server's context, which wants a certificate of this authority from its clients."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._equip(context, name, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, name: str, *, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH) -> ssl.SSLContext:
        """A client's context; of another `usage`, it shows a certificate that is not meant for clients."""
        return self._equip(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), name, usage)

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return _pem(self._certificate)

    def trusting(self) -> ssl.SSLContext:
        """A context of a client that shows no certificate."""
        return ssl.create_default_context(cadata=self.pem)

    def _equip(self, context: ssl.SSLContext, name: str, usage: x509.ObjectIdentifier) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(cadata=self.pem)
        self.certify(context, name, usage)
        return context

    def certify(
        self,
        context: ssl.SSLContext,
        name: str,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        off: datetime.timedelta = datetime.timedelta(),
    ) -> None:
        """Have a context show a certificate; whom it trusts is not touched.

        `off` is how far the clock of whoever signs it is ahead: by a day or more, it is no good, or not any more.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key(), self._name, off)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        text = _pem(certificate).encode() + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.memfd_create("certificate"), "wb") as file:
            file.write(text)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    off: datetime.timedelta = datetime.timedelta(),
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC) + off
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _DAY).not_valid_after(now + _DAY)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
