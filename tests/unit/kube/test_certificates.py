"""An identity's certificates: asked for, used, renewed; and what the contexts made of them let in."""

from __future__ import annotations

import asyncio
import base64
import gc
import ssl
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from prometheus_client import CollectorRegistry

from hypernova_api.certificates import AUTHORITY, BUNDLE_KEY, LIFETIME_SECONDS, Signer
from hypernova_kube.backoff import Backoff
from hypernova_kube.certificates import CLIENT_USAGES, SERVER_USAGES, Identity
from hypernova_kube.certificates.contexts import Contexts, client, server
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
from hypernova_kube.client import WatchEvent
from hypernova_kube.errors import NotFound, Unreachable
from hypernova_kube.metrics import Metrics
from hypernova_kube.resources import Object, Resource
from hypernova_operator.controllers.signing.authority import Authority, Contents, new_authority
from support.certificates import Session
from support.virtual_time import now, virtual_time

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
SERVING, CALLING = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def today() -> datetime:
    return datetime.now(UTC)


def certified(
    authority: Authority, name: str, usage: x509.ObjectIdentifier, when: datetime, seconds: int
) -> Credential:
    key = new_key()
    contents = Contents(name, (name,), (ip_address("127.0.0.1"),), usage, key.public_key(), seconds)
    return credential(key, authority.issue(contents, when))


def a_pair(
    authority: Authority,
    *,
    serving: x509.ObjectIdentifier = SERVING,
    calling: x509.ObjectIdentifier = CALLING,
    served_at: datetime | None = None,
    called_at: datetime | None = None,
    called_by: Authority | None = None,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context and a client's, each with a certificate for 600 s from when it was made."""
    made = []
    for context, name, usage, when, by in (
        (server(), "node-a", serving, served_at, authority),
        (client(), "console", calling, called_at, called_by or authority),
    ):
        contexts = Contexts()
        contexts.certify(context)
        contexts.trust(context)
        contexts.take_bundle(authority.bundle)
        contexts.take_credential(certified(by, name, usage, when or today(), 600))
        made.append(context)
    return made[0], made[1]


class TestContexts:
    def test_a_server_and_a_client_of_one_authority_meet(self) -> None:
        session = Session(*a_pair(new_authority(today())), "node-a")
        assert session.says(b"hello") == b"hello"
        assert session.client.version() == "TLSv1.3"
        assert session.server.getpeercert()["subjectAltName"] == (("DNS", "console"), ("IP Address", "127.0.0.1"))

    def test_an_address_is_as_good_as_a_name(self) -> None:
        assert Session(*a_pair(new_authority(today())), "127.0.0.1").says(b"x") == b"x"

    @pytest.mark.parametrize("name", ["node-b", "127.0.0.2", "node-a.example.com"])
    def test_a_server_of_another_name_is_refused(self, name: str) -> None:
        with pytest.raises(ssl.SSLError, match=r"mismatch|not valid for"):
            Session(*a_pair(new_authority(today())), name)

    @pytest.mark.parametrize(
        ("usages", "words"),
        [
            ({"calling": SERVING}, "unsuitable certificate purpose"),
            ({"serving": CALLING}, "unsuitable certificate purpose"),
        ],
        ids=["a server's as a client", "a client's as a server"],
    )
    def test_a_certificate_is_good_for_one_thing(self, usages: dict[str, Any], words: str) -> None:
        with pytest.raises(ssl.SSLError, match=words):
            Session(*a_pair(new_authority(today()), **usages), "node-a")

    @pytest.mark.parametrize(
        ("times", "words"),
        [
            ({"called_at": timedelta(days=-1)}, "certificate has expired"),
            ({"served_at": timedelta(days=-1)}, "certificate has expired"),
            ({"called_at": timedelta(days=1)}, "not yet valid"),
            ({"served_at": timedelta(days=1)}, "not yet valid"),
        ],
        ids=["client expired", "server expired", "client too early", "server too early"],
    )
    def test_a_certificate_out_of_its_time_is_refused(self, times: dict[str, timedelta], words: str) -> None:
        authority = new_authority(today() - timedelta(days=2))
        with pytest.raises(ssl.SSLError, match=words):
            Session(*a_pair(authority, **{name: today() + off for name, off in times.items()}), "node-a")

    def test_a_clock_that_is_minutes_behind_does_no_harm(self) -> None:
        ahead = today() + timedelta(minutes=4)
        assert Session(*a_pair(new_authority(ahead), served_at=ahead, called_at=ahead), "node-a").says(b"x") == b"x"

    def test_a_client_of_another_authority_of_the_same_name_is_refused(self) -> None:
        with pytest.raises(ssl.SSLError, match="verify failed"):
            Session(*a_pair(new_authority(today()), called_by=new_authority(today())), "node-a")

    def test_a_client_without_a_certificate_is_refused(self) -> None:
        authority = new_authority(today())
        serving, _ = a_pair(authority)
        calling = client()
        calling.load_verify_locations(cadata=authority.bundle)
        with pytest.raises(ssl.SSLError, match="did not return a certificate"):
            Session(serving, calling, "node-a")

    def test_nobody_is_let_in_before_there_is_a_certificate(self) -> None:
        authority = new_authority(today())
        _, calling = a_pair(authority)
        with pytest.raises(ssl.SSLError):
            Session(server(), calling, "node-a")

    def test_older_tls_is_refused(self) -> None:
        serving, calling = a_pair(new_authority(today()))
        calling.minimum_version = calling.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError, match="protocol"):
            Session(serving, calling, "node-a")

    def test_a_new_certificate_is_shown_to_the_next_and_the_open_session_goes_on(self) -> None:
        authority, contexts = new_authority(today()), Contexts()
        serving, (_, calling) = server(), a_pair(authority)
        contexts.certify(serving)
        contexts.trust(serving)
        contexts.take_bundle(authority.bundle)
        first, second = (certified(authority, "node-a", SERVING, today(), 600) for _ in range(2))
        contexts.take_credential(first)
        session = Session(serving, calling, "node-a")
        contexts.take_credential(second)
        assert session.says(b"still here") == b"still here"
        assert session.shown == first.certificate
        assert Session(serving, calling, "node-a").shown == second.certificate

    def test_each_handshake_shows_the_certificate_anew(self) -> None:
        serving, calling = a_pair(new_authority(today()))
        session = Session(serving, calling, "node-a")
        session.server.write(b"after which a client would have got its ticket")
        session.client.read(100)
        assert not session.client.session.has_ticket

    def test_a_second_authority_is_trusted_beside_the_first(self) -> None:
        one, two = new_authority(today()), new_authority(today())
        serving, contexts = server(), Contexts()
        contexts.certify(serving)
        contexts.trust(serving)
        contexts.take_credential(certified(one, "node-a", SERVING, today(), 600))
        contexts.take_bundle(one.bundle)
        contexts.take_bundle(two.bundle)
        for authority in (one, two):
            calling = client()
            calling.load_verify_locations(cadata=one.bundle)
            alone = Contexts()
            alone.certify(calling)
            alone.take_credential(certified(authority, "console", CALLING, today(), 600))
            assert Session(serving, calling, "node-a").says(b"x") == b"x"

    def test_a_context_that_nobody_uses_any_more_is_let_go(self) -> None:
        contexts, context = Contexts(), server()
        contexts.certify(context)
        contexts.trust(context)
        gone = weakref.ref(context)
        del context
        gc.collect()
        assert gone() is None

    def test_a_context_that_comes_late_has_all(self) -> None:
        authority, contexts, serving = new_authority(today()), Contexts(), server()
        contexts.take_credential(certified(authority, "node-a", SERVING, today(), 600))
        contexts.take_bundle(authority.bundle)
        contexts.certify(serving)
        contexts.trust(serving)
        assert Session(serving, a_pair(authority)[1], "node-a").says(b"x") == b"x"


class TestRequests:
    def test_a_request_says_who_and_what_for(self) -> None:
        key = new_key()
        pem = signing_request(key, Subject("agent", ("node-a",), (ip_address("192.0.2.7"),)))
        obj = request_object("try-1", pem, signer=Signer.AGENT_SERVING, usages=SERVER_USAGES, seconds=600)
        assert obj["spec"] == {
            "request": base64.b64encode(pem).decode(),
            "signerName": "compute.hypernova.dev/agent-serving",
            "usages": ["digital signature", "server auth"],
            "expirationSeconds": 600,
        }
        request = x509.load_pem_x509_csr(pem)
        assert request.is_signature_valid
        assert request.public_key() == key.public_key()
        assert isinstance(key.curve, ec.SECP256R1)

    @pytest.mark.parametrize(
        ("status", "cause", "words"),
        [
            ({"conditions": [{"type": "Denied", "reason": "WrongName", "message": "no"}]}, "denied", "^no$"),
            ({"conditions": [{"type": "Approved"}, {"type": "Failed", "reason": "Odd"}]}, "failed", "Odd"),
            ({"conditions": [{"type": "Denied"}]}, "denied", "no reason"),
            ({"certificate": "%"}, "unusable", "base64"),
        ],
        ids=["denied", "failed", "without a word", "garbage"],
    )
    def test_a_no_is_told_in_its_own_words(self, status: Object, cause: str, words: str) -> None:
        with pytest.raises(NoCertificate, match=words) as refusal:
            answer({"status": status})
        assert refusal.value.cause == cause

    @pytest.mark.parametrize("obj", [{}, {"status": {}}, {"status": {"conditions": [{"type": "Approved"}]}}])
    def test_what_is_not_signed_yet_is_pending(self, obj: Object) -> None:
        assert answer(obj) is None

    def test_a_certificate_of_another_key_is_not_used(self) -> None:
        authority = new_authority(today())
        others = certified(authority, "node-a", SERVING, today(), 600)
        with pytest.raises(NoCertificate, match="another key"):
            credential(new_key(), others.certificate.public_bytes(Encoding.PEM))

    def test_what_is_no_certificate_is_not_used(self) -> None:
        with pytest.raises(NoCertificate, match="no certificate"):
            credential(new_key(), b"garbage")

    def test_a_key_does_not_get_into_a_log(self) -> None:
        assert "PRIVATE" not in repr(certified(new_authority(today()), "node-a", SERVING, today(), 600))


Signs = Callable[[Object], Object | Exception | None]
"""What becomes of a request: the status it gets, or what its creation raises; None: it stays pending."""


class FakeCluster:
    """Stands in for a Client: the ConfigMap of an authority, and requests that `signs` answers."""

    def __init__(self, authority: Authority | None, signs: Signs) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.signs = signs
        self.requests: dict[str, Object] = {}
        self.asked: list[float] = []
        """When, in the loop's time."""
        self._bundles: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self._version = 0
        if authority is not None:
            self.trust(authority)

    def trust(self, authority: Authority) -> None:
        """Write the ConfigMap."""
        self._version += 1
        metadata = {"name": AUTHORITY, "namespace": "hn", "uid": "1", "resourceVersion": str(self._version)}
        config_map = {"metadata": metadata, "data": {BUNDLE_KEY: authority.bundle}}
        self._bundles.put_nowait(WatchEvent("ADDED", config_map))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"hypernova_certificate_{name}", labels)

    async def create(self, resource: Resource, obj: Object) -> Object:
        assert resource is REQUESTS
        name = obj["metadata"]["name"]
        assert name not in self.requests
        self.asked.append(now())
        status = self.signs(obj)
        if isinstance(status, Exception):
            raise status
        self.requests[name] = obj | {"metadata": {"name": name, "resourceVersion": "1"}, "status": status or {}}
        return self.requests[name]

    async def get(self, resource: Resource, name: str) -> Object:
        if name not in self.requests:
            raise NotFound(404, "NotFound", name)
        return self.requests[name]

    async def stream(self, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
        yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "1"}})

    async def watch(self, resource: Resource, **selectors: Any) -> AsyncGenerator[WatchEvent, None]:
        if resource is REQUESTS:
            await asyncio.sleep(selectors["timeout_seconds"])
            return
        while True:
            try:
                async with asyncio.timeout(60):
                    yield await self._bundles.get()
            except TimeoutError:
                yield WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}})


def signed_by(authority: Authority, *, off: timedelta = timedelta()) -> Signs:
    """As the operator does, by a clock that is `off`."""

    def sign(obj: Object) -> Object:
        request = x509.load_pem_x509_csr(base64.b64decode(obj["spec"]["request"]))
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        contents = Contents("agent", ("node-a",), (), SERVING, key, obj["spec"]["expirationSeconds"])
        return {"certificate": base64.b64encode(authority.issue(contents, clock() + off)).decode()}

    return sign


def clock() -> datetime:
    return BEGIN + timedelta(seconds=now())


@asynccontextmanager
async def identity_of(cluster: FakeCluster, clock: Callable[[], datetime] = clock) -> AsyncIterator[Identity]:
    identity = Identity(
        cluster,
        signer=Signer.AGENT_SERVING,
        common_name="agent",
        dns_names=["node-a"],
        usages=SERVER_USAGES,
        namespace="hn",
        clock=clock,
        backoff=Backoff(rng=Random(1)),
        rng=Random(1),
    )
    task = asyncio.create_task(identity.run())
    try:
        yield identity
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


SIGNER = {"signer": str(Signer.AGENT_SERVING)}


def said(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """What was logged with that event, as error or message."""
    keys = [vars(record)["keys"] for record in caplog.records if record.message == event]
    return [str(each.get("error", each.get("message"))) for each in keys]


class TestIdentity:
    @virtual_time
    async def test_it_is_ready_when_it_has_a_certificate_and_knows_whom_to_trust(self) -> None:
        authority = new_authority(BEGIN)
        cluster = FakeCluster(None, signed_by(authority))
        async with identity_of(cluster) as identity:
            await asyncio.sleep(10)
            assert identity.ends_at == BEGIN + timedelta(seconds=LIFETIME_SECONDS)
            assert not identity.ready.is_set()
            cluster.trust(authority)
            await asyncio.sleep(1)
            assert identity.ready.is_set()
        assert len(cluster.asked) == 1
        assert cluster.metric("renewals_total", **SIGNER) == 1
        expected = (BEGIN + timedelta(seconds=LIFETIME_SECONDS)).timestamp()
        assert cluster.metric("expiry_timestamp_seconds", **SIGNER) == expected

    @virtual_time
    async def test_it_is_renewed_at_about_two_thirds_of_its_life_for_ever(self) -> None:
        authority = new_authority(BEGIN)
        cluster = FakeCluster(authority, signed_by(authority))
        async with identity_of(cluster) as identity:
            await asyncio.sleep(10 * LIFETIME_SECONDS)
            assert identity.ends_at is not None
            assert identity.ends_at > clock()
        waits = [after - before for before, after in zip(cluster.asked, cluster.asked[1:], strict=False)]
        assert len(waits) >= 13
        assert all(0.6 * LIFETIME_SECONDS <= wait <= 0.7 * LIFETIME_SECONDS for wait in waits)
        assert len(set(waits)) > 1

    @virtual_time
    async def test_the_contexts_stay_the_same_objects(self) -> None:
        authority = new_authority(BEGIN)
        cluster = FakeCluster(authority, signed_by(authority))
        async with identity_of(cluster) as identity:
            before = identity.server_context(), identity.client_context()
            await asyncio.sleep(2 * LIFETIME_SECONDS)
            assert (identity.server_context(), identity.client_context()) == before

    @pytest.mark.parametrize(
        ("status", "cause", "words"),
        [
            ({"conditions": [{"type": "Denied", "message": "not yours"}]}, "denied", "not yours"),
            ({"conditions": [{"type": "Failed", "message": "no such"}]}, "failed", "no such"),
            ({"certificate": base64.b64encode(b"garbage").decode()}, "unusable", "what was signed is no certificate"),
            (Unreachable("no route"), "error", "no route"),
        ],
        ids=["denied", "failed", "unusable", "unreachable"],
    )
    def test_a_failure_is_told_counted_and_tried_again_less_and_less_often(
        self, status: Any, cause: str, words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        @virtual_time
        async def test() -> None:
            authority = new_authority(BEGIN)
            cluster = FakeCluster(authority, lambda obj: status)
            async with identity_of(cluster) as identity:
                await asyncio.sleep(3600)
                assert not identity.ready.is_set()
                waits = [after - before for before, after in zip(cluster.asked, cluster.asked[1:], strict=False)]
                assert waits[0] <= 1
                assert 150 <= waits[-1] <= 300
                assert cluster.metric("failures_total", cause=cause, **SIGNER) == len(cluster.asked)
                cluster.signs = signed_by(authority)
                await asyncio.sleep(301)
                assert identity.ready.is_set()

        test()
        assert said(caplog, "no certificate")[0].startswith(words)

    def test_a_request_that_nobody_answers_is_waited_for_and_told(self, caplog: pytest.LogCaptureFixture) -> None:
        @virtual_time
        async def test() -> None:
            authority = new_authority(BEGIN)
            cluster = FakeCluster(authority, lambda obj: None)
            async with identity_of(cluster) as identity:
                await asyncio.sleep(600)
                [(name, obj)] = cluster.requests.items()
                cluster.requests[name] = obj | {"status": signed_by(authority)(obj)}
                await asyncio.sleep(60)
                assert identity.ready.is_set()

        test()
        assert "operator" in said(caplog, "certificate not signed yet")[0]

    @virtual_time
    async def test_a_request_that_is_deleted_is_made_anew(self) -> None:
        authority = new_authority(BEGIN)
        cluster = FakeCluster(authority, lambda obj: None)
        async with identity_of(cluster) as identity:
            await asyncio.sleep(30)
            cluster.requests.clear()
            cluster.signs = signed_by(authority)
            await asyncio.sleep(120)
            assert identity.ready.is_set()

    @pytest.mark.parametrize("off", [timedelta(days=-3), timedelta(days=3)], ids=["expired", "not yet good"])
    def test_a_clock_that_is_wrong_is_told_with_what_to_do(
        self, off: timedelta, caplog: pytest.LogCaptureFixture
    ) -> None:
        @virtual_time
        async def test() -> None:
            authority = new_authority(BEGIN - timedelta(days=9))
            cluster = FakeCluster(authority, signed_by(authority, off=off))
            async with identity_of(cluster) as identity:
                await asyncio.sleep(3600)
                # Others may find it good.
                assert identity.ready.is_set()
                assert len(cluster.asked) < 30
                cluster.signs = signed_by(authority)
                await asyncio.sleep(301)
                asked = len(cluster.asked)
                await asyncio.sleep(3600)
                assert len(cluster.asked) == asked

        test()
        assert "it is 2030-01-01T00:00:00Z here" in said(caplog, "certificate not good")[0]
        assert "set the clock" in said(caplog, "certificate not good")[0]

    @pytest.mark.parametrize("off", [timedelta(days=-3), timedelta(days=3)], ids=["behind", "ahead"])
    @virtual_time
    async def test_a_clock_that_is_set_right_is_believed_within_minutes(self, off: timedelta) -> None:
        authority, offs = new_authority(BEGIN), [off]
        cluster = FakeCluster(authority, signed_by(authority))
        async with identity_of(cluster, lambda: clock() + offs[0]) as identity:
            await asyncio.sleep(3600)
            asked = len(cluster.asked)
            offs[0] = timedelta()
            await asyncio.sleep(301)
            assert len(cluster.asked) == asked + 1
            await asyncio.sleep(3 * LIFETIME_SECONDS)
            assert identity.ends_at is not None
            assert identity.ends_at > clock()
            assert len(cluster.asked) < asked + 7

    @pytest.mark.parametrize("off", [timedelta(hours=-12), timedelta(hours=12)], ids=["back", "forth"])
    @virtual_time
    async def test_a_clock_that_is_set_does_not_let_a_certificate_end(self, off: timedelta) -> None:
        authority, offs = new_authority(BEGIN), [timedelta()]
        cluster = FakeCluster(authority, signed_by(authority))
        async with identity_of(cluster, lambda: clock() + offs[0]) as identity:
            await asyncio.sleep(3600)
            offs[0] = off
            for _ in range(26):
                await asyncio.sleep(3600)
                assert identity.ends_at is not None
                assert identity.ends_at > clock()

    @virtual_time
    async def test_another_authority_is_trusted_and_signs_at_once(self) -> None:
        one, two = new_authority(BEGIN), new_authority(BEGIN)
        cluster = FakeCluster(one, signed_by(one))
        async with identity_of(cluster):
            await asyncio.sleep(60)
            cluster.signs = signed_by(two)
            cluster.trust(two)
            await asyncio.sleep(1)
            assert len(cluster.asked) == 2
            await asyncio.sleep(3600)
            assert len(cluster.asked) == 2

    def test_who_is_told_late_of_another_authority_does_not_ask_all_the_time(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        @virtual_time
        async def test() -> None:
            one, two = new_authority(BEGIN), new_authority(BEGIN)
            cluster = FakeCluster(one, lambda obj: None)
            async with identity_of(cluster):
                await asyncio.sleep(1)
                cluster.signs = signed_by(two)
                cluster.requests.clear()
                await asyncio.sleep(600)
                assert 2 < len(cluster.asked) < 15

        test()
        assert AUTHORITY in said(caplog, "certificate not good")[0]

    @virtual_time
    async def test_a_bundle_that_is_garbage_changes_nothing(self) -> None:
        authority = new_authority(BEGIN)
        cluster = FakeCluster(authority, signed_by(authority))
        async with identity_of(cluster) as identity:
            await asyncio.sleep(1)
            cluster.trust(Garbage(authority.key, authority.certificate))
            await asyncio.sleep(3600)
            assert identity.ready.is_set()
        assert len(cluster.asked) == 1

    def test_an_address_that_is_none_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="node-a"):
            Identity(
                FakeCluster(None, lambda obj: None),
                signer=Signer.AGENT_SERVING,
                common_name="agent",
                addresses=["node-a"],
                usages=CLIENT_USAGES,
                namespace="hn",
            )


class Garbage(Authority):
    """One whose bundle is none."""

    @property
    def bundle(self) -> str:
        return "garbage"
