"""What people see of our kinds through kubectl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.devcluster import Cluster
from hack.devcluster.install import mutates
from hypernova_api.kinds import KINDS
from hypernova_api.meta import CREATED_BY, FINALIZER
from support.builders import (
    a_condition,
    a_console_session,
    a_flavor,
    a_group,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    a_quota,
    a_zone,
    an_action,
    an_image,
    an_instance,
    without,
)
from support.golden import assert_golden

LABEL = "kubectl-test"
MARKED = {"labels": {LABEL: "yes"}}
OBJECTS = [
    an_instance(
        availabilityZone="az1",
        scheduling={"group": "web"},
        locked={"reason": "audit"},
        annotations={CREATED_BY: "admin"},  # before Kubernetes 1.36 it says who made it himself, or nobody does
        **MARKED,
    ),
    an_action("Snapshot", "nightly", snapshot={"imageName": "web-sunday"}, **MARKED),
    a_console_session(readOnly=True, **MARKED),
    an_image(**MARKED),
    a_key_pair(**MARKED),
    a_flavor(cpu={"policy": "Dedicated"}, numa={"cells": 1}, hugePageSize="2Mi", **MARKED),
    a_hypervisor(**MARKED),
    a_host_aggregate(availabilityZone="az1", reserve={"hosts": 1}, **MARKED),
    a_zone(description="hall 2, own power", reserve={"hosts": 1}, **MARKED),
    a_group(maxPerHost=2, **MARKED),
    a_quota(hard={"instances": 10, "memory": "64Gi", "disk": "1Ti"}, **MARKED),
]
MANIFESTS = [without(obj, "metadata.namespace") if "namespace" in obj["metadata"] else obj for obj in OBJECTS]
STATUSES: dict[str, dict[str, Any]] = {
    "instance/web-1": {
        "phase": "Running",
        "nodeName": "node-a",
        "availabilityZone": "az1",
        "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:12:34:56"}],
        "conditions": [
            a_condition("Scheduled", reason="Bound"),
            a_condition("Ready", reason="GuestRunning"),
            a_condition("PlacementDrift", reason="TaintNotTolerated"),
        ],
    },
    "instanceaction/nightly": {
        "phase": "Running",
        "nodeName": "node-a",
        "requestedBy": "ann",
        "progress": 40,
        "conditions": [a_condition("Complete", False, reason="Running")],
    },
    # No startedAt: it is shown as the time that has passed since.
    "consolesession/web-1-7ee45bd84cc5": {"expiresAt": "2026-11-22T03:30:21Z"},
    "hypervisor/node-a": a_hypervisor_status(),
    "hostaggregate/rack-1": {
        "nodes": ["node-a"],
        "hosts": {"total": 12, "usable": 11},
        "instances": 140,
        "capacity": {"vcpus": 3072, "memory": "4608Gi", "disk": "40Ti"},
        "free": {"vcpus": 512, "memory": "700Gi", "disk": "21Ti"},
        "conditions": [
            a_condition("Ready", reason="HostsUsable"),
            a_condition("Conflict", False, reason="NoConflict"),
            a_condition("FailoverHeadroom", reason="AnyHostMayFail"),
        ],
    },
    "availabilityzone/az1": {
        "available": True,
        "conditions": [
            a_condition("Available", reason="HostsUsable"),
            a_condition("FailoverHeadroom", False, reason="NotEnoughRoom"),
        ],
    },
    "instancegroup/web": {
        "members": [{"name": "web-1", "nodeName": "node-a"}],
        "count": 1,
        "hosts": 1,
        "conditions": [a_condition("Satisfied", reason="MembersApart")],
    },
    "computequota/limits": {
        "used": {"instances": 3, "vcpus": 12, "memory": "24Gi", "disk": "60Gi"},
        "conditions": [a_condition("Exceeded", False, reason="WithinLimits")],
    },
}


class Kubectl:
    """A user with kubectl in a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def __call__(self, *arguments: str, manifests: list[dict[str, Any]] | None = None) -> str:
        text = yaml.safe_dump_all(manifests or [])
        return self._cluster.kubectl(*arguments, f"--namespace={self._namespace}", input=text)

    def table(self, *arguments: str) -> str:
        """What `kubectl get` prints, with the age, always last and in seconds, as `AGE`."""
        printed = self("get", *arguments, f"--selector={LABEL}")
        return re.sub(r"\d+s$", "AGE", printed, flags=re.MULTILINE)


@pytest.fixture
def kubectl(cluster: Cluster, namespace: str) -> Iterator[Kubectl]:
    kubectl = Kubectl(cluster, namespace)
    yield kubectl
    kubectl("delete", "--ignore-not-found", "--wait=false", "--filename=-", manifests=MANIFESTS)
    # There is no agent here that would take the finalizer away.
    clear = json.dumps({"metadata": {"finalizers": None}})
    for name in kubectl("get", "instances", "--output=name").split():
        kubectl("patch", name, "--type=merge", f"--patch={clear}")


@pytest.fixture
def running(cluster: Cluster, kubectl: Kubectl) -> Kubectl:
    """The objects applied, and reported on as operator and agent do."""
    kubectl("apply", "--filename=-", manifests=MANIFESTS)
    if not mutates(cluster.admin):  # then it is the operator that does it, before anybody reports on the Instance
        protect = json.dumps({"metadata": {"finalizers": [FINALIZER]}})
        kubectl("patch", "instance", "web-1", "--type=merge", f"--patch={protect}")
    for name, status in STATUSES.items():
        patch = json.dumps({"status": status})
        kubectl("patch", name, "--subresource=status", "--type=merge", f"--patch={patch}")
    return kubectl


def lines(text: str) -> str:
    return "".join(f"{line.strip()}\n" for line in text.strip().splitlines())


def test_tables_say_what_where_and_how_it_is(running: Kubectl) -> None:
    """As in tables.txt beside this."""
    short = [kind.short_names[0] for kind in KINDS]
    asked = [f"{name}{wide}" for name in short for wide in ("", " --output=wide")]
    tables = [f"$ kubectl get {arguments}\n{lines(running.table(*arguments.split()))}" for arguments in asked]

    assert_golden("\n".join(tables), Path(__file__).parent / "tables.txt")


def test_a_table_of_what_nobody_has_reported_on_has_gaps_not_errors(kubectl: Kubectl) -> None:
    kubectl("apply", "--filename=-", manifests=MANIFESTS)

    assert lines(kubectl.table("instances")) == lines("""
        NAME    PHASE   FLAVOR     NODE   ADDRESS   AGE
        web-1           m1.small                    AGE
    """)


def test_the_category_lists_all_kinds(running: Kubectl) -> None:
    names = running("get", "hypernova", f"--selector={LABEL}", "--output=name").split()

    assert sorted(name.partition(".")[0] for name in names) == sorted(kind.kind.lower() for kind in KINDS)


def test_applying_again_changes_nothing(running: Kubectl) -> None:
    again = running("apply", "--filename=-", manifests=MANIFESTS)

    assert [line for line in again.splitlines() if not line.endswith(" unchanged")] == []
    assert running("diff", "--filename=-", manifests=MANIFESTS) == ""


@pytest.mark.parametrize("before", ["nothing", "client-side apply"])
def test_server_side_apply_finds_no_drift(before: str, kubectl: Kubectl) -> None:
    mine = ["--server-side", "--field-manager=gitops", "--filename=-"]
    if before == "client-side apply":
        kubectl("apply", "--filename=-", manifests=MANIFESTS)
    kubectl("apply", *mine, manifests=MANIFESTS)
    first = kubectl("get", "instance", "web-1", "--output=yaml")

    kubectl("apply", *mine, manifests=MANIFESTS)

    assert kubectl("diff", *mine, manifests=MANIFESTS) == ""
    assert kubectl("get", "instance", "web-1", "--output=yaml") == first


def test_a_manifest_replaces_what_was_made_from_it(kubectl: Kubectl) -> None:
    kubectl("create", "--filename=-", manifests=MANIFESTS)
    first = kubectl("get", "instance", "web-1", "--output=yaml")

    kubectl("replace", "--filename=-", manifests=MANIFESTS)

    assert kubectl("get", "instance", "web-1", "--output=yaml") == first


def test_explain_reads_like_documentation(cluster: Cluster) -> None:
    assert lines(cluster.kubectl("explain", "instance.spec.userData")) == lines("""
        GROUP:      compute.hypernova.dev
        KIND:       Instance
        VERSION:    v1alpha1

        FIELD: userData <Object>


        DESCRIPTION:
            Handed to the guest at its first boot.

        FIELDS:
          inline	<string>
            The text itself, e.g. `#cloud-config ...`; at most 64 KiB.

          secretKeyRef	<Object>
            The text in a Secret, for what others should not read.
    """)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_explain_knows_the_kind_by_its_short_name(kind: Any, cluster: Cluster) -> None:
    explained = cluster.kubectl("explain", kind.short_names[0], "--recursive")

    assert f"KIND:       {kind.kind}\n" in explained
    assert "".join((kind.__doc__ or "").split()) in "".join(explained.split())
