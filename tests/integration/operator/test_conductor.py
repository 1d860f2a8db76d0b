"""The conductor: real operators answer the agent's own client, on a real API server, for tokens bound to nodes."""

from __future__ import annotations

import base64
import json
import re
import shlex
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_agent.conductor import Conductor
from hypernova_agent.errors import UserDataUnavailable
from hypernova_agent.settings import Settings
from hypernova_agent.user_data import InSecret
from hypernova_api.certificates import AGENT_ACCOUNT, AUTHORITY, BUNDLE_KEY, CONSOLE_ACCOUNT
from hypernova_api.conductor import AUDIENCE, server_name
from hypernova_kube.certificates import contexts
from hypernova_kube.client import Client
from hypernova_kube.errors import Forbidden
from hypernova_kube.resources import Object
from hypernova_operator.conductor.user_data import ACTIONS, SECRETS
from hypernova_operator.controllers.signing.keeping import CONFIG_MAPS
from support.builders import an_action
from support.operators import INSTANCES, Cloud, OperatorProcess
from support.waiting import eventually_async

USER_DATA = b"#!/bin/sh\necho S3CRET \xff\n"
REFERENCE: Object = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}


@dataclass
class Town:
    """A namespace with a Secret, an Instance on a node, and whoever asks for it."""

    cloud: Cloud
    operator: OperatorProcess
    client: Client
    """As the agent of the node."""

    node: str
    folder: Path

    def token(self, account: str = AGENT_ACCOUNT, *, node: str | None = None, audience: str = AUDIENCE) -> str:
        return self.cloud.cluster.service_account_token(NAMESPACE, account, node=node, audience=audience)

    async def instance(self, name: str = "web-1", **spec: object) -> InSecret:
        """One on the node, and how its agent asks for it."""
        uid = (await self.cloud.instance(name, **({"userData": REFERENCE} | spec)))["metadata"]["uid"]
        status = {"status": {"nodeName": self.node}}
        await self.cloud.client.patch(INSTANCES, name, status, self.cloud.namespace, subresource="status")
        return InSecret(self.cloud.namespace, name, uid)

    async def secret(self, content: bytes = USER_DATA, name: str = "web-init") -> None:
        data = {"user-data": base64.b64encode(content).decode()}
        metadata = {"name": name, "namespace": self.cloud.namespace}
        await self.cloud.client.create(SECRETS, {"metadata": metadata, "data": data})

    def open(self) -> None:
        """Let the conductor read the namespace's Secrets."""
        flags = ("--namespace", self.cloud.namespace, "--clusterrole=hypernova-user-data")
        account = f"--serviceaccount={NAMESPACE}:hypernova-operator"
        self.cloud.cluster.kubectl("create", "rolebinding", "user-data", *flags, account)

    async def asked(self, source: InSecret, token: str = "", operator: OperatorProcess | None = None) -> bytes:
        """What an operator hands out, asked once it serves agents."""
        file = self.folder / f"token-{uuid.uuid4().hex[:6]}"
        file.write_text(token or self.token(node=self.node))
        asked = operator or self.operator
        conductor = Conductor(
            self.client, Settings(node_name=self.node, conductor_address=asked.conductor, conductor_token_file=file)
        )

        last: list[str] = []

        async def ask() -> tuple[bytes] | None:
            try:
                return (await conductor.user_data(source),)
            except UserDataUnavailable as refused:
                if refused.reason == "ConductorUnreachable":
                    last.append(str(refused))
                    return None
                raise

        try:
            (content,) = await eventually_async(ask, "the conductor to answer", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; it was {last[-1]}\n{asked.log[-4000:]}") from None
        return content

    async def refused(self, source: InSecret, token: str = "") -> tuple[str, str]:
        """Reason and message."""
        with pytest.raises(UserDataUnavailable) as caught:
            await self.asked(source, token)
        return caught.value.reason, str(caught.value)


@pytest.fixture
async def town(cloud: Cloud, operator: OperatorProcess, tmp_path: Path) -> AsyncIterator[Town]:
    node = f"node-{uuid.uuid4().hex[:6]}"
    login = cloud.cluster.service_account_kubeconfig(NAMESPACE, AGENT_ACCOUNT, node=node)
    async with await Client.connect(login, component="test") as client:
        yield Town(cloud, operator, client, node, tmp_path)


async def test_an_agent_gets_what_its_own_instance_names_byte_for_byte_and_no_log_shows_it(town: Town) -> None:
    town.open()
    await town.secret()
    assert await town.asked(await town.instance()) == USER_DATA
    assert town.operator.metric("hypernova_conductor_requests_total", result="OK") >= 1
    assert "user data handed out" in town.operator.log
    assert "S3CRET" not in town.operator.log
    assert town.token(node=town.node).split(".")[2] not in town.operator.log


async def test_what_the_refusal_says_to_type_is_what_opens_the_namespace(town: Town) -> None:
    await town.secret()
    source = await town.instance()
    reason, message = await town.refused(source)
    assert reason == "UserDataForbidden"
    command = re.search(r"kubectl (create rolebinding .*)", message)
    assert command is not None, message
    town.cloud.cluster.kubectl(*shlex.split(command[1]))

    async def opened() -> bool:
        try:
            return await town.asked(source) == USER_DATA
        except UserDataUnavailable as refused:
            return refused.reason != "UserDataForbidden"

    await eventually_async(opened, "the RoleBinding to be in force")
    assert await town.asked(source) == USER_DATA


async def test_without_a_rolebinding_no_secret_can_be_read_anywhere(town: Town) -> None:
    login = town.cloud.cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
    await town.secret()
    async with await Client.connect(login, component="test") as client:
        for namespace in (town.cloud.namespace, "default", "kube-system", NAMESPACE):
            with pytest.raises(Forbidden):
                await client.get(SECRETS, "web-init", namespace)
        with pytest.raises(Forbidden):
            await client.list(SECRETS)


@pytest.mark.parametrize("reason", ["NoSecret", "NoKey", "TooLarge", "Inline"])
async def test_what_cannot_be_handed_out_says_why(town: Town, reason: str) -> None:
    town.open()
    spec: Object = {}
    match reason:
        case "NoKey":
            await town.secret()
            spec = {"userData": {"secretKeyRef": {"name": "web-init", "key": "other"}}}
        case "TooLarge":
            await town.secret(b"x" * 65537)
        case "Inline":
            spec = {"userData": {"inline": "#!/bin/sh"}}
    expected = {
        "NoSecret": ("UserDataNotFound", "there is no Secret web-init in the Instance's namespace"),
        "NoKey": ("UserDataNotFound", "Secret web-init has no key other"),
        "TooLarge": (
            "UserDataTooLarge",
            "key user-data of Secret web-init is over 64 KiB: let the guest fetch the rest itself",
        ),
        "Inline": ("NoUserData", "Instance web-1 names no Secret"),
    }
    assert await town.refused(await town.instance(**spec)) == expected[reason]


async def test_nobody_but_the_nodes_own_agent_gets_it(town: Town) -> None:
    town.open()
    await town.secret()
    source = await town.instance()
    other = f"node-{uuid.uuid4().hex[:6]}"
    tokens = {
        "of another node's agent": (town.token(node=other), "NotItsNode"),
        "of another account on the node": (town.token(CONSOLE_ACCOUNT, node=town.node), "NotAnAgent"),
        "of an agent on no node": (town.token(), "NotAnAgent"),
        "for the API server": (town.token(node=town.node, audience=""), "Unauthenticated"),
        "for somebody else": (town.token(node=town.node, audience="vault"), "Unauthenticated"),
        "that is none": ("rubbish", "Unauthenticated"),
        "that has ended": (signed_anew(town.cloud.cluster, town.token(node=town.node), exp=1), "Unauthenticated"),
    }
    assert {whose: (await town.refused(source, token))[0] for whose, (token, _) in tokens.items()} == {
        whose: reason for whose, (_, reason) in tokens.items()
    }
    assert await town.asked(source, signed_anew(town.cloud.cluster, town.token(node=town.node))) == USER_DATA


def signed_anew(cluster: Cluster, token: str, **claims: int) -> str:
    """A token with other claims, signed with the cluster's own key: nobody waits ten minutes for one to end."""
    head, body, _ = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "==")) | claims
    text = f"{head}.{_encoded(json.dumps(said).encode())}"
    key = load_pem_private_key((cluster.folder / "pki" / "service-account.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(SHA256())))
    return f"{text}.{_encoded(r.to_bytes(32) + s.to_bytes(32))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


async def test_a_token_is_good_no_longer_than_its_pod(town: Town) -> None:
    town.open()
    await town.secret()
    source, token = await town.instance(), town.token(node=town.node)
    # The agent's other token ends with the Pod as well; whom to trust is asked by somebody else here.
    town = replace(town, client=town.cloud.client)
    assert await town.asked(source, token) == USER_DATA
    admin, pod = town.cloud.cluster.admin, f"/api/v1/namespaces/{NAMESPACE}/pods/{AGENT_ACCOUNT}-{town.node}"
    town.cloud.cluster.kubectl(
        "delete", "pod", f"{AGENT_ACCOUNT}-{town.node}", "--namespace", NAMESPACE, "--grace-period=0", "--force"
    )
    assert not admin.exists(pod)

    async def is_over() -> bool:
        try:
            await town.asked(source, token)
        except UserDataUnavailable as refused:
            return refused.reason == "Unauthenticated"
        return False

    await eventually_async(is_over, "the token to be refused")


async def test_another_instance_of_the_name_is_another(town: Town) -> None:
    town.open()
    await town.secret()
    source = await town.instance()
    gone = InSecret(source.namespace, source.name, "11111111-2222-3333-4444-555555555555")
    assert (await town.refused(gone))[0] == "InstanceNotFound"
    assert (await town.refused(InSecret(source.namespace, "web-2", source.uid)))[0] == "InstanceNotFound"


async def test_no_name_leads_out_of_the_path_of_instances(town: Town) -> None:
    town.open()
    await town.secret()
    await town.asked(await town.instance())
    trust = contexts.client()
    bundle = await town.cloud.client.get(CONFIG_MAPS, AUTHORITY, NAMESPACE)
    trust.load_verify_locations(cadata=bundle["data"][BUNDLE_KEY])
    headers = {"Authorization": f"Bearer {town.token(node=town.node)}"}
    async with aiohttp.ClientSession() as session:
        for name in ("..%2F..%2Fsecrets%2Fweb-init", "web-1%3Fa=b", "web_1", "%20"):
            path = f"/v1/namespaces/{town.cloud.namespace}/instances/{name}/user-data?uid=x"
            url = URL(f"https://{town.operator.conductor}{path}", encoded=True)
            answer = await session.get(url, headers=headers, ssl=trust, server_hostname=server_name(NAMESPACE))
            assert (answer.status, (await answer.json())["reason"]) == (404, "InstanceNotFound"), name


async def test_a_rebuild_gets_what_its_action_names(town: Town) -> None:
    town.open()
    await town.secret()
    await town.secret(b"#anew", "init-2")
    source = await town.instance()
    given = {"userData": {"secretKeyRef": {"name": "init-2", "key": "user-data"}}}
    obj = an_action("Rebuild", "act-1", town.cloud.namespace, rebuild=given)
    action = await town.cloud.client.create(ACTIONS, obj)
    status = {"status": {"phase": "Pending", "nodeName": town.node, "instanceUID": source.uid}}
    await town.cloud.client.patch(ACTIONS, "act-1", status, town.cloud.namespace, subresource="status")
    rebuilt = InSecret(source.namespace, source.name, source.uid, "act-1", action["metadata"]["uid"])
    assert await town.asked(rebuilt) == b"#anew"
    assert await town.asked(source) == USER_DATA
    await town.cloud.client.delete(ACTIONS, "act-1", town.cloud.namespace)
    reason, message = await town.refused(rebuilt)
    assert reason == "UserDataNotFound"
    assert "InstanceAction act-1, which named the Secret, is no longer there" in message


async def test_a_standby_answers_too(town: Town) -> None:
    town.open()
    await town.secret()
    source = await town.instance()
    standby = OperatorProcess(town.cloud.cluster, town.folder, "standby")
    standby.start()
    try:
        assert await town.asked(source, operator=standby) == USER_DATA
        assert not standby.leads
    finally:
        standby.stop()


async def test_with_another_authority_the_conductor_shows_another_certificate_that_agents_trust(town: Town) -> None:
    town.open()
    await town.secret()
    source = await town.instance()
    assert await town.asked(source) == USER_DATA

    async def bundle() -> str:
        return str((await town.cloud.client.get(CONFIG_MAPS, AUTHORITY, NAMESPACE))["data"][BUNDLE_KEY])

    before = await bundle()
    await town.cloud.client.delete(SECRETS, AUTHORITY, NAMESPACE)

    async def is_another() -> bool:
        return await bundle() != before

    await eventually_async(is_another, "another authority", 60)
    # Agents trust the new one alone by now: they answer only once it shows a certificate of that.
    assert await town.asked(source) == USER_DATA
