"""Objects in every state they show, and what Argo CD and Flux are to think of each.

The reasons are those that operator and agent write; tests/integration/gitops/test_health.py puts the objects through an
API server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypernova_kube.resources import Object
from support.builders import (
    EPOCH,
    a_condition,
    a_console_session,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_quota,
    a_zone,
    an_action,
    an_instance,
)


@dataclass(frozen=True, slots=True)
class Health:
    """A state of an object, and how it is judged."""

    what: str
    obj: Object
    argo: str
    """Healthy, Progressing, Degraded or Suspended."""

    flux: str
    """Current, InProgress or Failed; empty for what is in no directory."""

    message: str = ""
    """Part of what Argo CD shows beside."""

    conditions: Sequence[Object] = ()
    """None: nobody has written a status yet."""

    status: Object = field(default_factory=dict)
    """What else is in the status."""

    observed: int | None = 1
    """The generation that the status is about, the object's own being 1; None where the kind does not tell."""


BOUND = a_condition("Scheduled", reason="Bound", message="bound to node node-a")


def _instance(
    what: str, argo: str, flux: str, phase: str, *conditions: Object, message: str = "", observed: int = 1, **spec: Any
) -> Health:
    return Health(what, an_instance(**spec), argo, flux, message, conditions, {"phase": phase}, observed)


def _ready(status: bool | None, reason: str, message: str = "") -> Object:
    return a_condition("Ready", status, reason, message)


INSTANCES = [
    Health("an Instance nobody has looked at", an_instance(), "Progressing", "InProgress", "operator"),
    _instance(
        "waits for its flavor",
        *("Progressing", "InProgress", "Pending"),
        a_condition("Scheduled", False, "FlavorNotFound", "there is no Flavor m1.small"),
        _ready(False, "FlavorNotFound", "not bound to a node"),
        message="there is no Flavor",
    ),
    _instance(
        "waits for room",
        *("Progressing", "InProgress", "Pending"),
        a_condition("Scheduled", False, "NoHostFits", "0/4 hosts fit: 4 lack memory"),
        _ready(False, "NoHostFits", "not bound to a node"),
        message="0/4 hosts fit",
    ),
    _instance(
        "is built",
        *("Progressing", "InProgress", "Building"),
        BOUND,
        _ready(False, "Building", "downloading image debian-12: 40 %"),
        message="40 %",
    ),
    _instance("runs", "Healthy", "Current", "Running", BOUND, _ready(True, "Running"), message="Running"),
    _instance(
        "was changed a moment ago",
        *("Progressing", "InProgress", "Running"),
        BOUND,
        _ready(True, "Running"),
        message="has not been looked at",
        observed=0,
    ),
    _instance(
        "is off as asked",
        *("Suspended", "Current", "Stopped"),
        BOUND,
        _ready(True, "Stopped"),
        message="Stopped",
        powerState="Stopped",
    ),
    _instance(
        "is paused as asked",
        *("Suspended", "Current", "Paused"),
        BOUND,
        _ready(True, "Paused"),
        message="Paused",
        powerState="Paused",
    ),
    _instance(
        "is suspended as asked",
        *("Suspended", "Current", "Suspended"),
        BOUND,
        _ready(True, "Suspended"),
        message="Suspended",
        powerState="Suspended",
    ),
    _instance(
        "was off when it was to be suspended",
        *("Suspended", "Current", "Stopped"),
        BOUND,
        _ready(True, "NothingToSuspend", "the guest was off already"),
        message="off already",
        powerState="Suspended",
    ),
    _instance("is rescued", "Suspended", "Current", "Rescued", BOUND, _ready(True, "Rescued"), message="Rescued"),
    _instance(
        "stops",
        *("Progressing", "InProgress", "Running"),
        BOUND,
        _ready(False, "Stopping", "the power button has been pressed"),
        message="power button",
        powerState="Stopped",
    ),
    _instance("reboots", "Progressing", "InProgress", "Running", BOUND, _ready(False, "Rebooting")),
    _instance("is put on disk", "Progressing", "InProgress", "Running", BOUND, _ready(False, "Saving")),
    _instance(
        "ended by itself once",
        *("Progressing", "InProgress", "Stopped"),
        BOUND,
        _ready(False, "GuestStopped", "the guest ended by itself; it is started again at 12:00:00Z"),
        message="started again",
    ),
    _instance(
        "ends again and again",
        *("Degraded", "Failed", "Stopped"),
        BOUND,
        _ready(False, "CrashLoopBackOff", "the guest ended by itself for the 3rd time in a row"),
        message="3rd time",
    ),
    _instance(
        "powered itself off and is left so",
        *("Suspended", "Current", "Stopped"),
        BOUND,
        _ready(False, "Completed", "the guest powered itself off"),
        message="powered itself off",
        restartPolicy="OnFailure",
    ),
    _instance(
        "crashed and is left so",
        *("Degraded", "Failed", "Stopped"),
        BOUND,
        _ready(False, "Failed", "the guest failed"),
        message="the guest failed",
        restartPolicy="Never",
    ),
    _instance(
        "cannot be built",
        *("Degraded", "Failed", "Failed"),
        BOUND,
        _ready(False, "ImageChecksumMismatch", "the file has another SHA-256"),
        message="another SHA-256",
    ),
    _instance(
        "stands still on a full disk",
        "Degraded",
        "Failed",
        "Running",
        BOUND,
        _ready(False, "DiskError", "disk"),
        message="disk",
    ),
    _instance(
        "is on a lost node",
        *("Degraded", "Failed", "Unknown"),
        BOUND,
        _ready(None, "NodeLost", "nothing is heard of node node-a"),
        message="nothing is heard",
    ),
    _instance(
        "is adopted",
        "Progressing",
        "InProgress",
        "Running",
        BOUND,
        _ready(None, "Adopted", "node node-a takes it over"),
    ),
    _instance(
        "has a flavor that waits for a restart",
        *("Healthy", "Current", "Running"),
        BOUND,
        _ready(True, "Running"),
        a_condition("RestartRequired", True, "FlavorChanged", "with its next start the guest gets 2 vCPUs"),
        message="next start",
    ),
    _instance(
        "is not granted its new flavor",
        *("Progressing", "InProgress", "Running"),
        BOUND,
        _ready(True, "Running"),
        a_condition("Resized", False, "HostFull", "its host lacks memory"),
        message="lacks memory",
    ),
    _instance(
        "would go elsewhere today",
        *("Healthy", "Current", "Running"),
        BOUND,
        _ready(True, "Running"),
        a_condition("PlacementDrift", True, "HostFitsNoMore", "not in zone az1"),
    ),
]


def _action(
    what: str, argo: str, flux: str, phase: str, *conditions: Object, message: str = "", type_: str = "Reboot"
) -> Health:
    spec = {"snapshot": {"imageName": "sunday"}} if type_ == "Snapshot" else {}
    return Health(what, an_action(type_, **spec), argo, flux, message, conditions, {"phase": phase}, observed=None)


def _complete(status: bool, reason: str, message: str = "") -> Object:
    return a_condition("Complete", status, reason, message)


ACTIONS = [
    Health("an action nobody has looked at", an_action(), "Progressing", "InProgress", "operator"),
    _action(
        "waits",
        "Progressing",
        "InProgress",
        "Pending",
        _complete(False, "Waiting", "until a is done"),
        message="until a",
    ),
    _action("goes on", "Progressing", "InProgress", "Running", _complete(False, "Running"), message="Running"),
    _action("has worked", "Healthy", "Current", "Succeeded", _complete(True, "Rebooted"), message="Rebooted"),
    _action(
        "was refused", "Degraded", "Failed", "Failed", _complete(False, "InstanceLocked", "is locked"), message="locked"
    ),
    _action(
        "has no image yet", "Progressing", "InProgress", "Succeeded", _complete(True, "SnapshotTaken"), type_="Snapshot"
    ),
    _action(
        "has its image",
        *("Healthy", "Current", "Succeeded"),
        _complete(True, "SnapshotTaken"),
        a_condition("ImageCreated", reason="Created"),
        type_="Snapshot",
    ),
    _action(
        "cannot have its image",
        *("Degraded", "Failed", "Succeeded"),
        _complete(True, "SnapshotTaken"),
        a_condition("ImageCreated", False, "ImageExists", "another Image has the name"),
        message="has the name",
        type_="Snapshot",
    ),
]


def _host(what: str, argo: str, flux: str, *conditions: Object, message: str = "", **spec: Any) -> Health:
    return Health(what, a_hypervisor(**spec), argo, flux, message, conditions)


READY = _ready(True, "LibvirtReady")
HYPERVISORS = [
    Health("a host whose agent has not come", a_hypervisor(), "Progressing", "InProgress", "registered"),
    _host("takes Instances", "Healthy", "Current", READY),
    _host("is in maintenance", "Suspended", "Current", READY, message="maintenance", maintenance=True),
    _host("is disabled", "Suspended", "Current", READY, message="fan", disabled={"reason": "fan is loud"}),
    _host("has no libvirt", "Degraded", "Failed", _ready(False, "LibvirtUnreachable", "no socket"), message="socket"),
    _host("is silent", "Degraded", "Failed", _ready(None, "AgentLost", "has not been heard of"), message="heard"),
    *(
        _host(f"says {type_}", "Degraded", "Failed", READY, a_condition(type_, True, type_, "look"), message="look")
        for type_ in ("Overcommitted", "DiskPressure", "Orphans", "ClockSkewed")
    ),
]


def _aggregate(
    what: str, argo: str, flux: str, *conditions: Object, message: str = "", observed: int = 1, **spec: Any
) -> Health:
    return Health(what, a_host_aggregate(**spec), argo, flux, message, conditions, observed=observed)


NO_CONFLICT = a_condition("Conflict", False, "NoConflict")
AGGREGATES = [
    Health("an aggregate nobody has looked at", a_host_aggregate(), "Progressing", "InProgress", "operator"),
    _aggregate("has hosts", "Healthy", "Current", _ready(True, "Ready"), NO_CONFLICT),
    _aggregate("was changed", "Progressing", "InProgress", _ready(True, "Ready"), NO_CONFLICT, observed=0),
    _aggregate(
        "has no host",
        *("Progressing", "InProgress"),
        _ready(False, "NoHostSelected", "no host is selected"),
        NO_CONFLICT,
        message="no host",
    ),
    _aggregate(
        "shares a host with another zone",
        *("Degraded", "Failed"),
        _ready(True, "Ready"),
        a_condition("Conflict", True, "HostInSeveralZones", "host node-a is in zone az2 too"),
        message="az2 too",
    ),
    _aggregate(
        "could not bear a failure",
        *("Degraded", "Failed"),
        _ready(True, "Ready"),
        NO_CONFLICT,
        a_condition("FailoverHeadroom", False, "NotAbsorbable", "the others would lack memory"),
        message="lack memory",
        reserve={"hosts": 1},
    ),
]


def _zone(what: str, argo: str, flux: str, *conditions: Object, message: str = "", observed: int = 1) -> Health:
    return Health(what, a_zone(), argo, flux, message, conditions, observed=observed)


AVAILABLE = a_condition("Available")
ZONES = [
    Health("a zone nobody has looked at", a_zone(), "Progressing", "InProgress", "operator"),
    _zone("is available", "Healthy", "Current", AVAILABLE),
    _zone("was changed", "Progressing", "InProgress", AVAILABLE, observed=0),
    _zone(
        "has no host", "Progressing", "InProgress", a_condition("Available", False, "NoHost", "none"), message="none"
    ),
    _zone("is down", "Degraded", "Failed", a_condition("Available", False, "NoUsableHost", "no use"), message="no use"),
    _zone(
        "could not bear a failure",
        *("Degraded", "Failed"),
        AVAILABLE,
        a_condition("FailoverHeadroom", False, "TooFewHosts", "1 host may fail"),
        message="may fail",
    ),
]


def _group(what: str, argo: str, flux: str, status: bool, reason: str, **spec: Any) -> Health:
    return Health(what, a_group(**spec), argo, flux, reason, (a_condition("Satisfied", status, reason),))


GROUPS = [
    Health("a group nobody has looked at", a_group(), "Progressing", "InProgress", "operator"),
    _group("is apart", "Healthy", "Current", True, "Apart", policy="AntiAffinity"),
    _group("is together against its policy", "Degraded", "Failed", False, "Together", policy="AntiAffinity"),
    _group("is together against its wish", "Healthy", "Current", False, "Together", policy="SoftAntiAffinity"),
]
QUOTAS = [
    Health("a quota nobody has looked at", a_quota(), "Progressing", "InProgress", "operator"),
    Health("a quota that holds", a_quota(), "Healthy", "Current", "", (a_condition("Exceeded", False, "Within"),)),
    Health(
        "a quota that was cut",
        *(a_quota(), "Degraded", "Failed", "5 of 4"),
        (a_condition("Exceeded", True, "OverLimit", "5 of 4 instances"),),
    ),
]
SESSIONS = [
    Health("a session whose ticket is out", a_console_session(), "Progressing", "", "ticket", observed=None),
    Health(
        "a session that goes on",
        *(a_console_session(), "Healthy", "", "ann looks on"),
        status={"startedAt": EPOCH},
        observed=None,
    ),
]
CASES = [*INSTANCES, *ACTIONS, *HYPERVISORS, *AGGREGATES, *ZONES, *GROUPS, *QUOTAS, *SESSIONS]
