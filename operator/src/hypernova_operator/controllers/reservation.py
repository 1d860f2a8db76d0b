"""What a node's reservation Pod is to request, so that kube-scheduler sees what Instances hold there. Pure.

The Pod does nothing. Its requests are resized in place: to kube-scheduler that is room which is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal, NamedTuple, get_args

from hypernova_api.overcommit import Ratios
from hypernova_api.quantity import Quantity
from hypernova_kube.resources import Key, Object, key_of
from hypernova_operator.scheduler import NOTHING, Claim

CONTAINER = "reservation"
"""The Pod's only container of ours; an admission webhook may have added others."""

SELECTOR = "app.kubernetes.io/name=hypernova,app.kubernetes.io/component=reservation"
"""The Pods' labels."""

_MI = 1 << 20

Pending = Literal["Deferred", "Infeasible", "Error"]
"""Why kubelet has not granted what is requested, in its own words."""


class Requests(NamedTuple):
    """Thousandths of CPUs, and bytes of memory."""

    cpu: int
    memory: int


BASE = Requests(1, 16 * _MI)
"""What the chart's DaemonSet requests for the process itself. Never less: a request that was given can't be taken back,
and Pods are of the class Burstable by it."""


@dataclass(frozen=True, slots=True)
class ReservationPod:
    """A reservation Pod."""

    key: Key
    uid: str
    version: int = field(compare=False)
    node: str
    running: bool
    """Whether kubelet has admitted it, and it has not ended. Before, it must be small: one that does not fit is refused
    for good, where one that grows too large only has to wait."""
    container: int
    """Which of its containers is ours; -1 if there is none."""
    requests: Requests
    pending: Pending | None = None
    message: str = ""
    """What kubelet says of it."""


def read(obj: Object) -> ReservationPod:
    """Read a Pod."""
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    names = [container["name"] for container in spec["containers"]]
    number = names.index(CONTAINER) if CONTAINER in names else -1
    requests = spec["containers"][number].get("resources", {}).get("requests", {}) if number >= 0 else {}
    pending, message = _pending(status.get("conditions", ()))
    return ReservationPod(
        key_of(obj),
        metadata["uid"],
        int(metadata["resourceVersion"]),
        spec.get("nodeName", ""),
        status.get("phase") == "Running" and "deletionTimestamp" not in metadata,
        number,
        Requests(Quantity(requests.get("cpu", 0)).milli, Quantity(requests.get("memory", 0)).value),
        pending,
        message,
    )


def wanted(claims: Iterable[Claim], ratios: Ratios, most: Requests) -> Requests:
    """What the Pod of a node should request.

    Of shared CPUs and ordinary memory, what the guests take of the host itself: their sizes divided by the overcommit.
    Of dedicated CPUs, each. Huge pages are not among it: kubelet counts them apart, and does not resize them.

    Args:
        claims: of all that is bound to the node.
        ratios: the host's overcommit.
        most: what the Node has for all its Pods. More is refused: since 1.36 by the API server, before by kubelet for
            good, and kube-scheduler would go by what was granted last. Up to it, what does not fit now only has to
            wait, and counts at once.
    """
    total, dedicated = NOTHING, set[int]()
    for claim in claims:
        total += claim.resources
        for cell in claim.allocation.cells:
            dedicated.update(cell.cpus, cell.idle_cpus)
    cpu = ceil(total.vcpus * 1000 / ratios.cpu) + 1000 * len(dedicated)
    memory = ceil(total.memory / ratios.memory / _MI) * _MI
    return Requests(max(min(cpu, most.cpu), BASE.cpu), max(min(memory, most.memory), BASE.memory))


def patch(pod: ReservationPod, want: Requests) -> list[Any]:
    """The JSON patch of the subresource `resize`; empty if there is nothing to write."""
    if not pod.running or pod.container < 0 or pod.requests == want:
        return []
    container = f"/spec/containers/{pod.container}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod.uid},
        {"op": "test", "path": f"{container}/name", "value": CONTAINER},
        {
            "op": "replace",
            "path": f"{container}/resources/requests",
            "value": {"cpu": f"{want.cpu}m", "memory": str(Quantity.of_bytes(want.memory))},
        },
    ]


def trouble(pod: ReservationPod) -> str:
    """What is said of a Pod whose requests kubelet has not granted, as an Event's sentence; empty if it has."""
    if pod.pending is None:
        return ""
    holds = f"Instances hold {Quantity.of_bytes(pod.requests.memory)} of memory and {pod.requests.cpu / 1000:g} CPUs"
    why = f" ({pod.message})" if pod.message else ""
    return (
        f"{holds} here, and kubelet does not grant Pod {pod.key} that much beside the other Pods{why}: move Pods or "
        "Instances away, or keep more memory from guests by the agents' setting reservedMemory"
    )


def _pending(conditions: Iterable[Object]) -> tuple[Pending | None, str]:
    for each in conditions:
        if each["type"] in ("PodResizePending", "PodResizeInProgress") and each["status"] == "True":
            reason = each.get("reason", "")
            if reason in get_args(Pending):
                return reason, each.get("message", "")
    return None, ""
