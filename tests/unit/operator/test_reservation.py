"""Reservation Pods request what Instances hold of their nodes: how much, when it is written, and what is told."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from hypernova_api.overcommit import Ratios
from hypernova_kube.errors import Forbidden
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import node
from hypernova_operator.controllers.placed import Placed
from hypernova_operator.controllers.reservation import BASE, CONTAINER, SELECTOR, Requests, patch, read, trouble, wanted
from hypernova_operator.controllers.reserving import PODS, Reserving
from hypernova_operator.metrics import Metrics
from hypernova_operator.scheduler import AllocatedCell, Allocation, Claim, Resources
from support.builders import a_condition, a_flavor, a_hypervisor, a_hypervisor_status, a_node, an_instance, stored
from support.caches import sees, sees_gone
from support.fake_api import FakeApi, Trouble
from support.virtual_time import virtual_time

CHART = Path(__file__).parents[3] / "charts/hypernova"
MI, GI = 1 << 20, 1 << 30
NAMESPACE = "hypernova-system"
ONE = Ratios(1, 1, 1)
PLENTY = Requests(64_000, 256 * GI)
POD = Key(NAMESPACE, "hypernova-reservation-a")


def a_claim(vcpus: int = 1, memory: int = GI, *cells: AllocatedCell) -> Claim:
    return Claim("node-a", Resources(vcpus, memory, 0), allocation=Allocation(cells))


def a_pod(
    name: str = POD.name,
    *,
    node: str = "node-a",
    cpu: str = "1m",
    memory: str = "16Mi",
    phase: str = "Running",
    conditions: tuple[Object, ...] = (),
    sidecars: tuple[str, ...] = (),
    **metadata: Any,
) -> Object:
    ours = {"name": CONTAINER, "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    spec = {"nodeName": node, "containers": [*({"name": each} for each in sidecars), ours]}
    status = {"phase": phase, "conditions": list(conditions)}
    own = {"name": name, "namespace": NAMESPACE} | metadata
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": spec, "status": status}


DEDICATED = AllocatedCell(0, (0, 1), (4, 5), 0, 0, (20, 21))
AMOUNTS = {
    "nothing is held: never less than the process itself wants": ((), ONE, PLENTY, BASE),
    "guests' sizes are added": ((a_claim(2, GI), a_claim(1, 3 * GI)), ONE, PLENTY, Requests(3000, 4 * GI)),
    "what is given out four times over is a quarter of it": ((a_claim(2),), Ratios(4, 1, 1), PLENTY, Requests(500, GI)),
    "memory, too, may be given out more than once": ((a_claim(1),), Ratios(1, 2, 1), PLENTY, Requests(1000, GI // 2)),
    "parts are rounded up": ((a_claim(1, GI),), Ratios(3, 3, 1), PLENTY, Requests(334, 342 * MI)),
    "a dedicated CPU is one, overcommit or not, and so is its idle sibling": (
        (a_claim(0, GI, DEDICATED),),
        Ratios(4, 1, 1),
        PLENTY,
        Requests(4000, GI),
    ),
    "huge pages are not memory that Pods could have": ((a_claim(1, 0),), ONE, PLENTY, Requests(1000, BASE.memory)),
    "no more than the Node has for Pods, which would be refused": (
        (a_claim(8, 8 * GI),),
        ONE,
        Requests(4000, 7 * GI),
        Requests(4000, 7 * GI),
    ),
}


@pytest.mark.parametrize(("claims", "ratios", "most", "amount"), AMOUNTS.values(), ids=AMOUNTS)
def test_a_pod_requests_what_guests_take_of_the_host(
    claims: tuple[Claim, ...], ratios: Ratios, most: Requests, amount: Requests
) -> None:
    assert wanted(claims, ratios, most) == amount


def test_what_is_written_is_the_requests_of_that_very_pod_and_container() -> None:
    pod = stored(a_pod(sidecars=("proxy",)))
    assert patch(read(pod), Requests(2000, 3 * GI)) == [
        {"op": "test", "path": "/metadata/uid", "value": pod["metadata"]["uid"]},
        {"op": "test", "path": "/spec/containers/1/name", "value": CONTAINER},
        {
            "op": "replace",
            "path": "/spec/containers/1/resources/requests",
            "value": {"cpu": "2000m", "memory": "3Gi"},
        },
    ]


NOTHING_TO_WRITE = {
    "it requests that already, in other words": a_pod(cpu="2", memory="1024Mi"),
    "kubelet has not admitted it: one that does not fit then is refused for good": a_pod(phase="Pending"),
    "it is on its way out": a_pod(deletionTimestamp="2026-11-21T00:00:00Z"),
    "it was evicted": a_pod(phase="Failed"),
}


@pytest.mark.parametrize("pod", NOTHING_TO_WRITE.values(), ids=NOTHING_TO_WRITE)
def test_nothing_is_written_when(pod: Object) -> None:
    assert patch(read(stored(pod)), Requests(2000, GI)) == []


def test_what_the_chart_requests_and_labels_is_what_is_known_here() -> None:
    template = (CHART / "templates/reservation.yaml").read_text()
    assert f"requests: {{cpu: {BASE.cpu}m, memory: {BASE.memory // MI}Mi}}" in template
    assert f"- name: {CONTAINER}\n" in template
    component = dict(part.split("=") for part in SELECTOR.split(","))["app.kubernetes.io/component"]
    assert set(re.findall(r'\(list \. "([a-z]+)"\)', template)) == {component, "default"}


@pytest.mark.parametrize(
    ("allocatable", "told"),
    [
        ({"cpu": "1930m", "memory": "24580016Ki", "pods": "110"}, (1930, 24580016 << 10)),
        ({}, (0, 0)),
        ({"cpu": "many", "memory": "1Gi"}, (0, 0)),
    ],
    ids=["as kubelet says it", "not said yet", "what cannot be read is not known"],
)
def test_a_node_says_what_its_pods_may_have(allocatable: Object, told: tuple[int, int]) -> None:
    record = node(stored(a_node() | {"status": {"allocatable": allocatable}}))
    assert (record.pods_cpu, record.pods_memory) == told


def test_what_kubelet_does_not_grant_is_told_with_what_to_do() -> None:
    pending = a_condition("PodResizePending", reason="Deferred", message="Node didn't have enough resource: memory")
    assert trouble(read(stored(a_pod(cpu="1500m", memory="6Gi", conditions=(pending,))))) == (
        "Instances hold 6Gi of memory and 1.5 CPUs here, and kubelet does not grant Pod "
        "hypernova-system/hypernova-reservation-a that much beside the other Pods (Node didn't have enough resource: "
        "memory): move Pods or Instances away, or keep more memory from guests by the agents' setting reservedMemory"
    )
    granted = a_condition("PodResizePending", status=False, reason="Deferred")
    under_way = a_condition("PodResizeInProgress", reason="")
    assert trouble(read(stored(a_pod(conditions=(granted, under_way))))) == ""


class Events:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def warning(self, involved: Object, reason: str, _message: str) -> None:
        self.told.append((involved["metadata"]["name"], reason))


class World:
    """A leader, and a node with a reservation Pod. To be made in virtual time."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.cache = Cache()
        self.leads = True
        self.events: Any = Events()
        self.trouble: Trouble | None = None
        self.metrics = Metrics()
        client: Any = self.api.client(lambda verb: self.trouble if verb == "patch" else None)
        self.reserving = Reserving(
            client,
            self.cache,
            Placed(self.cache.instances.store),
            NAMESPACE,
            self.events,
            self.metrics,
            lambda: self.leads,
        )
        node = a_node() | {"status": {"allocatable": {"cpu": "8", "memory": "16Gi"}}}
        sees(self.cache, node, a_hypervisor(status=a_hypervisor_status(), overcommit={"cpu": 2, "memory": 1}))

    async def works(self, seconds: float) -> None:
        """The controller runs for a while, from nothing, as when it comes to lead."""
        running = asyncio.create_task(self.reserving.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running])

    def bind(self, name: str, node: str = "node-a") -> Object:
        flavor = a_flavor(vcpus=2, memory="2Gi")["spec"]
        obj = an_instance(name, status={"phase": "Running", "nodeName": node, "flavor": {"name": "m1", **flavor}})
        sees(self.cache, obj)
        return obj

    def requests(self, key: Key = POD) -> Requests:
        return read(self.api.find(PODS, key)).requests

    @property
    def writes(self) -> int:
        return self.api.requests.count("patch")


@virtual_time
async def test_a_new_pod_is_resized_to_what_is_bound_already() -> None:
    world = World()
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    await world.works(5)
    assert world.requests() == Requests(1000, 2 * GI)
    assert world.writes == 1


@virtual_time
async def test_what_is_bound_within_a_second_is_one_write_and_at_rest_there_is_none() -> None:
    world = World()
    world.api.put(PODS, a_pod())
    running = asyncio.create_task(world.works(1000))
    await asyncio.sleep(10)
    assert world.writes == 0
    for number in range(5):
        world.bind(f"web-{number}")
        await asyncio.sleep(0.1)
    await asyncio.sleep(10)
    assert (world.requests(), world.writes) == (Requests(5000, 10 * GI), 1)
    sees_gone(world.cache, an_instance("web-0"))
    await asyncio.sleep(10)
    assert (world.requests(), world.writes) == (Requests(4000, 8 * GI), 2)
    await running
    assert world.writes == 2


@virtual_time
async def test_a_pod_that_is_replaced_and_one_that_somebody_changed_are_resized_again() -> None:
    world = World()
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    running = asyncio.create_task(world.works(100))
    await asyncio.sleep(10)
    world.api.drop(PODS, POD)
    later = Key(NAMESPACE, "hypernova-reservation-b")
    world.api.put(PODS, a_pod(later.name, phase="Pending"))
    await asyncio.sleep(10)
    assert world.writes == 1, "it is not admitted yet"
    world.api.put(PODS, a_pod(later.name))
    await asyncio.sleep(10)
    assert (world.requests(later), world.writes) == (Requests(1000, 2 * GI), 2)
    world.api.put(PODS, a_pod(later.name, memory="8Gi"))
    await asyncio.sleep(10)
    assert (world.requests(later), world.writes) == (Requests(1000, 2 * GI), 3)
    await running


@virtual_time
async def test_other_overcommit_is_another_amount() -> None:
    world = World()
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    running = asyncio.create_task(world.works(20))
    await asyncio.sleep(5)
    sees(world.cache, a_hypervisor(status=a_hypervisor_status(), overcommit={"cpu": 1, "memory": 2}))
    await running
    assert world.requests() == Requests(2000, GI)


@virtual_time
async def test_what_kubelet_puts_off_is_told_once_counted_and_not_written_again() -> None:
    world = World()
    world.bind("web-1")
    pending = a_condition("PodResizePending", reason="Deferred")
    world.api.put(PODS, a_pod(cpu="1", memory="2Gi", conditions=(pending,)))
    running = asyncio.create_task(world.works(600))
    await asyncio.sleep(1)
    world.api.put(PODS, a_pod(cpu="1", memory="2Gi", conditions=(pending, a_condition("Ready"))))
    await asyncio.sleep(500)
    assert world.events.told == [("node-a", "ReservationDeferred")]
    assert world.writes == 0
    (gauge,) = world.metrics.reservations_pending.collect()
    assert {sample.labels["reason"]: sample.value for sample in gauge.samples} == {
        "Deferred": 1,
        "Infeasible": 0,
        "Error": 0,
    }
    await running


@virtual_time
async def test_a_refused_write_is_told_and_tried_again_ever_more_seldom() -> None:
    world = World()
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    world.trouble = Trouble(refused=Forbidden(403, "Forbidden", "exceeded quota"))
    running = asyncio.create_task(world.works(1000))
    await asyncio.sleep(600)
    tries = len(world.events.told)
    assert set(world.events.told) == {("node-a", "ReservationRefused")}
    assert 5 <= tries <= 60
    world.trouble = None
    await running
    assert world.requests() == Requests(1000, 2 * GI)


@virtual_time
async def test_before_kubelet_has_told_what_pods_may_have_nothing_is_written() -> None:
    world = World()
    sees(world.cache, a_node())
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    running = asyncio.create_task(world.works(20))
    await asyncio.sleep(10)
    assert world.writes == 0
    sees(world.cache, a_node() | {"status": {"allocatable": {"cpu": "500m", "memory": "1Gi"}}})
    await running
    assert world.requests() == Requests(500, GI), "and never more than that"


@virtual_time
async def test_a_standby_writes_nothing() -> None:
    world = World()
    world.leads = False
    world.bind("web-1")
    world.api.put(PODS, a_pod())
    await world.works(10)
    assert world.writes == 0
