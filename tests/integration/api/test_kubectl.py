"""What people see of our kinds through kubectl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hack.devcluster import Cluster
from hypernova_api.kinds import KINDS
from support.builders import (
    a_condition,
    a_flavor,
    a_hypervisor,
    a_hypervisor_status,
    a_key_pair,
    an_image,
    an_instance,
    without,
)

LABEL = "kubectl-test"
STATUS = {
    "phase": "Running",
    "nodeName": "node-a",
    "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:12:34:56"}],
    "conditions": [a_condition("Scheduled", reason="Bound"), a_condition("Ready", reason="GuestRunning")],
}
OBJECTS = [builder(labels={LABEL: "yes"}) for builder in (an_instance, an_image, a_key_pair, a_flavor, a_hypervisor)]
MANIFESTS = [without(obj, "metadata.namespace") if "namespace" in obj["metadata"] else obj for obj in OBJECTS]
PATCHES = {"instance/web-1": {"status": STATUS}, "hypervisor/node-a": {"status": a_hypervisor_status()}}


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
def running(kubectl: Kubectl) -> Kubectl:
    """The objects applied, and reported on as operator and agent do."""
    kubectl("apply", "--filename=-", manifests=MANIFESTS)
    for name, patch in PATCHES.items():
        kubectl("patch", name, "--subresource=status", "--type=merge", f"--patch={json.dumps(patch)}")
    return kubectl


def lines(text: str) -> str:
    return "".join(f"{line.strip()}\n" for line in text.strip().splitlines())


TABLES = {
    "inst": """
        NAME    PHASE     FLAVOR     NODE     ADDRESS     AGE
        web-1   Running   m1.small   node-a   10.60.0.7   AGE
        """,
    "inst --output=wide": """
        NAME    PHASE     FLAVOR     NODE     ADDRESS     IMAGE       REASON         CREATED BY   AGE
        web-1   Running   m1.small   node-a   10.60.0.7   debian-12   GuestRunning   admin        AGE
        """,
    "flv": """
        NAME       VCPUS   MEMORY   DISK   AGE
        m1.small   1       512Mi    4Gi    AGE
        """,
    "img": """
        NAME        FORMAT   URL                                         AGE
        debian-12   qcow2    http://images.example.com/debian-12.qcow2   AGE
        """,
    "kp": """
        NAME   AGE
        ops    AGE
        """,
    "hv": """
        NAME     READY   TYPE   VCPUS   MEMORY   DISK    MAINTENANCE   AGE
        node-a   True    qemu   8       16Gi     100Gi   false         AGE
        """,
    "hv --output=wide": """
        NAME     READY   TYPE   VCPUS   MEMORY   DISK    MAINTENANCE   DISABLED   CPU    QEMU    REASON   AGE
        node-a   True    qemu   8       16Gi     100Gi   false                    EPYC   7.2.0   Ready    AGE
        """,
}


@pytest.mark.parametrize("arguments", TABLES)
def test_a_table_says_what_where_and_how_it_is(arguments: str, running: Kubectl) -> None:
    assert lines(running.table(*arguments.split())) == lines(TABLES[arguments])


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
