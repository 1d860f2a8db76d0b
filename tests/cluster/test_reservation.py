"""On nodes that guests share with Pods, kube-scheduler sees what guests hold, by the reservation Pods of the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hack.devcluster.install import NAMESPACE
from hack.nodes import pause
from hypernova_api.quantity import Quantity
from hypernova_operator.controllers.reservation import BASE
from support.builders import a_flavor
from support.installed import Installed
from support.waiting import eventually

NODE = "node-a"
MI = 1 << 20
GUEST = 1024 * MI
"""Bytes of memory of an Instance."""

# The first waits for images to be loaded and Pods to roll out.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return {"reservation": {"enabled": True}}


class Shared:
    """A node with Pods and guests, as `kubectl describe node` shows it."""

    def __init__(self, installed: Installed) -> None:
        self.installed = installed

    def reserved(self) -> int:
        """Bytes of memory that the node's reservation Pod requests, by the table of the node's Pods."""
        (pod,) = self.installed.pods("reservation", NODE)
        return self._described(rf"^ +{NAMESPACE} +{pod} +(?:\S+ \(\d+%\) +){{2}}(\S+) \(\d+%\)")

    def granted(self) -> int:
        """Of these, what kubelet has granted."""
        (pod,) = self.installed.pods("reservation", NODE)
        path = "jsonpath={.status.containerStatuses[0].allocatedResources.memory}"
        return Quantity(self.installed.kubectl("get", "pod", pod, f"--namespace={NAMESPACE}", f"--output={path}")).value

    def free(self) -> int:
        """Bytes of memory that its Pods do not request."""
        allocatable = self.installed.get("node", NODE)["status"]["allocatable"]["memory"]
        return Quantity(allocatable).value - self._described(r"^  memory +(\S+) \(\d+%\)")

    def wait_reserved(self, memory: int, *, granted: int) -> None:
        eventually(lambda: (self.reserved(), self.granted()) == (memory, granted), f"{memory} bytes to be reserved", 60)

    def wait_at_rest(self) -> None:
        """Return once no Pod of an earlier release is about to go, and the node's own is there."""

        def look() -> bool:
            pods = json.loads(self.installed.kubectl("get", "pods", f"--namespace={NAMESPACE}", "--output=json"))
            return not [each for each in pods["items"] if "deletionTimestamp" in each["metadata"]]

        eventually(look, "old Pods to be gone", 60)
        self.wait_reserved(BASE.memory, granted=BASE.memory)

    def hold(self, name: str) -> None:
        """A guest runs there."""
        self.installed.create(name, flavor="m1.gibi", scheduling={"nodeName": NODE})
        self.installed.wait_running(name)

    def end(self, name: str) -> None:
        self.installed.kubectl("delete", "instance", name, "--timeout=60s")

    def ask(self, name: str, memory: int) -> None:
        """For room for a Pod of somebody who knows nothing of guests."""
        requests = {"resources": {"requests": {"memory": str(memory)}}}
        container = {"name": "main", "image": pause.NAME, "imagePullPolicy": "Never"} | requests
        where = {"nodeSelector": {"kubernetes.io/hostname": NODE}, "terminationGracePeriodSeconds": 0}
        metadata = {"name": name, "namespace": "default"}
        spec = where | {"containers": [container]}
        self.installed.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def runs(self, name: str) -> None:
        self.installed.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")

    def finds_no_memory(self, name: str) -> None:
        """Return once kube-scheduler says so."""
        path = "jsonpath={.status.conditions[?(@.reason=='Unschedulable')].message}"
        eventually(
            lambda: "Insufficient memory" in self.installed.kubectl("get", "pod", name, f"--output={path}"),
            f"{name} to find no room",
            60,
        )

    def _described(self, pattern: str) -> int:
        """The bytes that are in a line about the node."""
        page = self.installed.kubectl("describe", "node", NODE)
        found = re.search(pattern, page, re.MULTILINE)
        assert found, page
        return Quantity(found[1]).value


@pytest.fixture
def shared(installed: Installed) -> Iterator[Shared]:
    shared = Shared(installed)
    installed.apply(a_flavor("m1.gibi", memory="1Gi", rootDisk="0"))
    shared.wait_at_rest()
    yield shared
    installed.kubectl("delete", "instances,pods", "--all", "--timeout=60s")


def test_a_pod_waits_for_memory_that_an_instance_holds_and_runs_when_that_is_gone(shared: Shared) -> None:
    shared.hold("web-1")
    shared.wait_reserved(GUEST, granted=GUEST)
    shared.ask("neighbour", shared.free() + GUEST // 2)
    shared.finds_no_memory("neighbour")

    shared.end("web-1")

    shared.runs("neighbour")
    assert shared.reserved() == BASE.memory


def test_what_pods_took_before_is_theirs_and_the_hypervisor_says_so(shared: Shared) -> None:
    most = shared.free() - GUEST // 2
    shared.ask("first", most)
    shared.runs("first")
    shared.hold("web-1")
    shared.wait_reserved(GUEST, granted=BASE.memory)
    query = (
        "--field-selector=reason=ReservationDeferred",
        f"--output=jsonpath={{.items[?(@.involvedObject.name=='{NODE}')].message}}",
    )
    said = eventually(lambda: shared.installed.kubectl("get", "events", *query), "an Event of the Hypervisor", 60)
    assert "Instances hold 1Gi of memory" in said
    assert "Node didn't have enough resource: memory" in said

    shared.ask("second", most)
    shared.finds_no_memory("second")
    shared.installed.kubectl("delete", "pod", "first", "--timeout=60s")
    shared.wait_reserved(GUEST, granted=GUEST)
    shared.finds_no_memory("second")
    shared.end("web-1")
    shared.runs("second")
