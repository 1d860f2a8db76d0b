"""The console proxy's API as the API server and its users meet it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import WSMsgType

from hack.devcluster.errors import ClusterError
from hypernova_api.certificates import CONSOLE_NAME
from hypernova_api.console import LONGEST_MESSAGE, SUBRESOURCES_GROUP, CloseCode
from hypernova_console.aggregated.discovery import AGGREGATED, GROUP_VERSION
from hypernova_console.aggregated.discovery import SUBRESOURCES as OURS
from hypernova_console.instances import INSTANCES, Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.rights import Rights
from hypernova_console.session import SESSIONS
from hypernova_console.sessions import Sessions
from hypernova_kube.client import Client
from hypernova_kube.errors import ApiError, Forbidden, Invalid, NotFound, ServerError
from support.console_town import GREETING, PNG, PUBLIC_URL, SUBRESOURCES, Town
from support.waiting import eventually, eventually_async

GROUP_PATH = f"/apis/{GROUP_VERSION}"


def path(town: Town, subresource: str, name: str = "web-1") -> str:
    return f"{GROUP_PATH}/namespaces/{town.namespace}/instances/{name}/{subresource}"


def look(client: Client, town: Town, what: str = "vnc", name: str = "web-1", **params: str):
    """A WebSocket, through the API server."""
    return client.websocket(SUBRESOURCES, name, town.namespace, what, params, longest_message=LONGEST_MESSAGE)


async def refusal(client: Client, town: Town, what: str = "vnc", name: str = "web-1") -> ApiError:
    with pytest.raises(ApiError) as refused:
        async with look(client, town, what, name):
            pass
    return refused.value


async def ask_ticket(client: Client, town: Town, name: str = "web-1", **spec: object):
    return await client.create_at(SUBRESOURCES, name, {"spec": spec}, town.namespace, "ticket")


async def closed(viewer: aiohttp.ClientWebSocketResponse, seconds: float = 30) -> tuple[int | None, str]:
    """Code and reason of a viewer's end."""
    async with asyncio.timeout(seconds):
        while (message := await viewer.receive()).type is WSMsgType.BINARY:
            pass
    assert message.type is WSMsgType.CLOSE, message
    return message.data, message.extra


# Discovery


def test_discovery_has_the_subresources_and_nothing_that_could_be_listed(town: Town):
    admin = town.cluster.admin
    verbs = {each["name"]: each["verbs"] for each in admin.get(GROUP_PATH)["resources"]}
    assert verbs == {"instances": []} | {f"instances/{each.name}": [each.verb] for each in OURS}
    groups = admin.get("/apis", accept=AGGREGATED)["items"]
    (group,) = (each for each in groups if each["metadata"]["name"] == SUBRESOURCES_GROUP)
    (version,) = group["versions"]
    assert version["freshness"] == "Current"
    assert {each["subresource"] for each in version["resources"][0]["subresources"]} == {each.name for each in OURS}
    assert town.cluster.kubectl("api-resources", f"--api-group={SUBRESOURCES_GROUP}", "--no-headers") == ""
    listed = town.cluster.kubectl("api-resources", "--verbs=list", "--namespaced", "--output=name").split()
    assert [name for name in listed if name.startswith("instances.")] == ["instances.compute.hypernova.dev"]


async def test_instances_are_still_those_of_everybody(town: Town):
    for name in ("instances", "instance", "inst", "Instance"):
        assert "web-1" in await town.kubectl("get", name)
    assert "web-1" in await town.kubectl("get", "hypernova")


def test_the_api_server_takes_the_openapi_documents_into_its_own(town: Town):
    admin, log = town.cluster.admin, town.cluster.components["kube-apiserver"].log
    read = log.stat().st_size
    definition = "dev.hypernova.compute.subresources.v1alpha1.ConsoleTicket"
    eventually(lambda: definition in admin.get("/openapi/v2")["definitions"], "OpenAPI v2")
    eventually(lambda: f"apis/{GROUP_VERSION}" in admin.get("/openapi/v3")["paths"], "OpenAPI v3")
    paths = admin.get(f"/openapi/v3/apis/{GROUP_VERSION}")["paths"]
    assert {each.rpartition("/")[2] for each in paths} == {each.name for each in OURS}
    errors = [line for line in log.read_text()[read:].splitlines() if line.startswith("E") and GROUP_VERSION in line]
    assert errors == []


def test_what_is_not_there_is_not_found_in_kubernetes_words(town: Town):
    for unknown in ("instances", "instances/web-1", "instances/web-1/nothing", "instances/web-2/screenshot"):
        with pytest.raises(ClusterError, match=r"Error from server \(NotFound\)"):
            town.cluster.kubectl("get", "--raw", f"{GROUP_PATH}/namespaces/{town.namespace}/{unknown}")


async def test_a_namespace_is_deleted_with_its_sessions_while_the_proxy_serves(town: Town):
    await ask_ticket(town.client, town)
    assert len(await town.sessions()) == 1
    await town.client.delete(INSTANCES, "web-1", town.namespace)
    await town.client.patch(INSTANCES, "web-1", {"metadata": {"finalizers": None}}, town.namespace)
    await town.no_sessions()  # by Kubernetes' garbage collection
    await town.kubectl("delete", "namespace", town.namespace, "--timeout=50s")


# Rights


@pytest.mark.parametrize(("role", "answer"), [("edit", "yes"), ("admin", "yes"), ("view", "no")])
async def test_can_i_tells_who_may_have_a_console(town: Town, role: str, answer: str):
    await town.user("ann", role)
    deeds = [("get", name) for name in ("vnc", "serial", "screenshot")] + [("create", "ticket")]
    for verb, subresource in deeds:
        ask = ["auth", "can-i", verb, f"instances.{SUBRESOURCES_GROUP}", f"--subresource={subresource}"]
        as_ann = f"--as=system:serviceaccount:{town.namespace}:ann"
        if answer == "yes":
            assert await town.kubectl(*ask, as_ann) == "yes\n"
        else:
            with pytest.raises(ClusterError):
                await town.kubectl(*ask, as_ann)


async def test_who_may_view_gets_no_console_and_sees_no_sessions(town: Town):
    ann = await town.user("ann", "view")
    assert isinstance(await refusal(ann, town), Forbidden)
    with pytest.raises(Forbidden):
        await ask_ticket(ann, town)
    with pytest.raises(Forbidden):
        await ann.get_bytes(path(town, "screenshot"))
    with pytest.raises(Forbidden):
        await ann.list(SESSIONS, namespace=town.namespace)
    assert town.agent.asked == []


async def test_rights_are_by_subresource_and_by_name(town: Town):
    await town.place("web-2")
    ann = await town.user("ann")
    resource = f"--resource=instances.{SUBRESOURCES_GROUP}/serial"
    await town.kubectl("create", "role", "serial-of-web-2", "--verb=get", resource, "--resource-name=web-2")
    await town.grant("ann", "--role=serial-of-web-2")
    async with look(ann, town, "serial", "web-2") as viewer:
        assert await viewer.receive_bytes() == GREETING
    assert isinstance(await refusal(ann, town, "vnc", "web-2"), Forbidden)
    assert isinstance(await refusal(ann, town, "serial", "web-1"), Forbidden)


async def test_to_make_a_ticket_takes_the_right_to_the_console_too(town: Town):
    ann = await town.user("ann")
    resource = f"--resource=instances.{SUBRESOURCES_GROUP}/ticket"
    await town.kubectl("create", "role", "tickets", "--verb=create", resource)
    await town.grant("ann", "--role=tickets")
    with pytest.raises(Forbidden, match="may not get instances/vnc"):
        await ask_ticket(ann, town)
    assert await town.sessions() == []


async def test_nobody_writes_a_session_in_anothers_name(town: Town):
    ann = await town.user("ann", "admin")
    everything = {"apiGroups": ["compute.hypernova.dev"], "resources": ["*"], "verbs": ["*"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "all"}}
    await town.kubectl("apply", "--filename=-", stdin=json.dumps(role | {"rules": [everything]}))
    await town.grant("ann", "--role=all")
    await ask_ticket(town.client, town)
    (theirs,) = await town.sessions()

    async def may_write() -> bool:
        try:
            await ann.patch(SESSIONS, theirs["metadata"]["name"], {"metadata": {"labels": {"a": "b"}}}, town.namespace)
        except Forbidden:
            return False
        return True

    await eventually_async(may_write, "the role to be in force")
    spec = {**theirs["spec"], "user": {"username": "system:admin"}}
    forged = {"metadata": {"name": "forged", "namespace": town.namespace}, "spec": spec}
    with pytest.raises(Forbidden, match="ConsoleSessions are made by the console proxy alone"):
        await ann.create(SESSIONS, {"apiVersion": SESSIONS.api_version, "kind": SESSIONS.kind, **forged})
    with pytest.raises(Forbidden, match="ConsoleSessions are made by the console proxy alone"):
        await ann.patch(
            SESSIONS,
            theirs["metadata"]["name"],
            {"status": {"keyDigest": "0" * 64}},
            town.namespace,
            subresource="status",
        )
    await ann.delete(SESSIONS, theirs["metadata"]["name"], town.namespace)


# Consoles


async def test_a_console_goes_through_the_api_server_to_the_agent_and_back(town: Town):
    ann = await town.user("ann", "edit")
    async with look(ann, town, readOnly="true", takeOver="true") as viewer:
        assert await viewer.receive_bytes() == GREETING
        await viewer.send_bytes(bytes(range(256)) * 64)
        assert await viewer.receive_bytes() == bytes(range(256)) * 64
        (session,) = await town.sessions()
        (asked,) = town.agent.asked
        assert asked == {
            "path": f"/v1/namespaces/{town.namespace}/instances/web-1/vnc",
            "uid": session["spec"]["instanceUID"],
            "user": f"system:serviceaccount:{town.namespace}:ann",
            "session": f"{town.namespace}/{session['metadata']['name']}",
            "readOnly": "true",
            "takeOver": "true",
        }
        assert town.agent.peers == [frozenset({CONSOLE_NAME})]
        assert session["status"]["startedAt"]
        assert "ticket" not in session["spec"]
    await town.no_sessions()


async def test_a_session_says_all_that_the_api_server_knows_of_its_user(town: Town):
    ann = await town.user("ann", "edit")
    await ask_ticket(ann, town, type="Serial", readOnly=True)
    (session,) = await town.sessions()
    user = session["spec"]["user"]
    assert user["username"] == f"system:serviceaccount:{town.namespace}:ann"
    assert {"system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{town.namespace}"} == set(
        user["groups"]
    )
    (credential,) = user["extra"]["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("JTI=")
    assert (session["spec"]["type"], session["spec"]["readOnly"]) == ("Serial", True)


async def test_why_a_guest_is_gone_reaches_the_viewer(town: Town):
    async with look(town.client, town) as viewer:
        await viewer.send_bytes(b"off")
        assert await closed(viewer) == (CloseCode.GUEST_OFF, "the guest was shut down")


async def test_who_deletes_the_session_ends_the_console(town: Town):
    ann = await town.user("ann", "edit")
    async with look(ann, town) as viewer:
        await viewer.receive_bytes()
        await town.kubectl("delete", "consolesessions", "--all")
        assert (await closed(viewer))[0] == CloseCode.REVOKED


async def test_who_loses_the_right_loses_the_console(town: Town):
    ann = await town.user("ann")
    binding = await town.grant("ann", "--clusterrole=edit")
    async with look(ann, town) as viewer:
        await viewer.receive_bytes()
        await town.kubectl("delete", "rolebinding", binding)
        assert await closed(viewer) == (CloseCode.REVOKED, "you may not look at this console any more")


async def test_the_console_of_a_deleted_instance_ends(town: Town):
    async with look(town.client, town) as viewer:
        await viewer.receive_bytes()
        await town.client.delete(INSTANCES, "web-1", town.namespace)  # its finalizer holds it
        assert (await closed(viewer))[0] == CloseCode.GONE


async def test_the_console_of_a_guest_that_has_moved_ends(town: Town):
    async with look(town.client, town) as viewer:
        await viewer.receive_bytes()
        moved = {"status": {"nodeName": "node-elsewhere"}}
        await town.client.patch(INSTANCES, "web-1", moved, town.namespace, subresource="status")
        assert await closed(viewer) == (CloseCode.MOVED, "the Instance is on node node-elsewhere now")


async def test_an_agent_that_cannot_be_reached_is_named(town: Town):
    await town.agent.offer_consoles(port=1)

    async def named() -> bool:
        said = await refusal(town.client, town)
        assert isinstance(said, ServerError)
        assert said.reason == "HostUnreachable"
        return f"node {town.agent.name} at 127.0.0.1 port 1" in said.message

    await eventually_async(named, "the refusal to name the new port")
    await town.no_sessions()


async def test_what_an_agent_refuses_is_passed_on(town: Town):
    town.agent.refuses = (409, {"reason": "GuestOff", "message": "the guest is off: start it"})
    said = await refusal(town.client, town)
    assert (said.status, said.reason, said.message) == (409, "GuestOff", "the guest is off: start it")
    await town.no_sessions()


async def test_a_console_is_no_plain_request(town: Town):
    with pytest.raises(ClusterError, match=r"\(BadRequest\): instances/vnc is a WebSocket"):
        await town.kubectl("get", "--raw", path(town, "vnc"))


async def test_a_screenshot_is_a_picture(town: Town):
    ann = await town.user("ann", "edit")
    assert await ann.get_bytes(path(town, "screenshot")) == PNG
    assert town.agent.asked[0]["user"] == f"system:serviceaccount:{town.namespace}:ann"
    assert await town.sessions() == []


# Tickets


async def test_a_ticket_by_kubectl_is_a_link_that_works_once_at_any_replica(town: Town):
    answer = json.loads(await town.kubectl("create", "--raw", path(town, "ticket"), "--filename=-", stdin="{}"))
    assert (answer["kind"], answer["spec"]["type"]) == ("ConsoleTicket", "VNC")
    url = answer["status"]["url"]
    assert url.startswith(f"{PUBLIC_URL}/#ticket={town.namespace}/{answer['status']['session']}/")
    ticket = url.partition("#ticket=")[2]
    async with another_replica(town) as one, another_replica(town) as another:
        results = await asyncio.gather(
            *(each.redeem(ticket, peer="10.0.0.1") for each in (one, another)), return_exceptions=True
        )
        ((session, key),) = (each for each in results if isinstance(each, tuple))
        (refused,) = (each for each in results if isinstance(each, Exception))
        assert refused.reason == "TicketUsed"
        assert (await another.resume(session.key, key, peer="10.0.0.1")).user.username == "admin"
        (stored,) = await town.sessions()
        assert key not in str(stored)
        assert ticket.rpartition("/")[2] not in str(stored)


async def test_a_ticket_that_is_too_old_or_withdrawn_is_refused_by_another_replica(town: Town):
    ticket = (await ask_ticket(town.client, town))["status"]["url"].partition("#ticket=")[2]
    async with another_replica(town, later=61) as late, another_replica(town) as other:
        with pytest.raises(Exception, match="not used in time"):
            await late.redeem(ticket, peer="10.0.0.1")
        await town.kubectl("delete", "consolesessions", "--all")
        with pytest.raises(Exception, match="no such link"):
            await other.redeem(ticket, peer="10.0.0.1")


async def test_what_is_no_ticket_request_is_refused_with_the_field_at_fault(town: Town):
    with pytest.raises(Invalid, match=r"spec\.type: Input should be 'VNC' or 'Serial'"):
        await ask_ticket(town.client, town, type="Screen")
    with pytest.raises(NotFound, match="there is no Instance web-9 in namespace"):
        await ask_ticket(town.client, town, name="web-9")


@asynccontextmanager
async def another_replica(town: Town, *, later: float = 0.0):
    """Sessions of another proxy with its own connection, whose clock may be ahead."""
    kubeconfig = await asyncio.to_thread(
        town.cluster.service_account_kubeconfig, "hypernova-system", "hypernova-console"
    )
    async with await Client.connect(kubeconfig, component="console") as client:
        instances = Instances(client)
        sessions = Sessions(
            client,
            instances,
            Rights(client),
            ConsoleMetrics(),
            ticket_seconds=60,
            session_seconds=3600,
            review_seconds=60,
            clock=lambda: datetime.now(UTC) + timedelta(seconds=later),
        )
        tasks = [asyncio.create_task(part.run()) for part in (instances, sessions)]
        try:
            await eventually_async(lambda: instances.synced and sessions.synced, "the replica to know the cluster")
            yield sessions
        finally:
            for task in tasks:
                task.cancel()
