"""Reservation Pods on a real API server, resized by what Instances hold: their kubelet is played by the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from support.builders import a_condition, a_flavor, a_hypervisor_status
from support.clusters import need_resizing
from support.operators import Cloud, FakeAgent, OperatorProcess
from support.reservations import ReservationPod
from support.waiting import eventually_async

GI = 1 << 30
BASE = (1, 16 << 20)


@pytest.fixture(scope="module")
def operator(clean_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """An operator with the rights of the chart's roles, and the setting on."""
    need_resizing(clean_cluster)
    kubeconfig = clean_cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
    folder = tmp_path_factory.mktemp("operator")
    operator = OperatorProcess(clean_cluster, folder, "operator", "--reservation", kubeconfig=kubeconfig)
    operator.start()
    yield operator
    operator.stop()


@pytest.fixture
async def host(cloud: Cloud) -> AsyncIterator[FakeAgent]:
    """A host of 8 CPUs and 16 Gi, and a flavor of an eighth of it."""
    flavor = await cloud.create(a_flavor("eighth", vcpus=1, memory="2Gi", rootDisk="0"))
    yield await cloud.host()
    await cloud.remove(flavor)


@pytest.fixture
async def pod(cloud: Cloud, host: FakeAgent) -> AsyncIterator[ReservationPod]:
    """The host's, running."""
    pod = ReservationPod(cloud.client, host.name)
    await pod.create()
    await pod.run()
    yield pod
    await pod.remove()


@pytest.mark.usefixtures("operator")
async def test_a_pod_follows_what_is_bound_to_its_node_and_nothing_is_written_at_rest(
    cloud: Cloud, host: FakeAgent, pod: ReservationPod
) -> None:
    for name in ("web-1", "web-2"):
        await cloud.instance(name, flavor="eighth")
        await cloud.bound(name)
    await pod.requests(2000, 4 * GI)
    assert (await pod.get())["status"]["qosClass"] == "Burstable"
    before = (await pod.get())["metadata"]["generation"]
    # News that changes nothing: had it been written for it, that would have been before the next write.
    await host.report(a_hypervisor_status(memory="15Gi"))
    await cloud.says({"kind": "Hypervisor", "metadata": {"name": host.name}}, "Ready", "True")
    await cloud.finish("web-1")
    await pod.requests(1000, 2 * GI)
    assert (await pod.get())["metadata"]["generation"] == before + 1
    await cloud.finish("web-2")
    await pod.requests(*BASE)


@pytest.mark.usefixtures("operator")
async def test_a_pod_that_is_made_anew_is_resized_when_kubelet_has_admitted_it(
    cloud: Cloud, host: FakeAgent, pod: ReservationPod
) -> None:
    await cloud.instance(flavor="eighth")
    await cloud.bound()
    await pod.requests(1000, 2 * GI)
    later = ReservationPod(cloud.client, host.name, f"{pod.name}-later")
    await later.create()
    await cloud.instance("web-2", flavor="eighth")
    await pod.requests(2000, 4 * GI)
    await later.requests(*BASE)
    await later.run()
    await later.requests(2000, 4 * GI)
    await later.remove()


async def test_an_operator_that_begins_anew_catches_up(
    cloud: Cloud, host: FakeAgent, pod: ReservationPod, operator: OperatorProcess
) -> None:
    await cloud.instance(flavor="eighth")
    await cloud.bound()
    await pod.requests(1000, 2 * GI)
    operator.kill()
    await cloud.finish("web-1")
    operator.start()
    await pod.requests(*BASE)


async def test_what_kubelet_puts_off_is_an_event_of_the_hypervisor_and_a_metric(
    cloud: Cloud, host: FakeAgent, pod: ReservationPod, operator: OperatorProcess
) -> None:
    await cloud.instance(flavor="eighth")
    await cloud.bound()
    await pod.requests(1000, 2 * GI)
    await pod.says(conditions=[a_condition("PodResizePending", reason="Deferred", message="Not enough memory")])

    async def told() -> list[str]:
        events = await cloud.events("ReservationDeferred", "default")
        return [event["message"] for event in events if event["involvedObject"]["name"] == host.name]

    (message,) = await eventually_async(told, "an Event")
    assert "Instances hold 2Gi of memory and 1 CPUs here" in message
    assert "(Not enough memory)" in message
    assert operator.metric("hypernova_reservations_pending", reason="Deferred") == 1
