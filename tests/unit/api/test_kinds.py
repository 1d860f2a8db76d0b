"""The kinds' pages and the files made from them."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from hypernova_api.action import ADMINISTER
from hypernova_api.crds.__main__ import main
from hypernova_api.crds.render import crd_file, custom_resource_definition
from hypernova_api.kinds import KINDS
from hypernova_api.meta import CREATED_BY, FINALIZER, GROUP, Kind
from support.builders import (
    EPOCH,
    a_cell,
    a_condition,
    a_console_session,
    a_device,
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
    stored,
)
from support.structural import errors, violations

ROOT = Path(__file__).parents[3]
CRDS = ROOT / "crds"

OBJECTS = [
    an_instance(),
    an_instance(
        keyPairs=["ops"],
        userData={"secretKeyRef": {"name": "web-init", "key": "user-data"}},
        status={
            "phase": "Running",
            "nodeName": "node-a",
            "flavor": {"name": "m1.small", "vcpus": 1, "memory": 536870912, "rootDisk": "4Gi"},
            "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:12:34:56"}],
            "conditions": [a_condition("Ready")],
        },
    ),
    a_flavor(),
    an_image(minDisk="2Gi"),
    a_console_session(),
    a_key_pair(),
    a_hypervisor(),
    a_hypervisor(maintenance=True, overcommit={"cpu": 1.5}, status=a_hypervisor_status()),
    a_hypervisor(
        dedicatedCpus="4-7",
        passthrough=[{"alias": "gpu", "vendorId": "10de", "productId": "20b0"}],
        status=a_hypervisor_status(
            cells=[a_cell(0), a_cell(1, huge_pages={"2Mi": 512})],
            devices=[a_device(), a_device("0000:66:00.0", cell=None)],
            traits=["HW_CPU_X86_AVX2"],
            firmware=["BIOS", "UEFI"],
        ),
    ),
    a_flavor(
        cpu={"policy": "Dedicated", "threadPolicy": "Isolate"},
        numa={"cells": 1},
        hugePageSize="2Mi",
        devices=[{"alias": "gpu", "count": 2, "numaAffinity": "Required"}],
        traits={"required": ["HW_CPU_X86_AVX2"], "forbidden": ["CUSTOM_SLOW"]},
        aggregateRequirements=[{"key": "disk", "operator": "AllIn", "values": ["ssd", "raid"]}],
        access={"namespaceSelector": {"matchLabels": {"tier": "gold"}}},
    ),
    an_action(
        "Rebuild",
        rebuild={"image": {"name": "new", "namespace": "images"}, "keyPairs": ["ops"], "userData": {"inline": "#!"}},
        ttlSecondsAfterFinished=60,
        status={
            "phase": "Running",
            "nodeName": "node-a",
            "steps": [{"name": "FetchImage", "startTime": EPOCH}],
            "progress": 40,
            "conditions": [a_condition("Complete", False, "Running")],
        },
    ),
    an_instance(
        availabilityZone="az1",
        scheduling={
            "group": "web",
            "nodeSelector": {"rack": "r1"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "sameHostAs": ["db-1"],
            "differentHostFrom": ["db-2"],
            "nodeName": "node-a",
        },
        status={
            "nodeName": "node-a",
            "placement": {
                "time": EPOCH,
                "hostsConsidered": 12,
                "hostsPassed": 2,
                "candidates": [{"nodeName": "node-a", "weight": 1.75, "parts": {"freeMemory": 1.0, "freeVcpus": 0.75}}],
                "overcommit": {"cpu": 4.0, "memory": 1.0, "disk": 1.0},
            },
            "allocation": {
                "cells": [{"cell": 1, "vcpus": [0, 1], "cpus": [4, 5], "memory": "512Mi", "hugePageSize": "2Mi"}],
                "devices": [{"alias": "gpu", "address": "0000:65:00.0"}],
            },
        },
    ),
    a_host_aggregate(
        nodeSelector={"matchExpressions": [{"key": "rack", "operator": "In", "values": ["r1"]}]},
        availabilityZone="az1",
        metadata={"disk": "ssd,nvme"},
        overcommit={"cpu": 8.0},
        projects={"namespaceSelector": {"matchLabels": {"team": "web"}}, "confine": True},
        images={"selector": {}},
        weightMultipliers={"freeMemory": -1.0},
        maxInstancesPerHost=20,
        reserve={"hosts": 1},
        status={
            "nodes": ["node-a"],
            "hosts": {"total": 1, "usable": 1},
            "capacity": {"vcpus": 1_000_000, "memory": "2Pi", "disk": "9Pi"},
            "conditions": [a_condition("Ready")],
        },
    ),
    a_zone(description="hall 2", status={"available": True, "conditions": [a_condition("Available")]}),
    a_group(maxPerHost=2, status={"members": [{"name": "web-1", "nodeName": "node-a"}], "count": 1, "hosts": 1}),
    a_quota(
        perUser={"memory": "8Gi"},
        status={
            "used": {"instances": 1, "vcpus": 1, "memory": "512Mi", "disk": "4Gi"},
            "users": [{"user": "ann", "used": {"instances": 1}}],
        },
    ),
]


def test_there_is_an_object_of_every_kind_here() -> None:
    assert {obj["kind"] for obj in OBJECTS} == {kind.kind for kind in KINDS}


def schema_of(kind: type[Kind]) -> dict[str, Any]:
    schema: dict[str, Any] = custom_resource_definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from fields(part, f"{path}.{name}")
        yield from fields(part.get("items", {}), f"{path}.{name}[]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_schema_of_a_kind_is_structural(kind: type[Kind]) -> None:
    assert list(violations(schema_of(kind))) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_no_rule_of_a_lists_items_reads_a_number_or_string(kind: type[Kind]) -> None:
    """Kubernetes 1.32 refuses such kinds: it takes each to be as long as a whole request."""
    too_dear = [
        f"{path}[].{name}"
        for path, part in fields(schema_of(kind))
        for rule in part.get("items", {}).get("x-kubernetes-validations", [])
        for name, of_item in part["items"].get("properties", {}).items()
        if "x-kubernetes-int-or-string" in of_item and re.search(rf"\bself\.{name}\b", rule["rule"])
    ]
    assert too_dear == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_explains_itself_to_kubectl_explain(kind: type[Kind]) -> None:
    ours = [(path, part) for path, part in fields(schema_of(kind)) if path.split(".")[1] in ("spec", "status")]

    assert [path for path, part in ours if not part.get("description")] == []


@pytest.mark.parametrize("obj", OBJECTS, ids=lambda obj: obj["kind"])
def test_objects_fit_their_schema_and_come_back_from_the_model_as_they_were(obj: dict[str, Any]) -> None:
    kind = next(kind for kind in KINDS if kind.kind == obj["kind"])
    whole = stored(obj)

    parsed = kind.parse(whole)

    assert list(errors({key: obj[key] for key in ("spec", "status") if key in obj}, schema_of(kind))) == []
    assert kind.parse(parsed.to_wire()) == parsed
    assert parsed.metadata.uid == whole["metadata"]["uid"]


def test_a_field_of_a_newer_version_is_ignored_not_refused() -> None:
    newer = stored(an_instance(hologram="blue"))
    instance = next(kind for kind in KINDS if kind.kind == "Instance")

    assert "hologram" not in instance.parse(newer).to_wire()["spec"]


def test_short_names_and_plurals_are_all_different() -> None:
    names = [name for kind in KINDS for name in (kind.plural, kind.kind.lower(), *kind.short_names)]

    assert len(names) == len(set(names))


def test_too_many_selectable_fields_are_refused_before_the_api_server_does() -> None:
    class Greedy(Kind):
        """A kind that selects too much."""

        selectable: ClassVar[list[str]] = [f".spec.field{index}" for index in range(9)]

    with pytest.raises(ValueError, match="Greedy: 9 selectable fields, at most 8 are allowed"):
        custom_resource_definition(Greedy)


def test_a_crd_says_that_it_is_generated_and_from_what() -> None:
    name, text = crd_file(KINDS[0])

    assert name == "availabilityzones.yaml"
    assert text.startswith("# Generated from hypernova_api.zone by `make crds`: edit that instead.\n")


def test_the_committed_crds_and_reference_are_fresh(run_crds: Callable[..., int]) -> None:
    assert run_crds("--check", "--reference", str(ROOT / "docs/reference.md"), str(CRDS)) == 0


def test_check_names_the_files_that_are_stale(
    run_crds: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_crds(str(tmp_path)) == 0
    (tmp_path / "images.yaml").write_text("edited by hand")
    (tmp_path / "keypairs.yaml").unlink()

    assert run_crds("--check", str(tmp_path)) == 1

    assert capsys.readouterr().err == (
        f"{tmp_path}/images.yaml is stale: run `make crds`\n{tmp_path}/keypairs.yaml is stale: run `make crds`\n"
    )
    assert (tmp_path / "images.yaml").read_text() == "edited by hand"


def test_writing_again_touches_nothing_that_is_fresh(run_crds: Callable[..., int], tmp_path: Path) -> None:
    run_crds(str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    run_crds(str(tmp_path))

    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.fixture
def run_crds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["crds", *arguments])
        return main()

    return run


def test_the_policies_speak_of_the_same_names_as_the_code() -> None:
    def names(file: str) -> set[str]:
        return set(re.findall(rf"{re.escape(GROUP)}/[-a-z]+", (CRDS / file).read_text()))

    assert names("policies.yaml") == {CREATED_BY, ADMINISTER, FINALIZER}
    assert names("policies-mutating.yaml") == {CREATED_BY, ADMINISTER, FINALIZER}


def test_every_policy_is_bound() -> None:
    documents = [doc for path in CRDS.glob("policies*.yaml") for doc in yaml.safe_load_all(path.read_text())]
    policies = {doc["metadata"]["name"] for doc in documents if not doc["kind"].endswith("Binding")}
    bound = {doc["spec"]["policyName"] for doc in documents if doc["kind"].endswith("Binding")}

    assert policies == bound
