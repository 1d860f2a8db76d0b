"""What the chart makes, before a real API server: every field is known, and Pods keep to a Pod Security Standard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hack.devcluster.install import NAMESPACE
from hack.helm import Helm
from support.charts import RELEASE, Object, kinds, name, our_own, pods, render

EVERYTHING = Path(__file__).parent / "everything.yaml"
STRICTLY = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
OTHERS = ("gateway.networking.k8s.io", "monitoring.coreos.com")
"""Groups of kinds that the cluster does not have."""


@pytest.mark.parametrize("flags", [(), ("--values", str(EVERYTHING))], ids=["defaults", "everything"])
def test_the_api_server_knows_every_field(
    helm: Helm, bare_cluster: Cluster, kubernetes: str, flags: tuple[str, ...]
) -> None:
    if flags and kubernetes < "1.33":
        flags += ("--set=reservation.enabled=false",)  # the chart refuses it there
    text = render(helm, *flags, version=kubernetes)
    objs = [*kinds(text), *our_own(text)]
    # A Pod wants its ServiceAccount to be there: it is tried below.
    known = [obj for obj in objs if obj["apiVersion"].split("/")[0] not in OTHERS and obj["kind"] != "Pod"]

    said = bare_cluster.kubectl(*STRICTLY, input=yaml.safe_dump_all(known))

    assert len(said.splitlines()) == len(known)


def test_a_field_that_is_not_known_is_found(helm: Helm, bare_cluster: Cluster) -> None:
    (deployment,) = [obj for obj in our_own(render(helm)) if name(obj) == "Deployment hypernova-operator"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}

    with pytest.raises(ClusterError, match="livenesProbe"):
        bare_cluster.kubectl(*STRICTLY, input=json.dumps(deployment))


@pytest.fixture
def notes(release: Helm, bare_cluster: Cluster) -> Iterator[str]:
    """What an install says into a namespace that enforces the standard restricted."""
    enforce = "pod-security.kubernetes.io/enforce"
    bare_cluster.kubectl("label", "namespace", NAMESPACE, f"{enforce}=restricted")
    yield release("install", *RELEASE)
    bare_cluster.kubectl("label", "namespace", NAMESPACE, f"{enforce}-")


def test_all_pods_are_within_restricted_but_for_the_agents_folder_and_notes_say_so(
    helm: Helm, bare_cluster: Cluster, notes: str
) -> None:
    refused = {}
    for workload, template in pods(our_own(render(helm, "--set=reservation.enabled=true"))).items():
        pod: Object = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = template["metadata"] | {"name": "pod", "namespace": NAMESPACE}
        try:
            bare_cluster.kubectl(
                *("create", "--dry-run=server", "--validate=strict", "--filename=-"), input=json.dumps(pod)
            )
        except ClusterError as error:
            refused[workload] = str(error).partition("violates PodSecurity ")[2].strip()

    assert refused == {
        "DaemonSet hypernova-node-agent": '"restricted:latest": restricted volume types '
        '(volume "libvirt" uses restricted volume type "hostPath")'
    }
    assert f"kubectl label namespace {NAMESPACE} --overwrite pod-security.kubernetes.io/enforce=privileged" in notes
