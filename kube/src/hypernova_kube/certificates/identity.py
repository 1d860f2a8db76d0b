"""One identity: gets its certificate, renews it in time, and keeps contexts that show it and trust our authority."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from ipaddress import ip_address

from cryptography import x509

from hypernova_api.certificates import AUTHORITY, BUNDLE_KEY, LIFETIME_SECONDS
from hypernova_kube.backoff import Backoff
from hypernova_kube.certificates import contexts
from hypernova_kube.certificates.contexts import Contexts
from hypernova_kube.certificates.request import (
    REQUESTS,
    Credential,
    NoCertificate,
    Subject,
    answer,
    credential,
    new_key,
    request_object,
    signing_request,
)
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, in_words
from hypernova_kube.process.logs import get_logger
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Resource

log = get_logger(__name__)

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")

RENEWED_AFTER = (0.6, 0.7)
"""Parts of its life: apart, so that all who got theirs together do not come back together."""

LOOK_SECONDS = 60.0
"""How often the clock is looked at: it may be set, and a machine that was suspended wakes up late."""

ANSWER_SECONDS = 60.0
"""How long an answer is waited for before it is said that there is none yet."""

_SPARE_SECONDS = 15.0
"""How much longer than that the end of a watch may take."""


class Identity:
    """A certificate for whoever we are to others, and the TLS contexts made of it.

    The contexts are the same objects for ever and are reloaded in place: open sessions stay, and the next handshake
    uses the newest certificate. Before `ready`, every handshake with them fails.
    """

    def __init__(
        self,
        client: Client,
        *,
        signer: str,
        common_name: str,
        dns_names: Sequence[str] = (),
        addresses: Sequence[str] = (),
        usages: Sequence[str],
        namespace: str,
        lifetime_seconds: int = LIFETIME_SECONDS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: Backoff | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """An identity that has no certificate yet; `run()` gets it.

        Args:
            client: who asks.
            signer: spec.signerName, one of `hypernova_api.certificates.Signer`.
            common_name: of the certificate's subject.
            dns_names: that the certificate is to be good for.
            addresses: IP addresses that it is to be good for.
            usages: SERVER_USAGES or CLIENT_USAGES.
            namespace: Hypernova's, where the ConfigMap is that says whom to trust.
            lifetime_seconds: how long a certificate is to last; the API server takes no less than 600.
            clock: the time of day, in UTC.
            backoff: waits between failures.
            rng: spreads the renewals.

        Raises:
            ValueError: an address is none.
        """
        self.ready = asyncio.Event()
        """Set when there are a certificate and an authority to trust, and from then on."""

        self._client = client
        self._signer = str(signer)
        self._subject = Subject(common_name, tuple(dns_names), tuple(ip_address(each) for each in addresses))
        self._usages = tuple(usages)
        self._lifetime = lifetime_seconds
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._rng = rng or random.SystemRandom()
        self._contexts = Contexts()
        self._server, self._as_client = contexts.server(), contexts.client()
        for context in (self._server, self._as_client):
            self._contexts.certify(context)
            self._contexts.trust(context)
        self._credential: Credential | None = None
        self._authorities: list[x509.Certificate] = []
        self._due = asyncio.Event()
        self._bundle = Reflector(
            client, CONFIG_MAPS, self._on_bundle, namespace=namespace, field_selector=f"metadata.name={AUTHORITY}"
        )

    @property
    def ends_at(self) -> datetime | None:
        """When the certificate in use ends; None while there is none."""
        return None if self._credential is None else self._credential.ends_at

    def server_context(self) -> ssl.SSLContext:
        """For a server that lets in whoever shows a client's certificate of our authority; look at `peer_names` too."""
        return self._server

    def client_context(self) -> ssl.SSLContext:
        """For a client that shows the certificate and checks the server's, and its name, against our authority."""
        return self._as_client

    def certify(self, context: ssl.SSLContext) -> None:
        """Have `context` show the certificate, now and after each renewal; whom it trusts is its maker's business."""
        self._contexts.certify(context)

    def renew(self) -> None:
        """Get a new certificate now, rather than when it is time."""
        self._due.set()

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bundle.run(), name="authority")
            group.create_task(self._keep_certified(), name="certificate")

    async def _keep_certified(self) -> None:
        while True:
            self._due.clear()
            try:
                new = await self._new_credential()
            except (NoCertificate, KubeError) as error:
                cause = error.cause if isinstance(error, NoCertificate) else "error"
                self._client.metrics.certificate_failures.labels(self._signer, cause).inc()
                wait = self._backoff.next(self._signer)
                log.warning("no certificate", signer=self._signer, cause=cause, error=in_words(error), retry_in_s=wait)
                await self._pause(wait)
                continue
            self._take(new)
            if doubt := self._doubt(new, self._clock()):
                # Others may find it good: it is in use all the same.
                wait = self._backoff.next(self._signer)
                log.error("certificate not good", signer=self._signer, message=doubt, retry_in_s=wait)
                await self._pause(wait)
            else:
                self._backoff.forget(self._signer)
                await self._due_for_renewal(new)

    async def _new_credential(self) -> Credential:
        """Asks for a certificate, and waits for it for as long as the request is there.

        Raises:
            NoCertificate: there will be none.
            KubeError: the API server does not answer, or refuses.
        """
        key = new_key()
        # Never a name that was used before: the answer to that one would be for a key that is gone.
        name = f"{self._signer.rpartition('/')[2]}-{secrets.token_hex(8)}"
        request = signing_request(key, self._subject)
        await self._client.create(
            REQUESTS,
            request_object(name, request, signer=self._signer, usages=self._usages, seconds=self._lifetime),
        )
        while (chain := await self._answer(name)) is None:
            log.warning(
                "certificate not signed yet",
                signer=self._signer,
                name=name,
                message="the operator signs it; see that one runs and leads",
            )
        return credential(key, chain)

    async def _answer(self, name: str) -> bytes | None:
        """The certificate; None if it is still pending after ANSWER_SECONDS."""
        obj = await self._client.get(REQUESTS, name)
        if (chain := answer(obj)) is not None:
            return chain
        events = self._client.watch(
            REQUESTS,
            resource_version=obj["metadata"]["resourceVersion"],
            field_selector=f"metadata.name={name}",
            timeout_seconds=ANSWER_SECONDS,
            bookmarks=False,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS + _SPARE_SECONDS), aclosing(events):
                async for event in events:
                    if event.type == "DELETED":
                        raise NoCertificate("deleted", f"the request {name} was deleted before anybody had signed it")
                    if (chain := answer(event.object)) is not None:
                        return chain
        return None

    def _take(self, new: Credential) -> None:
        self._contexts.take_credential(new)
        self._credential = new
        metrics = self._client.metrics
        metrics.certificate_renewals.labels(self._signer).inc()
        metrics.certificate_expiry.labels(self._signer).set(new.ends_at.timestamp())
        log.info("certificate in use", signer=self._signer, message=f"good until {_text(new.ends_at)}")
        self._be_ready()

    def _doubt(self, new: Credential, now: datetime) -> str:
        """What is wrong with it in our eyes, as a sentence; empty if nothing is."""
        if not new.begins_at <= now < new.ends_at:
            return (
                f"it is {_text(now)} here, and the certificate is good from {_text(new.begins_at)} to "
                f"{_text(new.ends_at)}: set the clock of this machine, or of the one where the operator runs"
            )
        if self._authorities and not new.is_of(self._authorities):
            return f"it is of none of the authorities that the ConfigMap {AUTHORITY} names"
        return ""

    async def _due_for_renewal(self, new: Credential) -> None:
        """Until most of its life is over, or a new one is wanted at once.

        By the time of day, as a machine that was suspended is late by all other clocks; and by the others, as that may
        have been set back.
        """
        loop, now = asyncio.get_running_loop(), self._clock()
        life = (new.ends_at - now) * self._rng.uniform(*RENEWED_AFTER)
        day, end = now + life, loop.time() + life.total_seconds()
        while (left := min((day - self._clock()).total_seconds(), end - loop.time())) > 0 and not self._due.is_set():
            await self._pause(min(left, LOOK_SECONDS))

    async def _pause(self, seconds: float) -> None:
        """For so long, whatever the time of day is set to; or until a new one is wanted at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()

    def _on_bundle(self, change: Change) -> None:
        if change.new is None:
            log.warning("authority gone", name=AUTHORITY, message="whom it named is trusted on; the operator makes it")
            return
        bundle = change.new.get("data", {}).get(BUNDLE_KEY, "")
        try:
            authorities = x509.load_pem_x509_certificates(bundle.encode())
            self._contexts.take_bundle(bundle)
        except (ValueError, ssl.SSLError) as error:
            log.error("authority not understood", name=AUTHORITY, error=in_words(error))
            return
        self._authorities = authorities
        log.info("authority trusted", name=AUTHORITY, count=len(authorities))
        if self._credential is not None and not self._credential.is_of(authorities):
            # Those who come to trust the new one alone would not let us in.
            self.renew()
        self._be_ready()

    def _be_ready(self) -> None:
        if self._credential is not None and self._authorities:
            self.ready.set()


def _text(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
