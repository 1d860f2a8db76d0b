"""Hosts that fall silent, and domains whose Instances were lost, on a real API server."""

from __future__ import annotations

import json

import pytest

from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_api.meta import FINALIZER
from hypernova_kube.resources import NODES, Object
from support.builders import a_hypervisor, a_hypervisor_status, a_taint, an_instance
from support.operators import HYPERVISORS, INSTANCES, Cloud, FakeAgent, OperatorProcess
from support.waiting import eventually_async

pytestmark = pytest.mark.usefixtures("operator")

SHORT = 4
"""Seconds that an agent's Lease lasts here."""

UID = "8c7e3a52-30a2-4b0c-9f55-1c2d3e4f5a6b"


def ready(obj: Object) -> tuple[str, str]:
    """Status and reason of the condition."""
    return next((each["status"], each["reason"]) for each in obj["status"]["conditions"] if each["type"] == "Ready")


async def _runs(cloud: Cloud, name: str = "web-1") -> None:
    """What its node's agent writes of a guest that runs."""
    obj = await cloud.bound(name)
    said = [each for each in obj["status"]["conditions"] if each["type"] != "Ready"]
    said.append({**said[0], "type": "Ready", "status": "True", "reason": "Running", "message": ""})
    status = {"phase": "Running", "conditions": said}
    await cloud.client.patch(INSTANCES, name, {"status": status}, cloud.namespace, subresource="status")


async def _fence(cloud: Cloud, host: FakeAgent) -> None:
    taints = [a_taint("node.kubernetes.io/out-of-service", "nodeshutdown", "NoExecute")]
    await cloud.client.patch(NODES, host.name, {"spec": {"taints": taints}})


async def test_a_silent_hosts_instances_are_unknown_and_its_agents_word_counts_when_it_is_back(cloud: Cloud) -> None:
    host = await cloud.host(duration=SHORT)
    await cloud.instance()
    await _runs(cloud)
    await host.fall_silent()
    lost = await cloud.sees("web-1", "unknown", lambda status: status["phase"] == "Unknown", 60)
    assert ready(lost) == ("Unknown", "NodeLost")
    assert lost["status"]["nodeName"] == host.name
    told = await cloud.says(a_hypervisor(host.name), "Ready", "Unknown", "AgentLost")
    assert "has not been heard of since 20" in told

    host.beat(60)
    await host.report(a_hypervisor_status())
    await _runs(cloud)
    await cloud.instance("web-2")
    await cloud.bound("web-2", to=host.name)  # by now whoever looks has looked again
    back = await cloud.get()
    assert back is not None
    assert (back["status"]["phase"], *ready(back)) == ("Running", "True", "Running")


async def test_what_is_deleted_on_a_silent_host_goes_when_it_is_fenced(cloud: Cloud) -> None:
    host = await cloud.host(duration=SHORT)
    await cloud.instance()
    await cloud.instance("stays")
    await _runs(cloud)
    await _runs(cloud, "stays")
    await host.fall_silent()
    await cloud.delete()
    await cloud.sees("web-1", "told of", lambda status: status["phase"] == "Deleting", 60)
    obj = await cloud.get()
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    await _fence(cloud, host)
    await cloud.gone()
    stays = await cloud.sees("stays", "fenced", lambda status: "is fenced" in json.dumps(status))
    assert stays["metadata"]["finalizers"] == [FINALIZER]


async def test_a_restarted_operator_takes_no_host_for_lost(cloud: Cloud, operator: OperatorProcess) -> None:
    await cloud.host(duration=SHORT)
    await cloud.instance()
    await _runs(cloud)
    before = await cloud.get()
    operator.stop()
    operator.start()
    await cloud.instance("web-2")
    await cloud.bound("web-2", seconds=60)
    assert await cloud.get() == before


async def test_an_orphan_is_adopted_where_an_administrator_says_so(cloud: Cloud) -> None:
    elsewhere = await cloud.host(vcpus=64)
    host = await cloud.host()
    spec = an_instance("web-1", cloud.namespace)["spec"]
    status = {
        "flavor": {"name": "m1.small", "vcpus": 8, "memory": "512Mi", "rootDisk": "0"},
        "image": {"name": "debian-12", "namespace": cloud.namespace, "sha256": "ab", "format": "qcow2"},
        "addresses": [{"network": "default", "ip": "10.60.7.7", "mac": "52:54:00:00:07:07"}],
        "launchedAt": "2026-11-20T00:00:00Z",
    }
    record = json.dumps({"labels": {"app": "web"}, "spec": spec, "status": status})
    orphan = {"uid": UID, "namespace": cloud.namespace, "name": "web-1", "running": True, "record": record}
    await host.report(a_hypervisor_status(orphans=[orphan]))
    await eventually_async(lambda: cloud.events("OrphanFound", "default"), "the orphan to be told of")
    await elsewhere.edit(disabled={"reason": "full"})
    await cloud.instance("no-room")
    await cloud.refused("NoHostFits", "no-room", "lacks vCPUs (need 1, most free 0)")

    annotation = f"{ORPHAN_ANNOTATION}{UID}"
    await cloud.client.patch(HYPERVISORS, host.name, {"metadata": {"annotations": {annotation: "adopt"}}})
    adopted = await cloud.bound("web-1", to=host.name)
    assert adopted["metadata"]["labels"] == {"app": "web"}
    assert adopted["status"]["domainUID"] == UID
    assert adopted["status"]["addresses"] == status["addresses"]
    assert adopted["status"]["flavor"]["vcpus"] == 8

    async def is_done() -> bool:
        stored = await cloud.client.get(HYPERVISORS, host.name)
        return annotation not in stored["metadata"].get("annotations", {})

    await eventually_async(is_done, "the annotation to be gone")


async def test_an_instance_made_for_an_orphan_is_placed_nowhere(cloud: Cloud) -> None:
    await cloud.host()
    await cloud.instance(annotations={"adopt.compute.hypernova.dev/orphan": f"{UID}@node-x"})
    assert f"domain {UID} on node node-x" in await cloud.refused("AwaitingAdoption")
