"""Requests are answered once, whoever else answers, and whenever the one who answers dies."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry

from hypernova_api.certificates import CONSOLE_NAME, Signer
from hypernova_kube.certificates import CLIENT_USAGES
from hypernova_kube.certificates.request import REQUESTS, answer
from hypernova_kube.errors import Unreachable
from hypernova_kube.resources import NODES, Key, Object
from hypernova_operator.controllers.signing.keeping import Keeper
from hypernova_operator.controllers.signing.signer import PODS, RETRY_SECONDS, RequestSigner
from hypernova_operator.metrics import Metrics
from support.builders import a_node
from support.certificates import a_request, a_signing_request
from support.fake_api import FakeApi, Trouble

NAMESPACE = "hypernova-system"
KEY = Key("", "try-1")
AGENT = f"system:serviceaccount:{NAMESPACE}:hypernova-node-agent"
CONSOLE = f"system:serviceaccount:{NAMESPACE}:hypernova-console"


def an_agents(*names: str, address: str = "") -> Object:
    wanted: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    if address:
        wanted.append(x509.IPAddress(ip_address(address)))
    claims = {"node_name": ["node-a"], "pod_name": ["agent-x"], "pod_uid": ["uid-1"]}
    return a_signing_request(a_request(wanted), username=AGENT, **claims)


class Leader:
    """A signer of its own, and its keeper."""

    def __init__(self, api: FakeApi, **other: Any) -> None:
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        self.keeper = Keeper(api.client(), NAMESPACE, metrics)
        client = api.client(**other)
        self._signer = RequestSigner(client, NAMESPACE, self.keeper, metrics, wall_clock=lambda: datetime.now(UTC))

    async def looks(self) -> float | None:
        return await self._signer.reconcile(KEY)

    def count(self, what: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"hypernova_certificates_{what}_total", labels)


async def a_leader(api: FakeApi, **other: Any) -> Leader:
    leader = Leader(api, **other)
    await leader.keeper.keep()
    return leader


def an_api(obj: Object) -> FakeApi:
    """With a request, and the node that it comes from."""
    api = FakeApi()
    api.put(REQUESTS, obj)
    api.put(NODES, a_node())
    api.requests.clear()
    return api


def conditions(api: FakeApi) -> list[tuple[str, str]]:
    """Type and reason of each."""
    found = api.find(REQUESTS, KEY)["status"]["conditions"]
    return [(each["type"], each["reason"]) for each in found]


async def test_what_is_allowed_is_approved_and_signed_in_two_writes() -> None:
    api = an_api(an_agents("node-a"))
    leader = await a_leader(api)
    api.requests.clear()
    assert await leader.looks() is None
    chain = answer(api.find(REQUESTS, KEY))
    assert chain is not None
    x509.load_pem_x509_certificate(chain)
    assert conditions(api) == [("Approved", "Allowed")]
    assert api.requests.count("patch") == 2
    assert leader.count("signed", signer=str(Signer.AGENT_SERVING)) == 1


async def test_what_is_denied_is_denied_once() -> None:
    api = an_api(an_agents("node-b"))
    leader = await a_leader(api)
    for _ in range(3):
        assert await leader.looks() is None
    assert conditions(api) == [("Denied", "WrongName")]
    assert leader.count("denied", signer=str(Signer.AGENT_SERVING), reason="WrongName") == 1


async def test_garbage_is_denied_like_anything_else() -> None:
    obj = an_agents("node-a")
    obj["spec"]["request"] = base64.b64encode(b"\0" * 100).decode()
    api = an_api(obj)
    assert await (await a_leader(api)).looks() is None
    assert conditions(api) == [("Denied", "NotUnderstood")]


async def test_an_agent_of_a_node_that_is_gone_is_denied() -> None:
    api = FakeApi()
    api.put(REQUESTS, an_agents("node-a"))
    await (await a_leader(api)).looks()
    assert conditions(api) == [("Denied", "NoNode")]


async def test_the_address_of_an_agents_pod_is_its_own() -> None:
    api = an_api(an_agents("node-a", address="10.1.1.1"))
    spec = {"nodeName": "node-a", "serviceAccountName": "hypernova-node-agent"}
    metadata = {"name": "agent-x", "namespace": NAMESPACE, "uid": "uid-1"}
    api.put(PODS, {"metadata": metadata, "spec": spec, "status": {"podIPs": [{"ip": "10.1.1.1"}]}})
    await (await a_leader(api)).looks()
    assert answer(api.find(REQUESTS, KEY))


async def test_the_console_on_a_node_has_no_address_of_the_node() -> None:
    names = [x509.DNSName(CONSOLE_NAME), x509.IPAddress(ip_address("192.0.2.7"))]
    obj = a_signing_request(
        a_request(names, common_name=CONSOLE_NAME),
        username=CONSOLE,
        signer=Signer.CONSOLE_CLIENT,
        usages=CLIENT_USAGES,
        node_name=["node-a"],
    )
    api = an_api(obj)
    addresses = [{"type": "InternalIP", "address": "192.0.2.7"}]
    api.put(NODES, a_node() | {"status": {"addresses": addresses}})
    await (await a_leader(api)).looks()
    assert conditions(api) == [("Denied", "WrongAddress")]


async def test_what_was_approved_when_the_leader_died_is_signed_by_the_next() -> None:
    api = an_api(an_agents("node-a"))
    writes = iter([None, Trouble(refused=Unreachable("died"))])
    first = await a_leader(api, trouble=lambda verb: next(writes) if verb == "patch" else None)
    with pytest.raises(Unreachable):
        await first.looks()
    assert conditions(api) == [("Approved", "Allowed")]
    await (await a_leader(api)).looks()
    assert answer(api.find(REQUESTS, KEY))
    assert conditions(api) == [("Approved", "Allowed")]


async def test_of_two_leaders_at_once_one_is_believed() -> None:
    api = an_api(an_agents("node-a"))
    one = await a_leader(api)
    said: list[str] = []

    def trouble(verb: str) -> Trouble | None:
        if verb == "patch" and not said:
            said.append(verb)
            # Another has written since this one has read.
            api.put(REQUESTS, api.find(REQUESTS, KEY))
        return None

    two = await a_leader(api, trouble=trouble)
    assert await two.looks() == 0.0
    assert "certificate" not in api.find(REQUESTS, KEY)["status"]
    await one.looks()
    signed = answer(api.find(REQUESTS, KEY))
    assert await two.looks() is None
    assert answer(api.find(REQUESTS, KEY)) == signed


async def test_what_somebody_approved_against_the_rules_fails() -> None:
    obj = an_agents("node-b")
    obj["status"]["conditions"] = [{"type": "Approved", "status": "True", "reason": "Me"}]
    api = an_api(obj)
    await (await a_leader(api)).looks()
    assert conditions(api) == [("Approved", "Me"), ("Failed", "WrongName")]


async def test_without_an_authority_it_is_looked_at_again() -> None:
    api = an_api(an_agents("node-a"))
    assert await Leader(api).looks() == RETRY_SECONDS


async def test_a_request_that_is_gone_is_forgotten() -> None:
    assert await (await a_leader(FakeApi())).looks() is None
