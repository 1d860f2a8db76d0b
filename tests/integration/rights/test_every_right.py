"""Every right of every component is used, and none is missing: the API server's audit log beside the chart's roles."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from hack.devcluster import Cluster, install
from hack.stack import aggregated, program
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import ImageStore
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings
from hypernova_agent.sync import Sync
from hypernova_api.console import LONGEST_MESSAGE
from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_kube.client import Client
from hypernova_kube.errors import NotFound
from hypernova_kube.resources import NODES, Object, Resource
from hypernova_operator.controllers import reservation
from support import audit
from support.audit import Right, Use
from support.builders import a_group, a_host_aggregate, a_key_pair, a_quota, a_zone, an_action
from support.console_town import PUBLIC_URL, SUBRESOURCES, api_port
from support.guests import a_bound_image
from support.memory_host import Machine, MemoryHost, MemoryVolume
from support.operators import HYPERVISORS, INSTANCES, RESOURCES, Cloud, OperatorProcess
from support.reservations import ReservationPod
from support.waiting import eventually_async

ROOT = Path(__file__).parents[3]
OPERATOR, AGENT, CONSOLE = audit.ACCOUNTS
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")

REFLECTOR = "tests/integration/kube/test_reflector.py::"
LISTED = f"{REFLECTOR}test_what_the_server_has_forgotten_is_listed_and_what_vanished_is_told"
"""Watches begin with what there is, where API servers can do that; where not, and after an outage, it is listed."""

ONE_MISSED = "test_a_deletion_that_a_broken_watch_missed_is_noticed_and_its_room_given_away"
MISSED = f"tests/integration/operator/test_broken_watch.py::{ONE_MISSED}"
"""What a sweep finds to be otherwise than the watch has told is read."""

OWN = "tests/integration/rights/test_stolen_tokens.py::"
WRITES = f"{OWN}test_what_an_agent_writes_of_its_own_passes"
SIGNING = "tests/integration/operator/test_signing.py::"

MEET = f"{SIGNING}test_agent_and_console_meet_and_each_knows_the_other"
"""Where the operator signs at once, nobody has to watch for it."""

CATALOG = (
    *("availabilityzones", "computequotas", "flavors", "hostaggregates", "images", "instancegroups", "keypairs"),
    "namespaces",
)

ELSEWHERE = {
    **{
        (OPERATOR, resource, "list"): LISTED
        for resource in ("apiservices", "certificatesigningrequests", "leases", "pods")
    },
    **{(account, "configmaps", "list"): LISTED for account in audit.ACCOUNTS},
    **{(CONSOLE, resource, "list"): LISTED for resource in ("hypervisors", "instances", "consolesessions")},
    **{(AGENT, resource, "list"): LISTED for resource in ("hypervisors", "instances", "instanceactions")},
    **{(OPERATOR, resource, "get"): MISSED for resource in CATALOG},
    **{(account, "certificatesigningrequests", "watch"): MEET for account in (AGENT, CONSOLE)},
    (OPERATOR, "instanceactions", "get"): "tests/unit/operator/actions/test_actions.py"
    "::test_what_somebody_else_wrote_meanwhile_is_read_and_judged_anew",
    (OPERATOR, "events", "patch"): "tests/integration/kube/test_events.py"
    "::test_kubectl_describe_shows_what_happened_and_how_often",
    (OPERATOR, "tokenreviews", "create"): "tests/integration/operator/test_conductor.py"
    "::test_an_agent_gets_what_its_own_instance_names_byte_for_byte_and_no_log_shows_it",
    (OPERATOR, "configmaps", "patch"): f"{SIGNING}test_an_authority_that_is_replaced_is_taken_up_by_all_who_run",
    (AGENT, "hypervisors", "get"): WRITES,
    (AGENT, "instances", "get"): "tests/unit/agent/test_reconcile.py"
    "::test_a_failure_is_told_even_if_somebody_else_writes_in_between",
    (AGENT, "instanceactions", "get"): "tests/unit/agent/actions/test_actions.py"
    "::test_somebody_else_s_write_to_an_action_that_runs_does_no_harm",
    (AGENT, "events", "create"): WRITES,
    (AGENT, "events", "patch"): WRITES,
    (CONSOLE, "consolesessions", "get"): "tests/integration/console/test_aggregated.py"
    "::test_a_ticket_by_kubectl_is_a_link_that_works_once_at_any_replica",
    (CONSOLE, "instanceactions", "create"): f"{OWN}test_what_the_console_proxy_writes_for_its_users_passes",
}
"""Rights that are for what goes wrong or seldom happens, by account, resource and verb: the test that uses them."""

ASKED_BY_API_SERVERS = {("signers", "approve"), ("signers", "sign"), ("consolesessions", "vouch")}
"""No requests, but asked about when others are made: without them the scenario would not get far."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def audited(folder: Path) -> Iterator[tuple[Cluster, Path]]:
    """A cluster that logs what our accounts ask for, and where."""
    with Cluster(folder / "cluster") as cluster:
        log = audit.switch_on(cluster, folder)
        install(cluster)
        yield cluster, log


async def test_every_right_is_used_and_none_is_missing(audited: tuple[Cluster, Path], folder: Path) -> None:
    cluster, log = audited
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await Client.connect(cluster.kubeconfig, component="test"))
        await _scenario(cluster, client, folder, stack)
    used = list(audit.uses(log))
    refused = [f"{use.account}: {use.verb} {use.resource} {use.name}" for use in used if use.status == 403]
    assert not refused, "refused: " + "\n".join(refused)
    unused = [
        str(right)
        for right in audit.rights()
        if (right.account, right.resource, right.verb) not in ELSEWHERE and not _is_used(right, used)
    ]
    assert not unused, "unused: " + "\n".join(unused)


def test_what_is_used_elsewhere_is_used_by_a_test_that_is_there() -> None:
    known = {(right.account, right.resource, right.verb) for right in audit.rights()}
    assert set(ELSEWHERE) <= known
    for where in ELSEWHERE.values():
        path, _, name = where.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), where


def _is_used(right: Right, used: list[Use]) -> bool:
    return (right.resource, right.verb) in ASKED_BY_API_SERVERS or any(right.covers(use) for use in used)


async def _scenario(cluster: Cluster, client: Client, folder: Path, stack: AsyncExitStack) -> None:
    """What there is in a cloud's life, with everything of ours real but the host."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    cloud = Cloud(cluster, client, namespace)
    await cloud.prepare()
    stack.push_async_callback(cloud.clear)
    operator = OperatorProcess(cluster, folder, "operator", "--conductor-port", "0", "--reservation")
    stack.callback(operator.stop)
    await asyncio.to_thread(operator.start)
    await _console(cluster, folder, stack)
    node, machine = await _a_node(cluster, client), _a_machine()
    async with _agent(cluster, node, machine):
        await _catalog(cloud)
        await _life(cloud, client)
        await _reserved(client, node)
        await _looked_at(cloud, client)
    uid = await _forgotten(cloud, client)
    async with _agent(cluster, node, machine):
        await _adopted(cloud, client, node, uid)
        await _lost(cloud)


async def _console(cluster: Cluster, folder: Path, stack: AsyncExitStack) -> None:
    for name in ("novnc", "xterm"):
        (folder / "assets" / name).mkdir(parents=True)
        (folder / "assets" / name / "index.js").write_text("")  # the page itself is tested elsewhere
    flags = ("--assets", str(folder / "assets"), "--public-url", PUBLIC_URL, "--review-seconds", "1")
    console = program.console(cluster, folder, "console", *flags)
    stack.callback(console.stop)
    await asyncio.to_thread(console.start)
    stack.callback(aggregated.unregister, cluster)
    aggregated.register(cluster, api_port(folder))
    await asyncio.to_thread(aggregated.wait_available, cluster)


async def _a_node(cluster: Cluster, client: Client) -> str:
    node = f"node-{uuid.uuid4().hex[:6]}"
    cluster.admin.ensure("/api/v1/nodes", {"metadata": {"name": node}})
    await client.patch(NODES, node, {"metadata": {"labels": {HYPERVISOR_LABEL: "true"}}})
    addresses = {"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}}
    await client.patch(NODES, node, addresses, subresource="status")
    return node


def _a_machine() -> Machine:
    """With the image that everything boots from."""
    image = a_bound_image()
    marker = b'{"format": "qcow2", "virtualSize": 1048576, "source": "x"}'
    volumes = {f"image-{image.sha256}": MemoryVolume(), f"image-{image.sha256}.json": MemoryVolume(marker)}
    return Machine(volumes=volumes, obedient=True)


@asynccontextmanager
async def _agent(cluster: Cluster, node: str, machine: Machine) -> AsyncIterator[None]:
    """An agent in this process."""
    host, kubeconfig = MemoryHost(machine), await asyncio.to_thread(program.agent_kubeconfig, cluster, node)
    settings = Settings(node_name=node, console_host="127.0.0.1", console_address="127.0.0.1", console_port=0)
    async with await Client.connect(kubeconfig, component="agent") as own, new_session() as session:
        metrics = AgentMetrics()
        sync = Sync(settings, own, host, ImageStore(host, session, metrics), metrics)
        running = asyncio.create_task(sync.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait({running})


async def _catalog(cloud: Cloud) -> None:
    """What administrators and users offer and limit."""
    for obj in (
        *(a_zone(), a_host_aggregate(availabilityZone="az1", nodeSelector={})),
        *(a_group(namespace=cloud.namespace), a_quota(namespace=cloud.namespace, hard={"instances": 5})),
        a_key_pair(namespace=cloud.namespace),
    ):
        await cloud.create(obj)


async def _life(cloud: Cloud, client: Client) -> None:
    """Instances that are refused, run, are acted on, and go."""
    await cloud.instance("too-large", flavor="none")
    await cloud.refused("FlavorNotFound", "too-large")
    await cloud.delete("too-large")
    await cloud.gone("too-large")
    await cloud.instance(scheduling={"group": "web"}, keyPairs=["ops"])
    await _runs(cloud)
    reboot = await cloud.create(an_action("Reboot", "reboot", cloud.namespace, ttlSecondsAfterFinished=0))
    await _gone(client, "InstanceAction", reboot)
    snapshot = await cloud.create(an_action("Snapshot", "snapshot", cloud.namespace, snapshot={"imageName": "sunday"}))
    await cloud.says(snapshot, "ImageCreated", "True")
    await cloud.instance("short")
    await _runs(cloud, "short")
    await cloud.delete("short")
    await cloud.gone("short")


async def _reserved(client: Client, node: str) -> None:
    """What Instances hold of a node, shown to kube-scheduler."""
    pod = ReservationPod(client, node)
    await pod.create()
    await pod.run()

    async def grown() -> bool:
        return reservation.read(await pod.get()).requests.memory > reservation.BASE.memory

    await eventually_async(grown, "the reservation Pod to be resized")


async def _looked_at(cloud: Cloud, client: Client) -> None:
    """A console through the API server to the agent, and a ticket that nobody uses."""

    async def looks() -> bool:
        params: dict[str, str] = {}
        async with client.websocket(
            SUBRESOURCES, "web-1", cloud.namespace, "vnc", params, longest_message=LONGEST_MESSAGE
        ) as viewer:
            return bool((await viewer.receive()).data)

    await eventually_async(looks, "a screen")
    await client.create_at(SUBRESOURCES, "web-1", {"spec": {}}, cloud.namespace, "ticket")
    with pytest.raises(NotFound):  # the proxy knows of none, and asks whether there is one by now
        await client.create_at(SUBRESOURCES, "nobody", {"spec": {}}, cloud.namespace, "ticket")


async def _forgotten(cloud: Cloud, client: Client) -> str:
    """The UID of the Instance, whose object is lost while its node's agent is away."""
    await cloud.delete()
    gone = await client.patch(INSTANCES, "web-1", {"metadata": {"finalizers": None}}, cloud.namespace)
    return str(gone["metadata"]["uid"])


async def _adopted(cloud: Cloud, client: Client, node: str, uid: str) -> None:
    """Its domain gets an Instance again."""
    hypervisor = {"kind": "Hypervisor", "metadata": {"name": node}}
    await cloud.status(
        hypervisor, "of an orphan", lambda status: uid in [each["uid"] for each in status.get("orphans", [])]
    )
    annotations = {f"{ORPHAN_ANNOTATION}{uid}": "adopt"}
    await client.patch(HYPERVISORS, node, {"metadata": {"annotations": annotations}})
    await cloud.sees("web-1", "adopted", lambda status: status.get("domainUID") == uid)
    await _runs(cloud)


async def _lost(cloud: Cloud) -> None:
    """A host that falls silent."""
    host = await cloud.host(duration=2)
    await cloud.usable(2)
    await host.fall_silent()
    await cloud.says({"kind": "Hypervisor", "metadata": {"name": host.name}}, "Ready", "Unknown", "AgentLost")


async def _runs(cloud: Cloud, name: str = "web-1") -> None:
    await cloud.sees(name, "running", lambda status: status.get("phase") == "Running")


async def _gone(client: Client, kind: str, obj: Object) -> None:
    resource, metadata = RESOURCES[kind], obj["metadata"]

    async def look() -> bool:
        listing = await client.list(resource, namespace=metadata["namespace"])
        return metadata["name"] not in [each["metadata"]["name"] for each in listing.items]

    await eventually_async(look, f"{metadata['name']} to be gone")
