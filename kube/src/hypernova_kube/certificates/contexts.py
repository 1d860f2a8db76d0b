"""SSLContexts that live long: what they show and whom they trust is loaded into them again and again.

OpenSSL copies a context's certificate into each session as it begins. So a session that is open keeps what it began
with, and the next handshake shows the new certificate.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from weakref import WeakSet

from hypernova_kube.certificates.request import Credential


class Contexts:
    """The contexts of one identity."""

    def __init__(self) -> None:
        self._credential: Credential | None = None
        self._bundles: list[str] = []
        # Weakly: some are made anew now and then, by whoever decides himself whom they trust.
        self._certified: WeakSet[ssl.SSLContext] = WeakSet()
        self._trusting: WeakSet[ssl.SSLContext] = WeakSet()

    def certify(self, context: ssl.SSLContext) -> None:
        """Have `context` show the certificate, and each later one."""
        self._certified.add(context)
        if self._credential is not None:
            _load(context, self._credential)

    def trust(self, context: ssl.SSLContext) -> None:
        """Have `context` trust the authority, and each later one."""
        self._trusting.add(context)
        for bundle in self._bundles:
            context.load_verify_locations(cadata=bundle)

    def take_credential(self, credential: Credential) -> None:
        """Show this one from the next handshake on."""
        self._credential = credential
        for context in self._certified:
            _load(context, credential)

    def take_bundle(self, bundle: str) -> None:
        """Trust these authorities too (PEM). OpenSSL forgets none that a context has come to trust.

        Raises:
            ssl.SSLError: that is none.
        """
        if bundle in self._bundles:
            return
        for context in self._trusting:
            context.load_verify_locations(cadata=bundle)
        self._bundles.append(bundle)


def server() -> ssl.SSLContext:
    """A context of a server that lets nobody in without a certificate which is good for clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    # A session that is resumed shows no certificate again: it may have expired meanwhile.
    context.num_tickets = 0
    return _strict(context)


def client() -> ssl.SSLContext:
    """A context of a client that wants the server's certificate to be good for servers, and for its name or address."""
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def peer_names(transport: asyncio.BaseTransport) -> frozenset[str]:
    """The DNS names that the certificate of the other side is good for; none where it has shown none."""
    certificate = transport.get_extra_info("peercert") or {}
    return frozenset(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")


def _strict(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _load(context: ssl.SSLContext, credential: Credential) -> None:
    # Python loads keys from paths alone. This path leads to memory: the key is in no file, and needs no place for one.
    with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
        file.write(credential.pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
